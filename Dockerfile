# tb2csv without a Python of one's own: docs/install.md has the commands that build and run it.
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY tb2csv tb2csv
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc=4:* libc6-dev=2.* \
    && rm -rf /var/lib/apt/lists/*
RUN TB2CSV_REQUIRE_EXT=1 python -m pip wheel --no-cache-dir --wheel-dir /wheels '.[plot,excel,s3,http,zst]'

FROM python:3.13-slim
# The user may be another one (docker run --user), who has no home folder that can be written to.
ENV MPLCONFIGDIR=/tmp
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    python -m pip install --no-cache-dir --root-user-action=ignore --no-index /wheels/*.whl \
    && useradd --create-home --uid 1000 tb2csv
USER 1000
WORKDIR /logs
ENTRYPOINT ["tb2csv"]
CMD ["--help"]
