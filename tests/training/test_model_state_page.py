"""The blocks of docs/model_state.md about JAX and Orbax, run as they are written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb2csv.model_state import export_state, load_state, state_of

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
ocp = pytest.importorskip("orbax.checkpoint")

PAGE = Path(__file__).parents[2] / "docs/model_state.md"


@pytest.mark.slow
def test_trees_and_checkpoints_are_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, trees, checkpoints = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    params = {"kernel": jax.numpy.array([1.5, -2.0])}
    scope: dict[str, Any] = {
        "export_state": export_state,
        "load_state": load_state,
        "state_of": state_of,
        "params": params,
        "opt_state": optax.adam(0.1).init(params),
        "key": jax.random.PRNGKey(3),
    }
    exec(trees, scope)
    assert scope["restored"]["params"]["kernel"].tolist() == [1.5, -2.0]
    np.testing.assert_array_equal(scope["restored"]["key"], scope["key"])
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "checkpoints", {"params": params, "optimizer": scope["opt_state"]})
    scope["params"] = {"kernel": jax.numpy.zeros(2)}
    exec(checkpoints, scope)
    assert scope["restored"]["params"]["kernel"].tolist() == [1.5, -2.0]
