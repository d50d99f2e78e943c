"""Threads that each do one piece of work again and again, as often as they are granted it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

import torch


class Workers:
    """One thread per piece of work; `grant` lets every thread do its piece once more, `settle` waits until all have.

    work: callables, one per thread, run under no_grad with one torch thread each. lag: how many grants a thread may fall
    behind before `grant` waits for it. An exception in a thread ends its work and is raised by the next call here.
    """

    def __init__(self, work: Sequence[Callable[[], None]], lag: int) -> None:
        if lag < 1:
            raise ValueError(f"lag = {lag}: must be at least 1")
        self._grants: list[queue.Queue[int]] = [queue.Queue(maxsize=lag) for _ in work]
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=pair, daemon=True)
            for pair in zip(work, self._grants, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def grant(self, times: int = 1) -> None:
        """Let every thread work `times` more times; raises what a thread has raised."""
        self._raise()
        for grants in self._grants:
            grants.put(times)

    def settle(self) -> None:
        """Wait until everything granted is done; raises what a thread has raised."""
        for grants in self._grants:
            grants.join()
        self._raise()

    def behind(self) -> int:
        """How many grants the slowest thread has not begun."""
        return max(grants.qsize() for grants in self._grants)

    def close(self) -> None:
        """End the threads; what was granted is done first."""
        for grants in self._grants:
            grants.put(0)
        for thread in self._threads:
            thread.join()

    def _raise(self) -> None:
        if self._errors:
            raise self._errors[0]

    def _run(self, work: Callable[[], None], grants: queue.Queue[int]) -> None:
        # All three belong to a thread, not to the process.
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        torch.set_grad_enabled(False)
        failed = False
        while times := grants.get():
            try:
                for _ in range(0 if failed else times):
                    work()
            except BaseException as error:
                failed = True
                self._errors.append(error)
            finally:
                grants.task_done()
        grants.task_done()
