"""The recipes of docs/scale.md, with programs of the cluster that start everything on this machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from commands import environment
from event_files import event, simple_value, write_run
from installed import skip_module_without
from tables import read_tree

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Iterator

skip_module_without("distributed")

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

#: In place of dask-kubernetes: a local cluster, and what its version 2026.3.0 makes for the workers.
OPERATOR = """
import json
from distributed import LocalCluster

class KubeCluster(LocalCluster):
    def __init__(self, *, custom_cluster_spec):
        with open("spec.json", "w") as file:
            json.dump(custom_cluster_spec, file)
        count = custom_cluster_spec["spec"]["worker"]["replicas"]
        super().__init__(n_workers=count, threads_per_worker=1, dashboard_address=None)

def make_cluster_spec(name, *, image, n_workers, worker_command):
    args = [*worker_command.split(" "), "--name", "$(DASK_WORKER_NAME)"]
    container = {"name": "worker", "image": image, "args": args}
    worker = {"replicas": n_workers, "spec": {"containers": [container]}}
    return {"kind": "DaskCluster", "metadata": {"name": name}, "spec": {"worker": worker}}
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="setsid"),
]


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """Return the shared folder, with logs; at the end, compare the tables with those of a conversion here."""
    for number in range(20):
        write_run(tmp_path / f"logs/{number}", *(event(simple_value("loss", step), step=step) for step in range(9)))
    yield tmp_path
    tb2csv.convert(tmp_path / "logs", tmp_path / "local")
    assert read_tree(tmp_path / "tables") == read_tree(tmp_path / "local")


def run(code: str, shared: Path, **variables: str) -> None:
    """Run the code of a recipe with two workers, and with another shared folder."""
    assert code.count("50") == 1
    done = subprocess.run(
        [sys.executable, "-c", code.replace('"/shared', f'"{shared}').replace("50", "2")],
        cwd=shared,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr


def paths(*first: Path) -> str:
    return os.pathsep.join(map(str, (*first, PAGE.parents[1], os.environ.get("PYTHONPATH", ""))))


def test_the_slurm_recipe_starts_workers_of_one_thread(shared: Path) -> None:
    pytest.importorskip("dask_jobqueue")
    programs = shared / "bin"
    programs.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (programs / name).write_text(text.format(folder=shared))
        (programs / name).chmod(0o755)
    run(SLURM, shared, PATH=f"{programs}:{os.environ['PATH']}", PYTHONPATH=paths())
    jobs = (shared / "jobs").read_text().split()
    scripts = [path.read_text() for path in shared.glob("job.*") if path.suffix != ".log"]
    assert (len(jobs), len(scripts)) == (2, 2)
    for script in scripts:
        assert "#SBATCH --cpus-per-task=1\n" in script
        assert "#SBATCH -t 08:00:00\n" in script
        assert " --nthreads 1 " in script


def test_the_kubernetes_recipe_mounts_the_volume_in_workers(shared: Path) -> None:
    package = shared / "packages/dask_kubernetes"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "operator.py").write_text(OPERATOR)
    run(KUBERNETES, shared, PYTHONPATH=paths(package.parent))
    pod = json.loads((shared / "spec.json").read_text())["spec"]["worker"]["spec"]
    (container,) = pod["containers"]
    assert container["args"][:4] == ["dask", "worker", "--nthreads", "1"]
    assert [mount["name"] for mount in container["volumeMounts"]] == [volume["name"] for volume in pod["volumes"]]
    assert container["image"] == "IMAGE"
