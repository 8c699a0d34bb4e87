"""Analyses of a log directory: summaries, statistics across runs, plots, trials, layer errors and diagnosis."""
