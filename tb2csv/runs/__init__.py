"""Runs: their event files read in order, their restarts and sub-runs, and what is asked of them."""
