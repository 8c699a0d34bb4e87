"""Plots of a log directory, drawn by matplotlib; ``plot.plot`` draws one."""
