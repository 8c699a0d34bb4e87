"""What is wrong with a network, by what its training wrote: gradients, weights, layer errors, outputs and losses."""
