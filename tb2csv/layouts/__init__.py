"""Layouts: the rows that share a table, and the path of each table."""
