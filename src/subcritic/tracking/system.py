"""What a training and its machine use while it runs, under the names that MLflow gives system metrics."""

from __future__ import annotations

import contextlib
import importlib
import time
from typing import Any

import psutil

MEGABYTE = 1e6
# MLflow shows metrics of this prefix on a page of their own.
PREFIX = "system/"


class Usage:
    """Readings of the processor, the memory, and NVIDIA's GPUs where the package nvidia-ml-py is installed (extra `gpu`).

    `process_…` is this process alone: in percent of one core, so that two busy threads are 200, and in memory that is not
    swapped out. All else is of the machine. Shares of time are those since the last reading. What the system does not tell
    is left out.
    """

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._library, self._gpus = _gpus()
        self._last = self._times()
        psutil.cpu_percent()

    def read(self) -> dict[str, float]:
        """Name → what is used now."""
        found: dict[str, float] = {}
        with contextlib.suppress(psutil.Error, OSError):
            seconds, busy = (new - old for new, old in zip(self._times(), self._last, strict=True))
            self._last = self._times()
            found["process_cpu_utilization_percentage"] = 100 * busy / max(seconds, 1e-3)
            found["process_memory_usage_megabytes"] = self._process.memory_info().rss / MEGABYTE
        with contextlib.suppress(psutil.Error, OSError):
            memory = psutil.virtual_memory()
            found["cpu_utilization_percentage"] = psutil.cpu_percent()
            found["system_memory_usage_megabytes"] = memory.used / MEGABYTE
            found["system_memory_usage_percentage"] = 100 * memory.used / memory.total
        for index in range(self._gpus):
            found |= {f"gpu_{index}_{name}": value for name, value in _of_gpu(self._library, index).items()}
        return {f"{PREFIX}{name}": round(value, 1) for name, value in found.items()}

    def _times(self) -> tuple[float, float]:
        """Seconds, and those of them that this process has computed."""
        used = self._process.cpu_times()
        return time.perf_counter(), used.user + used.system


def _gpus() -> tuple[Any, int]:
    """NVIDIA's management library and the number of GPUs that it finds; None and 0 where it cannot be used."""
    try:
        library = importlib.import_module("pynvml")
        library.nvmlInit()
        return library, library.nvmlDeviceGetCount()
    except Exception:
        # Neither a missing package nor a missing driver is a fault.
        return None, 0


def _of_gpu(library: Any, index: int) -> dict[str, float]:
    found: dict[str, float] = {}
    with contextlib.suppress(library.NVMLError):
        handle = library.nvmlDeviceGetHandleByIndex(index)
        memory = library.nvmlDeviceGetMemoryInfo(handle)
        found["memory_usage_megabytes"] = memory.used / MEGABYTE
        found["memory_usage_percentage"] = 100 * memory.used / memory.total
        found["utilization_percentage"] = library.nvmlDeviceGetUtilizationRates(handle).gpu
        found["power_usage_watts"] = library.nvmlDeviceGetPowerUsage(handle) / 1000
    return found
