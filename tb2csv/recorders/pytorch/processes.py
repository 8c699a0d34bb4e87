"""The place of this process among those that train together."""

from __future__ import annotations

import sys


def is_other_process() -> bool:
    """Return whether this is not the first of several processes that train together."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return False
    return bool(distributed.get_rank() > 0)
