"""Which rows go to which table, and which table to which file."""
