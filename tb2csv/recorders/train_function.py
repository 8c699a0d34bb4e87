"""A replacement of Keras' train function that runs with patched methods of the model and the optimizer."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from tb2csv.recorders.method_patching import replaced_method

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


#: Names of exceptions at the end of the data; the second is TensorFlow's.
_END_OF_DATA: Final = frozenset({"StopIteration", "OutOfRangeError"})


class RecordedTrainFunction:
    """Replaces Keras' own ``model.train_function`` during one ``fit``.

    The methods are replaced only while a batch that the recorder announced is running. If ``fit`` ends with an
    exception, Keras does not call the recorder; the next call, which is not announced, then restores the original.
    """

    def __init__(
        self,
        model: Any,
        methods: Iterable[tuple[Any, str, Callable[..., Any]]],
        *,
        allow_xla: bool,
        on_failure: Callable[[], None],
    ) -> None:
        """Make Keras build another train function for ``model``, and install this object instead of it.

        Args:
            model: a compiled keras.Model that is about to train.
            methods: the methods to replace: owner, name of the method, new method.
            allow_xla: False compiles the train step without XLA, whatever the model was compiled with.
            on_failure: called when a train step raises.
        """
        self._model = model
        self._methods = list(methods)
        self._on_failure = on_failure
        self._announced = False
        self._original = model.train_function
        jit_compile = model.jit_compile
        try:
            if not allow_xla and jit_compile:
                model.jit_compile = False
            with self._replaced():
                model.make_train_function(force=True)
            self._function = model.train_function
        except BaseException:
            model.train_function = self._original
            raise
        finally:
            if not allow_xla and jit_compile:
                model.jit_compile = jit_compile
        model.train_function = self

    def announce(self) -> None:
        """Announce that the next call belongs to the ``fit`` that is recorded."""
        self._announced = True

    def resume(self) -> bool:
        """Replace the model's train function again, if it is still the original; return whether it is."""
        if self._model.train_function is not self._original:
            return False
        self._model.train_function = self
        return True

    def restore(self) -> None:
        """Restore the original train function."""
        if self._model.train_function is self:
            self._model.train_function = self._original

    def __call__(self, *arguments: Any) -> Any:
        """Run a train step, or several, with Keras' arguments: on JAX the state, and the iterator of the data."""
        if not self._announced:
            self.restore()
            if self._model.train_function is None:  # the model was compiled again in the meantime
                self._model.make_train_function()
            return self._model.train_function(*arguments)
        self._announced = False
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
