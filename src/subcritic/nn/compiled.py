"""Compiled functions, and the one switch that says when they are used instead of torch's operations.

At the sizes of the studies an operation of torch costs more to call than to do. Compiled functions (`kernels.py` and its
like, by numba) do the work of many operations in one call. What they compute is said by the readable code beside them, which
is used wherever `serves` says no, and which tests compare them with.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib
import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

# Connections of the largest layer up to which compiled functions are used; above, torch's matrix products are as good.
LARGEST = 256 * 256

# Options of all compiled functions. A product may be fused with a sum; nothing is assumed to be finite.
FUSING: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}

# Modules of compiled functions; a change to one of them compiles all anew.
MODULES = (
    "nn/product_kernels.py",
    "nn/kernels.py",
    "nn/backprop_kernels.py",
    "rules/kernels.py",
    "agents/kernels.py",
    "neuro/kernels.py",
)

_allowed = os.environ.get("SUBCRITIC_COMPILED", "1") != "0"
_folder: Path | None = None


def serves(largest: int, tensor: Tensor) -> bool:
    """Whether compiled functions are used for layers of up to `largest` connections and such a tensor.

    It depends on sizes and types alone, never on a measured time: what a seed learns must not. False also without numba,
    with the environment variable SUBCRITIC_COMPILED=0, within `off`, for a tensor that is not on the CPU, and for one
    that autograd follows.
    """
    fits = largest <= LARGEST and tensor.dtype is torch.float32 and tensor.is_cpu and not tensor.requires_grad
    return fits and allowed()


def allowed() -> bool:
    """Whether compiled functions may be used at all."""
    return _allowed and installed()


def array(tensor: Tensor) -> np.ndarray | None:
    """The memory of a tensor for compiled functions; None if it has gaps, or `serves` says no."""
    return tensor.numpy() if tensor.is_contiguous() and serves(0, tensor) else None


class Packed(NamedTuple):
    """Tensors (S, m, n), each as one array whose numbers of a seed lie `stride` apart from those of the next."""

    arrays: list[np.ndarray]
    stride: int


def packed(*tensors: Tensor) -> Packed | None:
    """The memory of tensors that are parts of one larger (S, P), or None if compiled functions cannot take them."""
    strides = {tensor.stride(0) for tensor in tensors} if tensors[0].shape[0] > 1 else {0}
    if len(strides) > 1 or not all(tensor[0].is_contiguous() and serves(0, tensor) for tensor in tensors):
        return None
    stride = strides.pop()
    sizes = [stride * (tensor.shape[0] - 1) + tensor[0].numel() for tensor in tensors]
    arrays = [tensor.as_strided((size,), (1,)).numpy() for tensor, size in zip(tensors, sizes, strict=True)]
    return Packed(arrays, stride)


@cache
def installed() -> bool:
    """Whether numba can be imported."""
    return importlib.util.find_spec("numba") is not None


@contextlib.contextmanager
def off() -> Iterator[None]:
    """Torch's operations only, within this context: for comparing, and for counting operations."""
    global _allowed
    before, _allowed = _allowed, False
    try:
        yield
    finally:
        _allowed = before


@cache
def kernels(
    module: Literal["nn.kernels", "nn.backprop_kernels", "rules.kernels", "agents.kernels", "neuro.kernels"],
) -> Any:
    """A module of compiled functions, compiled at its first import and loaded from the cache at every later one.

    One process compiles at a time; those that wait find its work in the cache.
    """
    global _folder
    _folder = cache_folder()
    with _locked(_folder):
        return importlib.import_module(f"subcritic.{module}")


def entry(signature: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates a function that is called from Python: compiled for one signature, when its module is imported.

    One signature for each keeps concurrent processes from mistaking one version in the cache for another.
    """
    import numba

    config: Any = numba.config

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        before = config.CACHE_DIR
        config.CACHE_DIR = str(_folder or "")
        try:
            made: Callable[..., Any] = numba.njit(signature, cache=_folder is not None, **FUSING)(function)
        finally:
            config.CACHE_DIR = before
        return made

    return compiled


def cache_folder() -> Path | None:
    """Where compiled functions are kept: NUMBA_CACHE_DIR or the user's cache; None if it cannot be written to.

    The folder's name holds a digest of the sources, since numba looks for changes only in the file of a function itself.
    """
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(user) / "subcritic" / "compiled")
    folder = base / _digest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None


def _digest() -> str:
    package, hashed = Path(__file__).parent.parent, hashlib.sha256()
    for module in (*MODULES, "nn/compiled.py"):
        hashed.update((package / module).read_bytes())
    return hashed.hexdigest()[:12]


@contextlib.contextmanager
def _locked(folder: Path | None) -> Iterator[None]:
    """Hold the folder's lock; on a file system without locks, or without a folder, do without."""
    if folder is None:
        yield
        return
    with (folder / "lock").open("a") as file:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
