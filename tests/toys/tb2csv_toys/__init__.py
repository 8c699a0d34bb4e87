"""A package that adds a decoder, a format and a layout to tb2csv."""
