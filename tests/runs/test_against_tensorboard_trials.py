"""The table of trials against the one that TensorBoard's own HParams plugin makes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from event_files import event, hparams_experiment, hparams_start, scalar, write_run
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tensorboard import context
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

import tb2csv
from tb2csv.runs.trial_metrics import Metric

if TYPE_CHECKING:
    import polars as pl

SAMPLE_LOGS = Path(__file__).resolve().parents[2] / "sample_logs"


class TensorboardTrials(NamedTuple):
    """TensorBoard's table: the metrics, and of each session its group and the last values of its metrics."""

    metrics: set[Metric]
    groups: dict[str, str]
    values: dict[str, dict[Metric, float]]


def trials_of_tensorboard(logdir: Path) -> TensorboardTrials:
    """Return what the HParams plugin answers to its page."""
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(logdir))
    request_context = context.RequestContext()
    backend = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    experiment = backend.experiment_from_metadata(
        request_context,
        "",
        include_metrics=True,
        hparams_run_to_tag_to_content=backend.hparams_metadata(request_context, ""),
        data_provider_hparams=backend.hparams_from_data_provider(request_context, "", limit=1000),
    )
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0, slice_size=1000, include_metrics=True, allowed_statuses=[0, 1, 2, 3]
    )
    answer = list_session_groups.Handler(request_context, backend, "", request).run()
    groups, values = {}, {}
    for group in answer.session_groups:
        for session in group.sessions:
            groups[session.name] = group.name
            values[session.name] = {
                Metric(each.name.group, each.name.tag): each.value for each in session.metric_values
            }
    return TensorboardTrials({Metric(i.name.group, i.name.tag) for i in experiment.metric_infos}, groups, values)


def metric_columns(table: pl.DataFrame) -> set[str]:
    """Return the columns of last values."""
    return {name.removesuffix(":max_step") for name in table.columns if name.endswith(":max_step")}


def last_values(table: pl.DataFrame) -> dict[str, dict[str, float]]:
    """Return by run the last values of its metrics, by the names of their columns."""
    names = metric_columns(table)
    return {
        row["run"]: {name: row[name] for name in names if row[name] is not None} for row in table.iter_rows(named=True)
    }


def labelled(values: dict[Metric, float]) -> dict[str, float]:
    return {metric.label: value for metric, value in values.items()}


SAMPLES = [".", *sorted(path.name for path in SAMPLE_LOGS.iterdir() if path.is_dir())]


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_trials_equal_those_of_tensorboard(name: str) -> None:
    theirs, ours = trials_of_tensorboard(SAMPLE_LOGS / name), tb2csv.open_logdir(SAMPLE_LOGS / name).hparams()
    groups = {row["run"]: row["session_group"] or row["run"] for row in ours.iter_rows(named=True)}
    assert groups == theirs.groups
    # TensorBoard knows the first experiment of a log only.
    assert metric_columns(ours) >= {metric.label for metric in theirs.metrics}
    found = last_values(ours)
    for run, values in theirs.values.items():
        shown = {label: found[run][label] for label in labelled(values)}
        assert shown == pytest.approx(labelled(values), rel=1e-6)


def test_some_sample_logs_have_trials() -> None:
    assert len(trials_of_tensorboard(SAMPLE_LOGS).groups) == 6


RUNS = st.lists(st.sampled_from(["a", "b", "train"]), min_size=1, max_size=4).map("/".join)
SCALARS = st.dictionaries(st.sampled_from(["loss", "acc", "rate"]), st.floats(-4, 4, width=32), max_size=3)
RUN = st.tuples(st.booleans(), st.sampled_from(["", "", "g0", "g1"]), SCALARS)
METRICS = st.lists(
    st.tuples(st.sampled_from(["", "a", "train", "b/train"]), st.sampled_from(["loss", "acc"])), min_size=1, unique=True
)


