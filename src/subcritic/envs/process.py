"""The state of this process that an environment's own code may change, put back after it ran."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Stands for a state that cannot be read: a working directory that was deleted, or torch where it is not loaded.
UNKNOWN = object()


@contextlib.contextmanager
def kept_as_it_was() -> Iterator[list[str]]:
    """Put back what the code inside changes of this process; yields a list that then names what that was.

    That is: working directory, standard streams, alarm, warning filters, NumPy's error handling, torch's default dtype,
    device, number of threads and gradient mode where torch is loaded, and, in the main thread, handlers of the signals that
    stop a process.
    """
    before = {name: _read(read) for name, (read, _) in _STATE.items()}
    changed: list[str] = []
    try:
        yield changed
    finally:
        for name, (read, restore) in _STATE.items():
            if before[name] is not UNKNOWN and _read(read) != before[name]:
                restore(before[name])
                changed.append(name)


def _read(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (OSError, KeyError):
        return UNKNOWN


def _restore_filters(filters: list) -> None:
    warnings.filters[:] = filters  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _restore_streams(streams: tuple[Any, Any]) -> None:
    sys.stdout, sys.stderr = streams


def _torch() -> tuple[Any, ...]:
    torch: Any = sys.modules["torch"]
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
    )


def _restore_torch(state: tuple[Any, ...]) -> None:
    torch: Any = sys.modules["torch"]
    dtype, device, threads, gradients = state
    torch.set_default_dtype(dtype)
    torch.set_default_device(device)
    torch.set_num_threads(threads)
    torch.set_grad_enabled(gradients)


def _handlers() -> dict[signal.Signals, Any]:
    main = threading.current_thread() is threading.main_thread()
    return {number: signal.getsignal(number) for number in SIGNALS} if main else {}


def _restore_handlers(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


# What is kept → how to read it, and how to put it back.
_STATE: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "working directory": (os.getcwd, os.chdir),
    "standard streams": (lambda: (sys.stdout, sys.stderr), _restore_streams),
    "alarm": (
        lambda: signal.getitimer(signal.ITIMER_REAL) != (0.0, 0.0),
        lambda _: signal.setitimer(signal.ITIMER_REAL, 0),
    ),
    "warning filters": (lambda: list(warnings.filters), _restore_filters),
    "error handling of NumPy": (np.geterr, lambda state: np.seterr(**state)),
    "defaults of torch": (_torch, _restore_torch),
    "signal handlers": (_handlers, _restore_handlers),
}
