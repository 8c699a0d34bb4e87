"""A replacement of Keras' train function that runs with patched methods of the model and the optimizer."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import RecorderError
from tb2csv.recorders.method_patching import replaced_method

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


#: Names of exceptions at the end of the data; the second is TensorFlow's.
_END_OF_DATA: Final = frozenset({"StopIteration", "OutOfRangeError"})

#: The attribute that ``fit`` calls, and the method that it calls before, as ``train_on_batch`` does.
_FUNCTION: Final = "train_function"
_MAKE: Final = "make_train_function"


class RecordedTrainFunction:
    """Replaces Keras' own ``model.train_function`` for each batch of a ``fit`` that the recorder announces.

    Keras does not call a callback if ``fit`` ends with an exception. So Keras' own function is back as soon as this
    one is called. If ``fit`` ends between the announcement and the call, the next ``fit`` brings it back, because it
    makes its train function first.
    """

    def __init__(
        self,
        model: Any,
        methods: Iterable[tuple[Any, str, Callable[..., Any]]],
        *,
        allow_xla: bool,
        on_failure: Callable[[], None],
    ) -> None:
        """Make Keras build another train function for ``model``.

        Args:
            model: a compiled keras.Model that is about to train.
            methods: the methods to replace: owner, name of the method, new method.
            allow_xla: False compiles the train step without XLA, whatever the model was compiled with.
            on_failure: called when a train step raises.
        """
        self._model = model
        self._methods = list(methods)
        self._on_failure = on_failure
        self._until_called = contextlib.ExitStack()
        self._original = model.train_function
        jit_compile = model.jit_compile
        try:
            if not allow_xla and jit_compile:
                model.jit_compile = False
            with self._replaced():
                model.make_train_function(force=True)
            self._function = model.train_function
        finally:
            model.train_function = self._original
            if not allow_xla and jit_compile:
                model.jit_compile = jit_compile

    def announce(self) -> None:
        """Make the model run its next batch, or several in one call, with this function.

        Raises:
            RecorderError: another recorder has announced the same batch, whose train step would not run.
        """
        current = self._model.train_function
        if isinstance(current, RecordedTrainFunction) and current is not self:
            message = (
                "Two recorders cannot record inside the train steps of the same fit; give one of them all that is "
                "wanted from there."
            )
            raise RecorderError(message)
        if current is self._original:
            vars(self._model)[_FUNCTION] = self
            self._until_called.enter_context(replaced_method(self._model, _MAKE, self._make))

    def _make(self, *args: Any, **kwargs: Any) -> Any:
        """Make Keras' own train function, for a call that was not announced."""
        self.restore()
        return self._model.make_train_function(*args, **kwargs)

    def resume(self) -> bool:
        """Return whether the model still has the train function that this one replaces."""
        return self._model.train_function is self._original

    def restore(self) -> None:
        """Restore the original train function."""
        self._until_called.close()
        if self._model.train_function is self:  # and not None, because the model was compiled again
            vars(self._model)[_FUNCTION] = self._original

    def __call__(self, *arguments: Any) -> Any:
        """Run a train step, or several, with Keras' arguments: on JAX the state, and the iterator of the data."""
        self.restore()
        try:
            with self._replaced():
                return self._run(*arguments)
        except BaseException as error:  # a user's interrupt as well
            if type(error).__name__ not in _END_OF_DATA:
                self._on_failure()
            raise

    def _run(self, *arguments: Any) -> Any:
        """Run the recorded train step, or several."""
        return self._function(*arguments)

    def _replaced(self) -> contextlib.ExitStack:
        stack = contextlib.ExitStack()
        for owner, name, method in self._methods:
            stack.enter_context(replaced_method(owner, name, method))
        return stack
