"""The recorder for PyTorch: gradients that optimizers apply, outputs of modules, and their errors."""
