"""Sinks: tables to files, whole or not at all, by names that are safe everywhere."""
