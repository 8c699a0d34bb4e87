"""The ranking of runs by a scalar, with their hyperparameters."""
