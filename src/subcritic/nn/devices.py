"""Where tensors are: all that goes from the CPU's memory to a device, or comes back, goes through these functions.

Agents make their tensors where their parameters are. Random numbers are drawn by NumPy, one generator for each seed, and
then moved, so that a seed draws the same numbers on every device.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

CPU = torch.device("cpu")


def to_device(values: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Values of the CPU on a device, of the same type; on the CPU the same memory."""
    found = values if isinstance(values, Tensor) else torch.from_numpy(values)
    return found if device == CPU else _copy_to(found, device)


def to_host(tensor: Tensor) -> np.ndarray:
    """A tensor as an array of the CPU, of the same memory if it is there. It waits until a device has computed it."""
    array: np.ndarray = tensor.numpy() if tensor.is_cpu else _copy_back(tensor)
    return array


def available() -> bool:
    """Whether torch can compute on a GPU of this machine."""
    return torch.cuda.is_available()


def missing(device: str) -> str:
    """Why nothing can be computed on a device, `cpu` or `cuda`, of this machine; empty if it can."""
    if device == "cpu" or available():
        return ""
    built = "this build of torch is for the CPU alone" if torch.version.cuda is None else "torch finds no GPU"
    return f"{built}: must be cpu here, or auto, which is cuda where there is one"


def name(device: str) -> str:
    """What records say of a device: `cpu`, or `cuda` and what kind of GPU it is."""
    return f"{device}: {torch.cuda.get_device_name()}" if device == "cuda" else device


# Name → shape and type.
Shapes = dict[str, tuple[tuple[int, ...], type[np.generic]]]


class Parcel:
    """Arrays of the CPU that go to a device in one transfer, to a place of their own that stays.

    arrays: what to fill on the CPU. tensors: where `send` puts it. On the CPU too these are copies.
    """

    def __init__(self, shapes: Shapes, device: torch.device) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.tensors: dict[str, Tensor] = {}
        starts, end = {}, 0
        for key, (shape, kind) in shapes.items():
            starts[key] = end
            # A number of 8 bytes starts at a multiple of 8.
            end += -(-int(np.prod(shape)) * np.dtype(kind).itemsize // 8) * 8
        memory, self._values = _memory(end, device)
        self._there = torch.zeros(end, dtype=torch.uint8, device=device)
        for key, (shape, kind) in shapes.items():
            size = int(np.prod(shape)) * np.dtype(kind).itemsize
            here = slice(starts[key], starts[key] + size)
            self.arrays[key] = memory[here].view(kind).reshape(shape)
            self.tensors[key] = self._there[here].view(_TYPES[kind]).view(shape)

    def send(self) -> None:
        """Copy all arrays. The next call must not come before the device has done so, as it has when something came back."""
        _copy_into(self._there, self._values)


_TYPES: dict[type[np.generic], torch.dtype] = {np.float32: torch.float32, np.int64: torch.int64}


def _memory(size: int, device: torch.device) -> tuple[np.ndarray, Tensor]:
    """Bytes of the CPU as an array and as a tensor; page-locked if they go elsewhere, so that a copy does not wait."""
    values = torch.zeros(size, dtype=torch.uint8, pin_memory=device != CPU)
    return values.numpy(), values


def _copy_to(values: Tensor, device: torch.device) -> Tensor:
    return values.to(device)


def _copy_into(there: Tensor, values: Tensor) -> None:
    there.copy_(values, non_blocking=True)


def _copy_back(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.cpu().numpy()
    return array
