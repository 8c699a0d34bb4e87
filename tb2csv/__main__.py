"""``python -m tb2csv`` is ``tb2csv``."""

from tb2csv.cli import main

if __name__ == "__main__":
    main()
