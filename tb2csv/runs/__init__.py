"""Runs: their event files read in order, their restarts and sub-runs, and their series and values."""
