"""Diagnosis of training problems from logged gradients, weights, layer errors, activations and losses."""
