"""Reading run records into long tables, and writing tables whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from subcritic.tracking import Identity


def read_curves(identities: Sequence[Identity], results: Path) -> pd.DataFrame:
    """The recorded metrics of some runs: columns environment, method, seed, step, metric, value."""
    frames = []
    for identity in identities:
        frame = pd.read_csv(identity.folder(results) / "metrics.csv")[["step", "metric", "value"]]
        frame.insert(0, "environment", identity.environment)
        frame.insert(1, "method", identity.method)
        frame.insert(2, "seed", identity.seed)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def write_csv(path: Path, frame: pd.DataFrame) -> Path:
    """Write beside, then rename, so that a reader never sees half a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    frame.to_csv(temporary, index=False)
    temporary.replace(path)
    return path
