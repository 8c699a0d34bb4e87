"""Check that the files of a release belong together: ``release_check.py TAG FOLDER`` ends with 1 if not."""

import pathlib
import re
import sys

import tomllib

ROOT = pathlib.Path(__file__).parents[1]


def problems(tag: str, names: list[str]) -> list[str]:
    """Return what is wrong with a tag and the names of files to be published, one sentence each."""
    source = (ROOT / "tb2csv" / "version.py").read_text(encoding="utf-8")
    version = re.findall(r'^__version__: Final = "(.+)"$', source, re.MULTILINE)[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = []
    if tag != f"v{version}":
        found.append(f"The tag is {tag}, but tb2csv/version.py has {version}.")
    if f"## [{version}]" not in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"):
        found.append(f"CHANGELOG.md has no section [{version}].")
    if "urls" not in project:
        found.append("pyproject.toml has no project.urls, so the page of the package would lead nowhere.")
    kinds = {
        "the source distribution": r"\.tar\.gz",
        "a wheel without compiled modules": r"-py3-none-any\.whl",
        "a wheel for Python 3.10 on Linux": r"-cp310-cp310-manylinux.*x86_64.*\.whl",
        "a wheel for later versions on Linux": r"-cp311-abi3-manylinux.*x86_64.*\.whl",
        "a wheel for later versions on macOS": r"-cp311-abi3-macosx.*\.whl",
        "a wheel for later versions on Windows": r"-cp311-abi3-win_amd64\.whl",
    }
    for kind, ending in kinds.items():
        pattern = re.compile(f"tb2csv-{re.escape(version)}{ending}")
        if not any(pattern.fullmatch(name) for name in names):
            found.append(f"There is no file for {kind}.")
    others = [name for name in names if not name.startswith(f"tb2csv-{version}")]
    return found + [f"{name} is not of version {version}." for name in others]


if __name__ == "__main__":
    found = problems(sys.argv[1], sorted(path.name for path in pathlib.Path(sys.argv[2]).iterdir()))
    print(*found, sep="\n")
    sys.exit(bool(found))
