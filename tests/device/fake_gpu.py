"""A device for tests on machines without a GPU: torch's fake tensors, which have shapes and devices and no values.

Within `fake_gpu()` tensors can be made on GPU. An operation on tensors of several devices raises, and so does whatever asks
for a value: `.numpy()`, `.item()`, `.tolist()`, `float`, `bool`. Values go there and come back through the functions of
`subcritic.nn.devices` alone, which are replaced, and counted in `transfers`; a copy by another way raises.

Fake tensors can be on "cuda" without a GPU, but cannot be indexed there: that asks for a guard of the device, which this
build of torch lacks. So the device is one of Python's own, whose guard does nothing.
"""

from __future__ import annotations

import contextlib
from collections import Counter

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from subcritic import agents
from subcritic.nn import devices

_setup_privateuseone_for_python_backend("fake_gpu")
GPU = torch.device("fake_gpu", 0)
transfers: Counter[str] = Counter()


@contextlib.contextmanager
def fake_gpu():
    """Also a CPU: what torch makes there within it has no values either; arrays of NumPy have."""
    replaced = [(devices, fake.__name__, fake) for fake in (_memory, _copy_to, _copy_into, _copy_back)]
    replaced.append((agents, "refuses", lambda *_: ""))
    before = [getattr(module, name) for module, name, _ in replaced]
    transfers.clear()
    try:
        for module, name, fake in replaced:
            setattr(module, name, fake)
        with FakeTensorMode(allow_non_fake_inputs=True), NoOtherWay(), torch.no_grad():
            yield
    finally:
        for (module, name, _), real in zip(replaced, before, strict=True):
            setattr(module, name, real)


class NoOtherWay(TorchDispatchMode):
    """Refuses copies from one device to another."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default:
            assert kwargs.get("device") in (None, args[0].device), "a copy to another device"
        if func is torch.ops.aten.copy_.default:
            assert args[0].device == args[1].device, "a copy from another device"
        return func(*args, **kwargs)


def _memory(size, device):
    memory = np.zeros(size, np.uint8)
    return memory, torch.from_numpy(memory)


def _copy_to(values, device):
    transfers["to the device"] += 1
    assert values.is_cpu
    return torch.empty(values.shape, dtype=values.dtype, device=device)


def _copy_into(there, values):
    transfers["to the device"] += 1
    assert values.is_cpu and (values.shape, values.dtype, there.device) == (there.shape, there.dtype, GPU)


def _copy_back(tensor):
    transfers["to the host"] += 1
    assert tensor.device == GPU
    return np.zeros(tuple(tensor.shape), np.dtype(str(tensor.dtype).removeprefix("torch.")))
