"""The recorder as a callback of the Trainer of transformers."""

from __future__ import annotations

import glob
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback
from transformers.integrations.integration_utils import default_logdir, rewrite_logs

from tb2csv.errors import RecorderError
from tb2csv.recorders.context_manager import ContextManager
from tb2csv.recorders.pytorch.trainer_recorder import TrainerRecorder, check_options

if TYPE_CHECKING:
    import torch
    from typing_extensions import Unpack

    from tb2csv.recorders.pytorch.trainer_recorder import TorchOptions


# The linters have no transformers.
class TransformersRecorder(ContextManager, TrainerCallback):  # type: ignore[misc]
    """Records gradients, weights, outputs and learning rates of ``Trainer.train`` beside its logs for TensorBoard.

    ::

        trainer = Trainer(model, args, callbacks=[TransformersRecorder(gradient_statistics_every=1)], …)

    Steps are those of the Trainer, ``state.global_step`` in its logs: step n has the gradients that the optimizer
    applied in the n-th step, and the weights after it. Weights at step 0 are those before the training.

    What the Trainer logs is recorded under the tags that TensorBoardCallback uses, such as ``train/loss``, unless
    ``report_to`` has ``tensorboard`` and it is there already.

    The file is closed when ``train`` returns. No callback sees an exception in it: the values up to then are in the
    file, and ``with TransformersRecorder(…) as recorder:`` around the training closes it.
    """

    def __init__(self, log_dir: str | os.PathLike[str] | None = None, **options: Unpack[TorchOptions]) -> None:
        """Check the options; hooks are set when a training begins.

        Args:
            log_dir: a local folder, of one run. If None, it is that of TensorBoardCallback, or the one that it would
                take: ``TENSORBOARD_LOGGING_DIR``, or a new folder below ``<output_dir>/runs``.
            options: those of TorchRecorder, except for the optimizer, its first step and the scaler.

        Raises:
            TypeError: an option does not exist.
            RecorderError: an argument is not valid.
        """
        check_options(log_dir, options)
        self._log_dir = log_dir
        self._options = options
        self._recorder: TrainerRecorder | None = None

    def on_train_begin(
        self, args: Any, state: Any, control: Any, *, model: torch.nn.Module, optimizer: Any, **others: Any
    ) -> None:
        """Set the hooks. Raises RecorderError if the model cannot be recorded."""
        self.close()
        _check_outputs(args, self._options)
        self._recorder = TrainerRecorder(
            model,
            _logging_folder(args) if self._log_dir is None else self._log_dir,
            optimizers=[optimizer],
            steps_done=lambda: int(state.global_step),
            first_step=1,
            scaler=getattr(optimizer, "scaler", None),
            **self._options,
        )

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Note the epoch."""
        if self._recorder is not None:
            self._recorder.epoch = int(state.epoch or 0)

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Record the weights if the optimizer has done a step."""
        if self._recorder is not None:
            self._recorder.end_step()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **others: Any) -> None:
        """Record what the Trainer logs, unless it is reported to TensorBoard."""
        if self._recorder is not None and logs and "tensorboard" not in args.report_to:
            self._recorder.metrics(rewrite_logs(logs), state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Close the file of a finished training."""
        self.close()

    def close(self) -> None:
        """Remove the hooks and close the file, as the end of a training does. Warn once about what was omitted."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close()

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes of a copy, which records nothing yet."""
        return {**vars(self), "_recorder": None}


def _check_outputs(args: Any, options: TorchOptions) -> None:
    """Raise RecorderError if a Trainer runs copies of the model whose outputs are to be recorded."""
    if args.n_gpu > 1 and any(name.startswith(("activation", "layer_error")) for name in options):
        message = (
            f"The Trainer puts the model into DataParallel on {args.n_gpu} GPUs, which runs copies of its modules; "
            "start it with torchrun or accelerate launch."
        )
        raise RecorderError(message)


def _logging_folder(args: Any) -> str:
    """Return the folder of TensorBoardCallback, which a callback does not see, or the one that it would take."""
    # logging_dir is an argument of transformers 4.
    chosen = getattr(args, "logging_dir", None) or os.environ.get("TENSORBOARD_LOGGING_DIR")
    if "tensorboard" in args.report_to:
        # It runs before the callbacks of a user and has created a file, whose name has this process's number.
        name = glob.escape(f".{socket.gethostname()}.{os.getpid()}.")
        files = Path(chosen or args.output_dir).rglob(f"events.out.tfevents.*{name}*[0-9]")
        newest = max(files, key=lambda file: file.stat().st_ctime_ns, default=None)
        if newest is not None:
            return str(newest.parent)
    return chosen or str(Path(args.output_dir, default_logdir()))
