"""The run record on disk, and its mirror in MLflow.

The files under `results/<profile>/runs/` are authoritative. MLflow is written from them, live or at any later time, so
nothing is lost when it fails or is deleted or moved.
"""

from .claim import claim
from .group import RunGroup, Terminated
from .mirror import Mirror
from .record import Identity, RecordError, Run, read_metrics, records
from .store import StoreError
from .ui import links, serve
from .upkeep import initialise, log_results, rebuild, sweep

__all__ = [
    "Identity",
    "Mirror",
    "RecordError",
    "Run",
    "RunGroup",
    "StoreError",
    "Terminated",
    "claim",
    "initialise",
    "links",
    "log_results",
    "read_metrics",
    "rebuild",
    "records",
    "serve",
    "sweep",
]
