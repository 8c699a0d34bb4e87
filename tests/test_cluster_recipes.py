"""The recipes of docs/scale.md, with programs of the cluster that start everything on this machine."""

from __future__ import annotations

import os
import re
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from event_files import event, simple_value, write_run
from tables import read_tree

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("distributed")

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
SLURM, KUBERNETES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)

#: Starts a job at once, in a process group of its own, and prints what dask-jobqueue looks for.
SBATCH = """#!/bin/sh
cp "$1" "{folder}/job.$$"
setsid bash "{folder}/job.$$" > "{folder}/job.$$.log" 2>&1 &
echo "Submitted batch job $!"
echo "$!" >> "{folder}/jobs"
"""
SCANCEL = """#!/bin/sh
kill -TERM -- "-$1"
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="setsid"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """Return the shared folder, with logs; at the end, compare the tables with those of a conversion here."""
    for number in range(20):
        write_run(tmp_path / f"logs/{number}", *(event(simple_value("loss", step), step=step) for step in range(9)))
    yield tmp_path
    tb2csv.convert(tmp_path / "logs", tmp_path / "local")
    assert read_tree(tmp_path / "tables") == read_tree(tmp_path / "local")


def run(code: str, shared: Path) -> None:
    """Run the code of a recipe with two workers, and with another shared folder."""
    assert code.count("50") == 1
    exec(code.replace('"/shared', f'"{shared}').replace("50", "2"), {})


def test_the_slurm_recipe_starts_workers_of_one_thread(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dask_jobqueue")
    programs = shared / "bin"
    programs.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (programs / name).write_text(text.format(folder=shared))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PAGE.parents[1]), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.chdir(shared)
    run(SLURM, shared)
    jobs = (shared / "jobs").read_text().split()
    scripts = [path.read_text() for path in shared.glob("job.*") if path.suffix != ".log"]
    assert (len(jobs), len(scripts)) == (2, 2)
    for script in scripts:
        assert "#SBATCH --cpus-per-task=1\n" in script
        assert "#SBATCH -t 08:00:00\n" in script
        assert " --nthreads 1 " in script


def test_the_kubernetes_recipe_mounts_the_volume_in_workers(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The specification is dask-kubernetes' own if it is installed, and otherwise has its shape."""
    distributed = pytest.importorskip("distributed")
    specs: list[dict[str, Any]] = []

    class KubeCluster(distributed.LocalCluster):  # type: ignore[misc,name-defined]
        def __init__(self, *, custom_cluster_spec: dict[str, Any]) -> None:
            specs.append(custom_cluster_spec)
            count = custom_cluster_spec["spec"]["worker"]["replicas"]
            super().__init__(n_workers=count, threads_per_worker=1, dashboard_address=None)

    try:
        from dask_kubernetes.operator import make_cluster_spec
    except ImportError:
        make_cluster_spec = spec_of_dask_kubernetes
    module = types.ModuleType("dask_kubernetes.operator")
    module.KubeCluster, module.make_cluster_spec = KubeCluster, make_cluster_spec  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dask_kubernetes.operator", module)
    run(KUBERNETES, shared)
    (spec,) = specs
    pod = spec["spec"]["worker"]["spec"]
    (container,) = pod["containers"]
    assert container["args"][:4] == ["dask", "worker", "--nthreads", "1"]
    assert [mount["name"] for mount in container["volumeMounts"]] == [volume["name"] for volume in pod["volumes"]]
    assert container["image"] == "IMAGE"


def spec_of_dask_kubernetes(name: str, *, image: str, n_workers: int, worker_command: str) -> dict[str, Any]:
    """Return what ``make_cluster_spec`` of dask-kubernetes 2026.3.0 makes of these arguments, for the workers."""
    container = {
        "name": "worker",
        "image": image,
        "args": [*worker_command.split(" "), "--name", "$(DASK_WORKER_NAME)"],
    }
    worker = {"replicas": n_workers, "spec": {"containers": [container]}}
    return {"kind": "DaskCluster", "metadata": {"name": name}, "spec": {"worker": worker}}
