"""``TransformersRecorder`` records what a loop of plain PyTorch computes, at the steps of the Trainer's logs."""

from __future__ import annotations

import copy
import gc
import pickle
import runpy
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
import torch
from recordings import assert_recorded, at, event_files, gradients_of, recorded, steps, weights_of
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainerCallback, TrainingArguments

import tb2csv
from tb2csv.errors import RecorderError
from tb2csv.recorders import TransformersRecorder

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = 0.5
GENERATOR = torch.Generator().manual_seed(1)
DATA = [
    {"input_ids": torch.randint(0, 20, (4,), generator=GENERATOR), "labels": torch.tensor(number % 2)}
    for number in range(12)
]


@pytest.fixture(autouse=True, scope="module")
def _is_fast() -> Iterator[None]:
    """Use one thread for small tensors, and keep the frameworks out of the collections that a training begins with."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    gc.freeze()
    yield
    gc.unfreeze()
    torch.set_num_threads(threads)


def network() -> BertForSequenceClassification:
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    dropouts = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertForSequenceClassification(BertConfig(vocab_size=20, max_position_embeddings=4, **sizes, **dropouts))


class Collator:
    """Keeps the batches of a training, which the Trainer shuffles."""

    def __init__(self) -> None:
        self.batches: list[dict[str, torch.Tensor]] = []

    def __call__(self, rows: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        self.batches.append({name: torch.stack([row[name] for row in rows]) for name in rows[0]})
        return dict(self.batches[-1])


def trainer(folder: Path, *callbacks: Any, model: nn.Module | None = None, **options: Any) -> Any:
    model = model or network()
    plain = {"output_dir": str(folder), "per_device_train_batch_size": 3, "num_train_epochs": 1, "logging_steps": 1}
    quiet = {"disable_tqdm": True, "save_strategy": "no", "lr_scheduler_type": "constant", "use_cpu": True}
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    arguments = TrainingArguments(**(plain | quiet | {"max_grad_norm": 0.0} | options))
    runner = Trainer(
        model,
        arguments,
        data_collator=Collator(),
        train_dataset=DATA,
        eval_dataset=DATA[:4],
        callbacks=list(callbacks),
        optimizers=(optimizer, None),
    )
    # Otherwise, transformers 5.24.0 adds up the losses of accumulated batches instead of taking their mean.
    runner.model_accepts_loss_kwargs = False
    return runner


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"num_train_epochs": 2},
    "evaluated": {"eval_strategy": "steps", "eval_steps": 2, "eval_on_start": True},
    "accumulated": {"gradient_accumulation_steps": 2},
    "clipped": {"max_grad_norm": 0.01},
    "mixed": {"bf16": True},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_recording_equals_a_loop_of_plain_torch(name: str, tmp_path: Path) -> None:
    settings = SETTINGS[name]
    recorder = TransformersRecorder(tmp_path / "run", gradients_every=1, weights_every=1, layer_errors_every=1)
    runner = trainer(tmp_path, recorder, **settings)
    runner.train()
    found = recorded(tmp_path / "run")
    net = network().train()
    errors: list[Any] = []

    def take_error(_: Any, __: Any, output: torch.Tensor) -> None:
        output.register_hook(errors.append)

    net.classifier.register_forward_hook(take_error)
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
    assert_recorded(found, "weights/", 0, weights_of(net))
    accumulate = settings.get("gradient_accumulation_steps", 1)
    step = 1
    batches = [batch for batch in runner.data_collator.batches if len(batch["labels"]) == 3]
    for number, batch in enumerate(batches, 1):
        with torch.autocast("cpu", torch.bfloat16) if name == "mixed" else nullcontext():
            loss = net(**batch)["loss"]
        (loss / accumulate).backward()
        if number % accumulate:
            continue
        if name == "clipped":
            nn.utils.clip_grad_norm_(net.parameters(), 0.01)
        assert_recorded(found, "gradients/", step, gradients_of(net))
        error = at(found["layer_errors/classifier"], step).astype(np.float32)
        np.testing.assert_array_equal(error, errors[-1].float().numpy())
        optimizer.step()
        assert_recorded(found, "weights/", step, weights_of(net))
        optimizer.zero_grad()
        step += 1
    assert steps(found["gradients/classifier.weight"]) == steps(found["batch/learning_rate"]) == list(range(1, step))
    assert at(found["batch/epoch"], step - 1) == settings.get("num_train_epochs", 1) - 1
    assert_recorded(found, "weights/", step - 1, weights_of(runner.model))
    assert steps(found["train/loss"]) == list(range(1, step))


def test_weights_after_a_training_are_the_same_without_a_recorder(tmp_path: Path) -> None:
    options = {"optim": "adamw_torch_fused", "max_grad_norm": 1.0}
    recorder = TransformersRecorder(tmp_path / "run", gradient_histograms_every=1, activation_statistics_every=1)
    runners = [trainer(tmp_path, *callbacks, **options) for callbacks in ((recorder,), ())]
    for runner in runners:
        runner.train()
    for one, other in zip(*(runner.model.parameters() for runner in runners), strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow
def test_tables_have_what_the_trainer_and_the_recorder_wrote(tmp_path: Path) -> None:
    recorder = TransformersRecorder(gradient_statistics_every=2, gradients_every=2, weights_every=1)
    runner = trainer(tmp_path / "out", recorder, report_to="tensorboard")
    runner.train()
    report = tb2csv.convert(tmp_path / "out/runs", tmp_path / "tables")
    # The Trainer logs the last epoch twice; neither file is taken for a restart.
    assert [(note.kind, note.counts) for note in report.notes] == [("steps_repeated", (("train/epoch", 1),))]
    (run,) = report.runs
    folder = tmp_path / "tables" / run.run
    losses = pl.read_csv(folder / "scalars/train/loss.csv")
    assert losses["step"].to_list() == [1, 2, 3, 4]
    expected = network()(**runner.data_collator.batches[0])["loss"]
    assert losses["value"][0] == pytest.approx(expected.item(), abs=1e-4)  # the Trainer rounds it
    norms = pl.read_csv(folder / "scalars/gradients/classifier.weight/norm.csv")
    weights, gradients = (
        pl.read_csv(folder / f"tensors/{family}/classifier.weight.csv") for family in ("weights", "gradients")
    )
    for step, norm in norms.select("step", "value").iter_rows():
        before, after, gradient = (
            table.filter(pl.col("step") == at)["value"].to_numpy()
            for table, at in ((weights, step - 1), (weights, step), (gradients, step))
        )
        assert norm == pytest.approx(np.linalg.norm((before - after) / RATE), rel=1e-3)
        assert gradient == pytest.approx((before - after) / RATE, rel=1e-2, abs=1e-6)
    assert norms["step"].to_list() == [2, 4]


def test_default_folder_is_the_one_that_the_trainer_would_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer(tmp_path, TransformersRecorder(), max_steps=1).train()
    (folder,) = (tmp_path / "runs").iterdir()
    assert steps(recorded(folder)["train/loss"]) == [1]
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "chosen"))
    trainer(tmp_path, TransformersRecorder(), max_steps=1, eval_strategy="steps").train()
    assert steps(recorded(tmp_path / "chosen")["eval/loss"]) == [1]


def test_steps_continue_after_a_checkpoint(tmp_path: Path) -> None:
    first = trainer(tmp_path, TransformersRecorder(tmp_path / "run"), max_steps=2, save_strategy="steps", save_steps=2)
    first.train()
    recorder = TransformersRecorder(tmp_path / "run", gradients_every=1, weights_every=1)
    trainer(tmp_path, recorder, max_steps=4).train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    found = recorded(tmp_path / "run")
    assert steps(found["batch/learning_rate"]) == [1, 2, 3, 4]
    assert steps(found["weights/classifier.weight"]) == steps(found["gradients/classifier.weight"]) == [3, 4]


class Failing(TrainerCallback):
    def on_step_end(self, arguments: Any, state: Any, *_: Any, **__: Any) -> None:
        if state.global_step == 2:
            message = "no more"
            raise ValueError(message)


def test_a_block_closes_the_file_after_an_exception(tmp_path: Path) -> None:
    with TransformersRecorder(tmp_path / "run", activations_every=1, weights_every=1) as recorder:
        runner = trainer(tmp_path, recorder, Failing())
        with pytest.raises(ValueError, match="no more"):
            runner.train()
        assert any(each._forward_hooks for each in runner.model.modules())
    assert not any(each._forward_hooks for each in runner.model.modules())
    assert steps(recorded(tmp_path / "run")["weights/classifier.weight"]) == [0, 1, 2]


def test_another_training_ends_one_that_failed(tmp_path: Path) -> None:
    recorder = TransformersRecorder(tmp_path / "run", activations_every=1, layers=["classifier"])
    with pytest.raises(ValueError, match="no more"):
        trainer(tmp_path, recorder, Failing()).train()
    trainer(tmp_path, recorder, max_steps=2).train()
    assert steps(recorded(tmp_path / "run")["activations/classifier"]) == [1, 2, 1, 2]
    assert len(event_files(tmp_path / "run")) == 2


def test_nothing_is_written_without_a_training(tmp_path: Path) -> None:
    runner = trainer(tmp_path, TransformersRecorder(tmp_path / "run", activations_every=1, weights_every=1))
    runner.evaluate()
    runner.predict(DATA[:3])
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_recorded_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="gradient_every"):
        TransformersRecorder(gradient_every=1)  # type: ignore[call-arg]
    with pytest.raises(RecorderError, match="weights_every=0"):
        TransformersRecorder(weights_every=0)
    runner = trainer(tmp_path, TransformersRecorder(tmp_path / "run", layer_errors_every=1))
    monkeypatch.setattr(TrainingArguments, "n_gpu", 2)
    with pytest.raises(RecorderError, match="DataParallel"):
        runner.callback_handler.on_train_begin(runner.args, runner.state, runner.control)


def test_copies_record_for_themselves(tmp_path: Path) -> None:
    class Copying(TransformersRecorder):
        def on_step_end(self, *arguments: Any, **others: Any) -> None:
            super().on_step_end(*arguments, **others)
            self.copies = [copy.deepcopy(self), pickle.loads(pickle.dumps(recorder))]

    recorder = TransformersRecorder(tmp_path / "other", gradients_every=2)
    copying = Copying(tmp_path / "run", gradients_every=1)
    trainer(tmp_path, copying, max_steps=2).train()
    trainer(tmp_path, copying.copies[1], max_steps=2).train()
    assert steps(recorded(tmp_path / "run")["gradients/classifier.weight"]) == [1, 2]
    assert steps(recorded(tmp_path / "other")["gradients/classifier.weight"]) == [2]
    assert vars(copying.copies[0])["_recorder"] is None


def test_the_example_writes_tables_of_one_run(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "examples/transformers_training.py"
    assert len(source.read_text(encoding="utf-8").splitlines()) <= 40
    runpy.run_path(str(source))["main"](tmp_path)
    tables = tmp_path / "tables/run"
    losses = pl.read_csv(tables / "scalars/train/loss.csv")
    assert losses["step"].to_list() == [1, 2, 3]
    x = np.linspace(-1, 1, 8)
    for step, loss in losses.select("step", "value").iter_rows():  # by hand, from the weights before the step
        slope, offset, gradient = (
            pl.read_csv(tables / f"tensors/{name}.csv").filter(pl.col("step") == at)["value"].item()
            for name, at in (
                ("weights/layer.weight", step - 1),
                ("weights/layer.bias", step - 1),
                ("gradients/layer.weight", step),
            )
        )
        distance = slope * x + offset - 2 * x - 1
        assert loss == pytest.approx(np.mean(distance**2), rel=1e-3)
        whole = np.array([np.mean(2 * distance * x), np.mean(2 * distance)])
        clipped = whole / max(1.0, np.linalg.norm(whole))  # max_grad_norm is 1
        assert gradient == pytest.approx(clipped[0], rel=1e-3)
