"""Weights and training state of Keras, PyTorch, JAX, scikit-learn and TensorFlow as CSV tables, and back, bit for bit.

To continue a training later, a framework's own checkpoints are the better tool: smaller, faster, and made for it.
"""

from tb2csv.model_state.differences import TensorDifference, diff_states
from tb2csv.model_state.restoring import Loaded, export_state, load_state, restore_file, state_of
from tb2csv.model_state.state_csv import STYLES, read_state, write_state
from tb2csv.model_state.tensors import ModelState, StateTensor

__all__ = [
    "STYLES",
    "Loaded",
    "ModelState",
    "StateTensor",
    "TensorDifference",
    "diff_states",
    "export_state",
    "load_state",
    "read_state",
    "restore_file",
    "state_of",
    "write_state",
]
