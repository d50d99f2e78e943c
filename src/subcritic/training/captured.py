"""An update as a CUDA graph: captured once, then replayed without a line of Python.

The recipe is that of PyTorch's documentation ("CUDA Graphs", whole-network capture): a few calls on a stream beside the
current one, then the capture, which runs nothing, then replays. It has not been run on a GPU yet.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch


class Captured:
    """A function without arguments, whose fifth call and all later ones replay what its fourth call did on the device.

    function: it reads and writes tensors that stay where they are, and does the same at every call. Calls are counted: the
    first ones, which warm up, are as good as any other. What it returned when it was captured is returned ever after; a
    replay writes into the same tensors. reason: why it is not captured; empty if it is, or will be. If the capture fails,
    it is called as it is from then on, and `reason` holds the error.
    """

    WARM_UP = 3

    def __init__(self, function: Callable[[], Any], reason: str = "") -> None:
        self.function, self.reason = function, reason
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.result: Any = None

    def __call__(self) -> Any:
        self.calls += 1
        if self.graph is not None:
            self.graph.replay()
        elif self.reason:
            self.result = self.function()
        elif self.calls <= self.WARM_UP:
            self._warm_up()
        else:
            self._capture()
        return self.result

    def _warm_up(self) -> None:
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            self.result = self.function()
        current.wait_stream(side)

    def _capture(self) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                result = self.function()
        except RuntimeError as error:
            self.reason = f"the capture failed: {error}"
            print(f"subcritic: warning: updates are not a CUDA graph: {self.reason}", file=sys.stderr)
            self.result = self.function()
            return
        self.graph, self.result = graph, result
        graph.replay()
