"""What a report read: files of a study, described and told apart by a digest, as MLflow records datasets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput


def dataset(
    name: str, pattern: str, files: Iterable[Path], results: Path, columns: Sequence[str] = ()
) -> dict[str, Any]:
    """Files of one kind as one dataset, JSON-able.

    Args:
        name: such as `experiment2/curves`.
        pattern: where the files are, below the results folder.
        files: those that exist count.
        results: the folder of all results.
        columns: of files that are tables.
    """
    found = sorted({path for path in files if path.is_file()})
    hashed = hashlib.sha256()
    for path in found:
        hashed.update(path.relative_to(results).as_posix().encode())
        hashed.update(hashlib.sha256(path.read_bytes()).digest())
    return {
        "name": name,
        "digest": hashed.hexdigest()[:12],
        "source": pattern,
        "files": len(found),
        "bytes": sum(path.stat().st_size for path in found),
        "columns": list(columns),
    }


def as_mlflow(entry: dict[str, Any]) -> DatasetInput:
    """What `dataset` gives as an input of an MLflow run."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    schema = {"mlflow_colspec": [{"name": name, "type": "string"} for name in entry["columns"]]}
    return DatasetInput(
        Dataset(
            name=entry["name"],
            digest=entry["digest"],
            source_type="local",
            source=json.dumps({"uri": entry["source"]}),
            schema=json.dumps(schema) if entry["columns"] else None,
            profile=json.dumps({"files": entry["files"], "bytes": entry["bytes"]}),
        ),
        [InputTag("mlflow.data.context", "report")],
    )
