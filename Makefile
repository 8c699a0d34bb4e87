# Everything lives in .venv: the packages, and pip's cache. node_modules has the tools that check JavaScript. Nothing
# outside this folder is written, except npm, Chromium, zsh, fish, R and LibreOffice, which Debian's package manager
# installs.
PYTHON ?= python3
ARGS ?=

# Without bytecode, each process compiles tb2csv, and each worker all tests.
export PYTHONDONTWRITEBYTECODE :=

SHELL := /bin/sh
BIN := .venv/bin
PIP := PIP_CACHE_DIR=$(CURDIR)/.venv/pip-cache PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip
BUILD_FILES := pyproject.toml setup.py $(wildcard tb2csv/*.pyx tb2csv/event_files/*.pyx tb2csv/event_files/*.pxi)

# A compiler counts where it finds Python's own header as well; the scanner is for little-endian machines (setup.py).
COMPILER := $(BIN)/python -c 'import os, sysconfig as s; print(os.environ.get("CC") or s.get_config_var("CC") or "cc")'
INCLUDE := $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))'
IS_LITTLE := $(BIN)/python -c 'import sys; sys.exit(sys.byteorder == "big")'
HAS_COMPILER = $(IS_LITTLE) && echo '\#include <Python.h>' | $$($(COMPILER)) -I"$$($(INCLUDE))" -x c -E - >/dev/null 2>&1

.PHONY: site wheels lock trust fuzz fuzzer fuzz-models help browser shells demo javascript-tools reader-programs test test-readers test-training lint docs bench clean
.DELETE_ON_ERROR:

help: ## List the targets.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile

demo: .venv/installed-base ## Convert sample_logs into demo-tables and show some of the tables.
	@echo '$$ tb2csv convert sample_logs demo-tables --overwrite'
	@$(BIN)/tb2csv convert sample_logs demo-tables --overwrite || test $$? -eq 3
	@echo && echo '$$ head -n 4 demo-tables/index.csv' && head -n 4 demo-tables/index.csv
	@echo && echo '$$ head -n 4 demo-tables/tf2/scalars/loss.csv' && head -n 4 demo-tables/tf2/scalars/loss.csv
	@echo && echo '$$ cat demo-tables/hparams.csv' && cat demo-tables/hparams.csv

# Every core runs tests, and two more processes use the time in which others wait for servers and processes. ARGS='-n 0'
# runs them one after another, as a debugger needs it.
PARALLEL := --numprocesses=$$(n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 7 ? n + 2 : 8))) --dist=worksteal

test: .venv/installed-test | browser shells ## Run the tests; ARGS go to pytest, such as -m "not slow".
	$(BIN)/python -m pytest --ignore=tests/training $(PARALLEL) $(ARGS)

# Playwright's own browsers are downloads from elsewhere; Debian's package comes with the rest of the system. Its shell
# without windows takes two thirds of the processor time of the whole browser, which other systems have alone.
browser: # Install Chromium for the tests in a browser, or say how.
	@if command -v chromium-headless-shell; then :; \
	elif test "$$(id -u)" = 0 && command -v apt-get; then apt-get update -qq; \
	export DEBIAN_FRONTEND=noninteractive; apt-get install -qq --no-install-recommends chromium-headless-shell || \
	command -v chromium || apt-get install -qq --no-install-recommends chromium; \
	fi >/dev/null 2>&1 || echo 'Chromium could not be installed by apt-get.'
	@command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || \
	command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	echo 'The tests in a browser are skipped, for there is no Chromium; install it with: sudo apt-get install chromium'

shells: # Install zsh and fish for the tests of completion, or say how.
	@if command -v zsh && command -v fish; then :; \
	elif test "$$(id -u)" = 0 && command -v apt-get; then \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends zsh fish; \
	fi >/dev/null || echo 'zsh and fish could not be installed by apt-get.'
	@command -v zsh >/dev/null && command -v fish >/dev/null || \
	echo 'Some tests of completion are skipped; install zsh and fish with: sudo apt-get install zsh fish'

test-training: .venv-training/installed ## Run the tests that need TensorFlow, PyTorch and scikit-learn; ARGS go to pytest.
	.venv-training/bin/python -m pytest $(PARALLEL) tests/training $(ARGS)

test-readers: .venv-readers/installed | reader-programs ## Run the tests of programs that read the tables; ARGS go to pytest.
	.venv-readers/bin/python -m pytest tests/readers $(ARGS)

# A name on the PATH is not enough: R needs its packages, and LibreOffice needs Calc, which does the conversion.
HAS_R = Rscript -e 'for (name in c("bit64", "data.table", "jsonlite")) loadNamespace(name)' >/dev/null 2>&1
HAS_CALC = soffice --headless --version >/dev/null 2>&1 && ls "$$(dirname "$$(readlink -f "$$(command -v soffice)")")"/libsclo.* >/dev/null 2>&1

reader-programs: ## Install R and LibreOffice Calc for the tests of programs that read the tables, or say how.
	@missing=; $(HAS_R) || missing='r-base-core r-cran-bit64 r-cran-data.table r-cran-jsonlite'; \
	$(HAS_CALC) || missing="$$missing libreoffice-calc-nogui"; \
	test -z "$$missing" && exit; \
	if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $$missing; \
	fi >/dev/null || echo 'apt-get could not install all of it.'; \
	$(HAS_R) && $(HAS_CALC) || \
	echo "Some tests of programs that read the tables are skipped; install them with: sudo apt-get install $$missing"

lint: .venv/installed-dev | javascript-tools ## Check style, formatting, types, the floors of imports, spelling, words, and JavaScript.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/ty check --python .venv tests/typed_client.py
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python .ci/prose.py
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[bw]*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	@if test -x $(BIN)/hadolint; then echo '$(BIN)/hadolint Dockerfile'; $(BIN)/hadolint Dockerfile; fi
	@if test -x node_modules/.bin/tsc; then echo 'npm run check'; npm run --silent check; fi

# TypeScript and Prettier check the scripts of the Export tab, at the versions of package-lock.json. No package has them.
javascript-tools: ## Install the tools that check JavaScript, or say how.
	@test node_modules/.package-lock.json -nt package-lock.json && exit; \
	if ! command -v npm && test "$$(id -u)" = 0 && command -v apt-get; then \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends npm; \
	fi >/dev/null || echo 'apt-get could not install npm.'; \
	command -v npm >/dev/null && npm ci --cache .venv/npm-cache --no-audit --no-fund --silent || { rm -rf node_modules; \
	echo 'The JavaScript is not checked, because npm ci failed; if npm is missing: sudo apt-get install npm'; }

# No --quiet: it hides warnings from --strict, which then never fails.
site: .venv/installed-dev ## Build the documentation as a site in build/site; it fetches nothing from elsewhere.
	$(BIN)/python docs/make_site.py build/site-source
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python .ci/site_check.py build/site

wheels: .venv-release/installed ## Build the source distribution and the wheels of this system in dist, and check them.
	.ci/wheels.sh

docs: .venv/installed-base ## Write docs/cli.md and docs/python.md anew.
	$(BIN)/python docs/make_cli_reference.py
	$(BIN)/python docs/make_python_reference.py

# Atheris has wheels for Linux. Clang builds the scanner with sanitizers and with the counters of libFuzzer.
fuzzer: .venv/installed-test
	@for each in .venv .venv-training; do test ! -x $$each/bin/python || $$each/bin/python -c 'import atheris' 2>/dev/null || \
	$(subst $(BIN),$$each/bin,$(PIP)) install --quiet --no-deps --only-binary=:all: 'atheris>=3,<4' || \
	echo 'atheris could not be installed, so inputs are mutated blindly.'; done
	@if ! command -v clang && test "$$(id -u)" = 0 && command -v apt-get; then apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -o DPkg::Lock::Timeout=120 --no-install-recommends clang; \
	fi >/dev/null || echo 'Clang could not be installed by apt-get.'

fuzz: .venv/installed-test fuzzer ## Fuzz all that reads strangers' files, for ten minutes; ARGS='scanner --seconds 60' narrow it.
	$(BIN)/python tests/fuzzing/fuzz.py $(ARGS)

fuzz-models: .venv-training/installed ## Feed mutated model files to every reader; ARGS='--cases 20000' takes half an hour.
	.venv-training/bin/python tests/fuzzing/model_files.py $(ARGS)

trust: .venv/installed-test .venv-training/installed ## Measure the figures of docs/trust.md anew, which takes hours; ARGS are its parts.
	PYTHONPATH=tests $(BIN)/python benchmarks/trust.py $(ARGS)

bench: .venv/installed-test ## Measure all against its peers, and write docs/performance.md; ARGS go to benchmarks/run.py alone.
	@mkdir -p build
	$(BIN)/python benchmarks/run.py --json build/benchmarks.json $(ARGS)
ifeq ($(strip $(ARGS)),)
	$(BIN)/python benchmarks/performance_page.py build/benchmarks.json
	$(BIN)/python benchmarks/frames.py
	$(BIN)/python benchmarks/plugin.py
	$(BIN)/python benchmarks/remote.py
	$(BIN)/python benchmarks/cluster.py
	$(MAKE) .venv-training/installed
	.venv-training/bin/python benchmarks/model_state.py
	.venv-training/bin/python benchmarks/recorders.py
	.venv-training/bin/python benchmarks/torch_recorder.py
endif

clean: ## Remove whatever the other targets made.
	rm -rf .venv .venv-* node_modules build dist demo-tables fuzz-findings benchmarks/.data tb2csv.egg-info
	rm -f tb2csv/_file_batches.c tb2csv/event_files/_scanner.c
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -f $(COMPILED_MODULES)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 10) and \
	"tb2csv needs Python 3.10 or later, but $(PYTHON) is %d.%d; try make PYTHON=python3.12." % v[:2])'
	$(PYTHON) -m venv .venv

# The packages of an environment in the versions of its lock, and only files with these hashes. A lock has all of them, so
# that nothing else is installed on behalf of a package.
LOCKED := install --quiet --no-deps --require-hashes --requirement

# tb2csv itself, with the build tools of the lock. Editable, so that what is tested is what lies here: a copy in .venv
# would be hidden by the sources in this folder, which would then run without the compiled scanner.
TB2CSV := install --quiet --no-deps --no-build-isolation --editable .

# A module that an earlier setup.py built for this Python alone would be imported instead of the new one.
COMPILED_MODULES := $(wildcard tb2csv/_file_batches.*.so tb2csv/event_files/_scanner.*.so tb2csv/event_files/_scanner.*.pyd)

WITH_SCANNER = if $(HAS_COMPILER); then export TB2CSV_REQUIRE_EXT=1; \
	else export TB2CSV_SKIP_EXT=1; echo 'No C compiler was found: the reference scanner does the work.'; fi

# For users, who get the versions of today.
.venv/installed-base: $(BUILD_FILES) | .venv/bin/python
	@rm -f $(COMPILED_MODULES)
	@$(WITH_SCANNER); $(PIP) install --quiet --editable .
	@touch $@

.venv/installed-test: $(BUILD_FILES) requirements/test.txt | .venv/bin/python
	@$(PIP) $(LOCKED) requirements/test.txt
	@rm -f $(COMPILED_MODULES)
	@$(WITH_SCANNER); $(PIP) $(TB2CSV)
	@touch $@

# The linters need no compiled scanner, and leave one that is there.
.venv/installed-dev: $(BUILD_FILES) requirements/dev.txt | .venv/bin/python
	@$(PIP) $(LOCKED) requirements/dev.txt
	@TB2CSV_SKIP_EXT=1 $(PIP) $(TB2CSV)
	@touch $@

# It builds and checks what a release consists of.
.venv-release/installed: requirements/release.txt | .venv/bin/python
	$(PYTHON) -m venv .venv-release
	@$(subst $(BIN),.venv-release/bin,$(PIP)) $(LOCKED) requirements/release.txt
	@touch $@

# The large ones of the programs that read tables, such as ClickHouse, and those of JavaScript if npm is installed.
.venv-readers/installed: pyproject.toml setup.py requirements/readers.txt tests/package.json | .venv/installed-test
	$(PYTHON) -m venv .venv-readers
	@$(subst $(BIN),.venv-readers/bin,$(PIP)) $(LOCKED) requirements/readers.txt
	@TB2CSV_SKIP_EXT=1 $(subst $(BIN),.venv-readers/bin,$(PIP)) $(TB2CSV)
	@cp tests/package.json .venv-readers
	@if command -v npm >/dev/null; then \
	npm install --prefix .venv-readers --cache .venv/npm-cache --no-audit --no-fund --silent; \
	fi || echo 'npm could not install the packages of tests/package.json: the tests of JavaScript are skipped.'
	@touch $@

# The frameworks live in an environment of their own: what reads logs must work, and start fast, without them.
# This torch is the build for processors alone if pip finds it, where its other choices bring gigabytes for graphics cards.
# It is not locked, because such a build is on another index than the other packages.
.venv-training/installed: pyproject.toml setup.py requirements/training.txt | .venv/installed-test
	$(PYTHON) -m venv .venv-training
	@$(subst $(BIN),.venv-training/bin,$(PIP)) $(LOCKED) requirements/training.txt
	@$(subst $(BIN),.venv-training/bin,$(PIP)) install --quiet torch==2.13.0
	@TB2CSV_SKIP_EXT=1 $(subst $(BIN),.venv-training/bin,$(PIP)) $(TB2CSV)
	@touch $@

# One lock for each environment, for Python 3.10 and later on every system. The linters share an environment with the
# tests. Versions that are locked stay unless pyproject.toml needs others, or with --upgrade.
COMPILE = UV_SYSTEM_CERTS=1 UV_CACHE_DIR=$(CURDIR)/.venv/uv-cache UV_CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/uv pip compile \
	--quiet --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-annotate $(ARGS) \
	pyproject.toml requirements/build.in

lock: | .venv/bin/python ## Lock the packages for development with their hashes; ARGS=--upgrade takes the versions of today.
	@$(PIP) install --quiet uv
	$(COMPILE) --extra test --extra test-remote --extra test-dask --output-file requirements/test.txt
	$(COMPILE) --extra release --output-file requirements/release.txt
	$(COMPILE) --extra dev --constraint requirements/test.txt --output-file requirements/dev.txt
	$(COMPILE) --extra test --extra readers --constraint requirements/test.txt --output-file requirements/readers.txt
	$(COMPILE) requirements/training.in --extra test --extra test-training --extra tensorflow --extra torch --extra sklearn \
	--override requirements/without-torch.in --no-emit-package torch --output-file requirements/training.txt