@settings(max_examples=150, deadline=None)
@given(
    tree=st.dictionaries(RUNS, RUN, min_size=1, max_size=10),
    of_root=SCALARS,
    named=st.none() | METRICS,
)
@pytest.mark.slow
def test_trials_of_any_tree_equal_those_of_tensorboard(
    tree: dict[str, tuple[bool, str, dict[str, float]]],
    of_root: dict[str, float],
    named: list[tuple[str, str]] | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Trials are nested, share groups, and have scalars in their own runs and in those below."""
    assume(any(is_trial for is_trial, _, _ in tree.values()))
    logdir = tmp_path_factory.mktemp("tree")
    write_run(
        logdir,
        event(),
        *([event(hparams_experiment(["units"], named))] if named else []),
        *(event(scalar(tag, value), step=1) for tag, value in of_root.items()),
    )
    for run, (is_trial, group, scalars) in tree.items():
        write_run(
            logdir / run,
            event(),
            *([event(hparams_start({"units": 8}, group_name=group))] if is_trial else []),
            *(event(scalar(tag, value), step=1) for tag, value in scalars.items()),
        )
    theirs, ours = trials_of_tensorboard(logdir), tb2csv.open_logdir(logdir).hparams()
    assert metric_columns(ours) == {metric.label for metric in theirs.metrics}
    assert last_values(ours) == {run: labelled(values) for run, values in theirs.values.items()}
    groups = {row["run"]: row["session_group"] or row["run"] for row in ours.iter_rows(named=True)}
    assert groups == theirs.groups


def test_executions_of_one_trial_are_rows_of_one_group(tmp_path: Path) -> None:
    """KerasTuner runs each trial several times, and gives all of these one group."""
    for trial in ("0001", "0002"):
        for execution in ("execution0", "execution1"):
            folder = tmp_path / trial / execution
            value = int(trial) + int(execution[-1]) / 4
            write_run(folder, event(hparams_start({"units": 8}, group_name=trial, start=1)))
            write_run(folder / "train", event(scalar("epoch_loss", value)))
            write_run(folder / "validation", event(scalar("epoch_loss", 2 * value)))
    ours = tb2csv.open_logdir(tmp_path).hparams()
    assert ours.select("run", "session_group", "train/epoch_loss", "validation/epoch_loss").rows() == [
        ("0001/execution0", "0001", 1.0, 2.0),
        ("0001/execution1", "0001", 1.25, 2.5),
        ("0002/execution0", "0002", 2.0, 4.0),
        ("0002/execution1", "0002", 2.25, 4.5),
    ]
    theirs = trials_of_tensorboard(tmp_path)
    assert theirs.metrics == {Metric("train", "epoch_loss"), Metric("validation", "epoch_loss")}
    assert last_values(ours) == {run: labelled(values) for run, values in theirs.values.items()}


def test_a_group_that_ends_in_a_slash_is_the_run_without_it(tmp_path: Path) -> None:
    write_run(tmp_path, event(hparams_experiment(["rate"], [("validation/", "acc")])))
    write_run(tmp_path / "a", event(hparams_start({"rate": 1})))
    write_run(tmp_path / "a" / "validation", event(scalar("acc", 0.5)))
    assert trials_of_tensorboard(tmp_path).values == {"a": {Metric("validation/", "acc"): 0.5}}
    assert tb2csv.open_logdir(tmp_path).hparams()["validation/acc"].to_list() == [0.5]


def test_a_trial_in_the_root_run_has_metrics(tmp_path: Path) -> None:
    """TensorBoard 2.21 looks for them in a run ``./.``, and shows none."""
    write_run(tmp_path, event(hparams_start({"rate": 1}), scalar("loss", 2)))
    write_run(tmp_path / "validation", event(scalar("loss", 3)))
    assert trials_of_tensorboard(tmp_path).values == {".": {}}
    assert last_values(tb2csv.open_logdir(tmp_path).hparams()) == {".": {"loss": 2, "validation/loss": 3}}
