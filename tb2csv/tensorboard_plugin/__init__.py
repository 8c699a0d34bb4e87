"""TensorBoard's Export tab: everything in the log directory as tables, from the browser."""
