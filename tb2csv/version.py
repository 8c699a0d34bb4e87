"""The version of tb2csv, which the package's metadata take from here."""

from typing import Final

__version__: Final = "0.1.0"
