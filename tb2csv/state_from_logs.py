"""The state of a model at one step of a training, from the weight tensors in its logs.

``tb2csv.recorders.TrainingRecorder`` writes them with tags ``weights/<variable path>``. Tensors of other writers work
as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.decoders import DECODERS
from tb2csv.errors import DecodeError, StateError
from tb2csv.event_files.values import ValueKind, ValueSchema
from tb2csv.late_modules import np
from tb2csv.logdir import logdir_of
from tb2csv.messages import advice
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.match_tensors import PATH
from tb2csv.model_state.structural_names import STRUCTURE, structural_names_of_paths
from tb2csv.model_state.tensors import Buffer, ModelState, StateTensor, array_bytes
from tb2csv.runs.run_reader import RunReader
from tb2csv.selection import select
from tb2csv.tensor_protos import decode_tensor, dtype_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tb2csv.event_files.values import ValueBlock
    from tb2csv.logdir import LogdirSource, Run
    from tb2csv.selection import Patterns
    from tb2csv.size_limits import SizeLimits

#: The prefix of the tags of recorded weights; the rest is the name of a variable.
WEIGHTS: Final = "weights/"

_SHOWN_STEPS: Final = 5


class _Recorded(NamedTuple):
    """A recorded tensor: its value schema, and its payload or, for a scalar, its value; and what it may leave out."""

    schema: ValueSchema
    payload: bytes
    scalar: float
    limits: SizeLimits


class _RunWeights:
    """The weights that a run recorded: the tensors of one step, and all steps that have tensors."""

    def __init__(self, run: Run, prefix: str, step: int, report_bytes: Callable[[int], None]) -> None:
        self.tensors: dict[str, _Recorded] = {}
        self.steps: set[int] = set()
        self._reader = RunReader(run, report_bytes=report_bytes)
        self._limits = run.limits
        self._prefix = prefix
        self._step = step
        self.tags: dict[str, None] = {}
        for block in self._reader.scan():
            self._learn(block)
        self.damage = [damage for file in self._reader.stats.files for damage in file.damage]

    def _learn(self, block: ValueBlock) -> None:
        numbers = self._reader.series_numbers(block)
        wanted = [number for number, stats in enumerate(self._reader.stats.series) if self._is_wanted(stats.series)]
        rows = np.flatnonzero(np.isin(numbers, wanted))
        steps = block.columns.step[rows]
        self.steps.update(np.unique(steps).tolist())
        self.tags |= dict.fromkeys(self._reader.stats.series[number].series.tag for number in np.unique(numbers[rows]))
        for row in rows[steps == self._step].tolist():  # the last one of a tag wins
            tag = self._reader.stats.series[numbers[row]].series.tag
            schema = self._reader.schemas[block.columns.schema_id[row]]
            limits = self._limits.after_unpacking() if block.is_unpacked else self._limits
            self.tensors[tag] = _Recorded(schema, bytes(block.payload(row)), float(block.columns.scalar[row]), limits)

    def _is_wanted(self, series: Any) -> bool:
        """Return whether a series has plain tensors; statistics and histograms use the same prefix."""
        is_plain = not series.plugin_name or series.plugin_name not in DECODERS
        return is_plain and bool(series.tag.startswith(self._prefix))


def recorded_state(
    logdir: LogdirSource,
    step: int,
    *,
    prefix: str = WEIGHTS,
    run: Patterns = None,
    exclude_run: Patterns = None,
    progress: Callable[[int], None] = lambda _: None,
) -> ModelState:
    """Return the tensors that a run recorded at a step.

    Args:
        logdir: a folder, an event file, an fsspec URL, several of them, what ``discover`` returned, or open frames.
        step: the step. If a restart recorded it again, the later tensors are returned.
        prefix: the start of the tags; the rest of a tag becomes the name of the tensor.
        run: one or more shell patterns for the runs to search; None searches all runs. Exactly one must have the
            tensors.
        exclude_run: shell patterns for runs to leave out.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        LogdirError: there are no logs, or no run is selected.
        StateError: no run or several runs recorded such tensors at the step, or a tensor cannot be decoded.
    """
    found = logdir_of(logdir)
    selected = select(run=run, exclude_run=exclude_run)
    by_run = {each.name: _RunWeights(each, prefix, step, progress) for each in selected.choose_runs(found)}
    having = {name: weights for name, weights in by_run.items() if weights.tensors}
    if len(having) > 1:
        fact = f"Runs {', '.join(map(repr, having))} all have tensors at step {step}"
        raise StateError(fact, advice("choose one of them with {}", "run"))
    if not having:
        raise _nothing_found(found.path, by_run, prefix, step)
    ((name, weights),) = having.items()
    names = [tag.removeprefix(prefix) for tag in weights.tensors]
    tensors = tuple(map(_tensor, weights.tensors, names, structural_names_of_paths(names), weights.tensors.values()))
    missing = [tag for tag in weights.tags if tag not in weights.tensors]
    notes = [f"Not recorded at step {step}: {', '.join(missing)}."] if missing else []
    notes += [f"{damage.path}, byte {damage.offset}: {damage.message}" for damage in weights.damage]
    return ModelState("keras", tensors, f"step {step} of run {name!r} in {found.path}", tuple(notes))


def _nothing_found(path: str, by_run: dict[str, _RunWeights], prefix: str, step: int) -> StateError:
    steps = sorted(set().union(*(weights.steps for weights in by_run.values())))
    if not steps:
        return StateError(
            f"{path} has no tensors with tags {prefix}…",
            advice("record them (TrainingRecorder(weights_every=N))"),
            advice("set the prefix of their tags with {}", "prefix"),
        )
    near = sorted(sorted(steps, key=lambda each: abs(each - step))[:_SHOWN_STEPS])
    return StateError(
        f"{path} has no tensors with tags {prefix}… at step {step}; the nearest steps are {', '.join(map(str, near))}."
    )


def _tensor(tag: str, name: str, structure: str, recorded: _Recorded) -> StateTensor:
    try:
        dtype, shape, content = _decoded(recorded)
    except DecodeError as error:
        fact = f"The tensor {tag!r} cannot be decoded: {error.message.fact}"
        raise StateError(fact, *error.message.advice) from error
    # Paths of Keras have slashes, and names of PyTorch have dots.
    layer, _, parameter = name.rpartition("/" if "/" in name else ".")
    aliases = {PATH: name, STRUCTURE: structure}
    return StateTensor(name, dtype, shape, lambda: content, layer=layer, parameter=parameter, aliases=aliases)


def _decoded(recorded: _Recorded) -> tuple[str, tuple[int, ...], Buffer]:
    """Return dtype, shape and little-endian bytes of a recorded tensor, bit for bit."""
    schema = recorded.schema
    name = dtype_name(schema.dtype)
    if schema.kind == ValueKind.SCALAR_TENSOR:
        return name, (), array_bytes(np.array([recorded.scalar], DTYPES[name].stored))
    known = DTYPES.get({"string": "bytes"}.get(name, name))
    if known is None:
        message = f"its dtype {name} has no form in a table"
        raise DecodeError(message)
    if schema.kind == ValueKind.TENSOR_CONTENT and schema.shape is not None and known.item_size:
        return name, schema.shape, recorded.payload
    array = decode_tensor(recorded.payload, recorded.limits)
    if known.strings:
        return known.name, array.shape, known.encode(array)
    if array.dtype != np.dtype(known.stored) and known.is_float:  # decoding widened it, like bfloat16
        return name, array.shape, array_bytes(known.narrow(np.ascontiguousarray(array).reshape(-1)))
    return name, array.shape, array_bytes(array)
