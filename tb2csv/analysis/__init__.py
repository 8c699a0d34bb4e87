"""What is asked of a log after the training: summaries, reductions, plots, findings."""
