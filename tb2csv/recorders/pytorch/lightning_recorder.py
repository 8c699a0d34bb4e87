"""The recorder as a callback of Lightning: of ``lightning.pytorch`` and of ``pytorch_lightning``."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tb2csv.errors import RecorderError
from tb2csv.recorders.method_patching import replaced_method
from tb2csv.recorders.pytorch.trainer_recorder import TrainerRecorder, check_options, missing_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from typing_extensions import Self, Unpack

    from tb2csv.recorders.pytorch.trainer_recorder import TorchOptions

    #: Each package has a class of its own, so that none can be named here.
    Callback: TypeAlias = Any
else:
    Callback = object

_PACKAGES: Final = ("lightning.pytorch", "pytorch_lightning")


class LightningRecorder(Callback):  # type: ignore[misc] # see above
    """Records gradients, weights, outputs and learning rates of ``Trainer.fit`` into the folder of its logger.

    ::

        trainer = Trainer(callbacks=[LightningRecorder(gradient_statistics_every=1)])

    It is an instance of the ``Callback`` of each of Lightning's packages that is imported when it is created. Steps are
    those of Lightning's loggers, which give 0 to the first: step n has the gradients that the optimizer applied when
    the batch logged at n was trained, and the weights after it. Weights at step -1 are those before the training.
    ``gradients_every=50`` records the steps 49, 99 …, as ``log_every_n_steps=50`` logs them.

    Metrics are recorded under their own names, unless a TensorBoardLogger writes them already.
    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Create an instance of a class that Lightning knows."""
        created: Self = object.__new__(_with_callbacks(cls))
        return created

    def __init__(self, log_dir: str | os.PathLike[str] | None = None, **options: Unpack[TorchOptions]) -> None:
        """Check the options; hooks are set when a fit begins.

        Args:
            log_dir: a local folder, of one run. If None, it is that of the trainer's TensorBoardLogger, else that of
                its first logger with a folder.
            options: those of TorchRecorder, except for the optimizer, its first step and the scaler.

        Raises:
            TypeError: an option does not exist.
            RecorderError: an argument is not valid, or Lightning is not installed.
        """
        check_options(log_dir, options)
        self._log_dir = log_dir
        self._options = options
        self._recorder: TrainerRecorder | None = None
        self._open = contextlib.ExitStack()

    def on_fit_start(self, trainer: Any, pl_module: torch.nn.Module) -> None:
        """Set the hooks. Raises RecorderError if the module cannot be recorded, or there is no folder."""
        self.close()
        log_dir = _logger_folder(trainer.loggers) if self._log_dir is None else self._log_dir
        if log_dir is None:
            if trainer.fast_dev_run:  # it switches loggers off
                return
            raise missing_folder("The trainer")
        loop = trainer.fit_loop.epoch_loop
        recorder = TrainerRecorder(
            pl_module,
            log_dir,
            optimizers=trainer.optimizers,
            # What loggers are given. It differs from global_step if there are several optimizers.
            steps_done=lambda: getattr(loop, "_batches_that_stepped", loop.global_step),
            first_step=0,
            scaler=trainer.scaler,
            **self._options,
        )
        self._recorder = recorder
        self._open.callback(recorder.close)
        if trainer.loggers and not any(map(_is_tensorboard, trainer.loggers)):
            self._open.enter_context(_recorded_metrics(trainer.loggers[0], recorder))

    def on_train_epoch_start(self, trainer: Any, pl_module: torch.nn.Module) -> None:
        """Note the epoch."""
        if self._recorder is not None:
            self._recorder.epoch = trainer.current_epoch

    def on_train_batch_end(
        self, trainer: Any, pl_module: torch.nn.Module, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record the weights if an optimizer has done a step."""
        if self._recorder is not None:
            self._recorder.end_step()

    def on_exception(self, trainer: Any, pl_module: torch.nn.Module, exception: BaseException) -> None:
        """Close the file of an interrupted fit."""
        self.close()

    def teardown(self, trainer: Any, pl_module: torch.nn.Module, stage: str) -> None:
        """Close the file of a finished fit."""
        self.close()

    def close(self) -> None:
        """Remove the hooks and close the file, as the end of a fit does. Warn once about what was omitted."""
        self._recorder = None
        self._open.close()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        """Become a callback with the same options that records nothing yet."""
        # Lightning sets log and log_dict, which are methods of the module.
        left_out = {"log", "log_dict", "_recorder", "_open"}
        kept = {name: value for name, value in vars(self).items() if name not in left_out}
        return _copied, (_named_class(type(self)), self._log_dir, self._options), kept


def _copied(cls: type[LightningRecorder], log_dir: str | None, options: TorchOptions) -> LightningRecorder:
    copy = cls.__new__(cls)
    LightningRecorder.__init__(copy, log_dir, **options)
    return copy


def _with_callbacks(cls: Any) -> Any:
    """Return a class that is a Callback of the packages of Lightning that are imported, or of the one installed."""
    modules = [sys.modules[name] for name in _PACKAGES if hasattr(sys.modules.get(name), "Callback")] or [_installed()]
    missing = tuple(module.Callback for module in modules if not issubclass(cls, module.Callback))
    return _subclass(cls, missing) if missing else cls


def _installed() -> Any:
    for name in _PACKAGES:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    message = "LightningRecorder needs Lightning: pip install lightning."
    raise RecorderError(message)


@functools.cache
def _subclass(cls: Any, callbacks: tuple[Any, ...]) -> type[Any]:
    # Lightning names the state of a callback after its class.
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    return type(cls.__name__, (cls, *callbacks), {**names, "_is_made": True})


def _named_class(cls: type[Any]) -> type[Any]:
    """Return the class that a module has under its name."""
    return next(each for each in cls.__mro__ if not vars(each).get("_is_made"))


def _is_tensorboard(logger: Any) -> bool:
    return any(each.__name__ == "TensorBoardLogger" for each in type(logger).__mro__)


def _logger_folder(loggers: list[Any]) -> str | None:
    """Return the folder of one of the loggers, as its checkpoints have it."""
    for logger in sorted(loggers, key=_is_tensorboard, reverse=True):
        log_dir = getattr(logger, "log_dir", None)
        if isinstance(log_dir, (str, os.PathLike)):
            return os.fspath(log_dir)
        save_dir, name, version = logger.save_dir, logger.name, logger.version
        if isinstance(save_dir, (str, os.PathLike)):
            version = version if isinstance(version, str) else f"version_{version}"
            return str(Path(save_dir, str(name), version))
    return None


@contextlib.contextmanager
def _recorded_metrics(logger: Any, recorder: TrainerRecorder) -> Any:
    """Record what a logger is given, within the block."""
    log_metrics = logger.log_metrics

    def log_and_record(metrics: Any, step: int | None = None, **options: Any) -> None:
        log_metrics(metrics=metrics, step=step, **options)
        if step is not None:
            recorder.metrics(metrics, step)

    with replaced_method(logger, "log_metrics", log_and_record):
        yield
