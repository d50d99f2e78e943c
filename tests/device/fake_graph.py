"""CUDA graphs without a GPU: what torch does within a capture is recorded operation by operation, undone, and replayed.

As on a GPU, a capture changes nothing; a replay runs no Python, reads and writes the tensors of the capture, and sees in
them what is there at that time.
"""

from __future__ import annotations

import contextlib

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten


class Graph:
    """Stands for torch.cuda.CUDAGraph."""

    def __init__(self):
        self.operations = []
        self.replays = 0

    def replay(self):
        self.replays += 1
        with torch.no_grad():
            for function, args, kwargs, out in self.operations:
                found = function(*args, **kwargs)
                for mine, new in zip(out, tree_flatten(found)[0], strict=True):
                    if isinstance(mine, torch.Tensor) and mine.data_ptr() != new.data_ptr():
                        mine.copy_(new)


class Recording(TorchDispatchMode):
    def __init__(self, graph):
        super().__init__()
        self.graph, self.before = graph, {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            raise RuntimeError("operation not permitted when stream is capturing")
        for argument, given in self._named(function, args, kwargs):
            if argument.alias_info is not None and argument.alias_info.is_write:
                for tensor in tree_flatten(given)[0]:
                    if isinstance(tensor, torch.Tensor):
                        self._keep(tensor)
        out = function(*args, **kwargs)
        if not function.is_view:
            self.graph.operations.append((function, args, kwargs, tree_flatten(out)[0]))
        return out

    @staticmethod
    def _named(function, args, kwargs):
        for place, argument in enumerate(function._schema.arguments):
            if place < len(args):
                yield argument, args[place]
            elif argument.name in kwargs:
                yield argument, kwargs[argument.name]

    def _keep(self, tensor):
        """The whole memory behind a tensor, as it was before the capture."""
        storage = tensor.untyped_storage()
        self.before.setdefault(storage.data_ptr(), (storage, storage.clone()))

    def undo(self):
        for storage, was in self.before.values():
            storage.copy_(was)


@contextlib.contextmanager
def capture(graph):
    """Stands for torch.cuda.graph."""
    recording = Recording(graph)
    try:
        with recording:
            yield
    finally:
        recording.undo()


class Stream:
    """Stands for a stream."""

    def wait_stream(self, other):
        pass


def install(monkeypatch, graphs):
    """Put the stand-ins in place of torch's own; graphs: where those that are made are found."""

    def made():
        graphs.append(Graph())
        return graphs[-1]

    monkeypatch.setattr(torch.cuda, "CUDAGraph", made)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
