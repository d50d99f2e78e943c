"""The run record on disk, and its mirror in MLflow.

The files under `results/<profile>/runs/` are authoritative. MLflow is written from them, live or at any later time, so
nothing is lost when it fails or is deleted or moved.
"""

from .claim import chain_ended, claim, claim_chain, claim_job
from .group import RunGroup, Terminated
from .mirror import Mirror
from .process import finish, follow, keep_mirrored
from .record import Identity, RecordError, Run, read_metrics, records
from .store import StoreError
from .ui import links, serve
from .upkeep import bring_up_to_date, log_results, rebuild, sweep

__all__ = [
    "Identity",
    "Mirror",
    "RecordError",
    "Run",
    "RunGroup",
    "StoreError",
    "Terminated",
    "bring_up_to_date",
    "chain_ended",
    "claim",
    "claim_chain",
    "claim_job",
    "finish",
    "follow",
    "keep_mirrored",
    "links",
    "log_results",
    "read_metrics",
    "rebuild",
    "records",
    "serve",
    "sweep",
]
