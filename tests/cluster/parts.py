"""What the scripts of this folder share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlflow import MlflowClient

from subcritic import profiles
from subcritic.publishing.check import chosen
from subcritic.study import Study
from subcritic.tracking import Identity, records
from subcritic.tracking.record import read
from subcritic.tracking.store import IDENTITY, RECORD
from tests.pipeline.conftest import Workspace

# Pictures hold when they were drawn, and torch's archives the name of a temporary file.
TEXT = (".csv", ".md", ".json", ".tex")


def skip(what: str, reason: str) -> int:
    print(f"{what}: skipped: {reason}")
    return 0


def compare(one: Workspace, other: Workspace, measured: Sequence[Study] = ()) -> None:
    """The studies' texts of two workspaces are equal, byte for byte; those of `measured` need only be there."""
    profile = profiles.load(one.results / "tiny/config.yaml", recorded=True)
    equal, apart = 0, []
    for study in chosen(profile):
        paths = [path for shown in study.shown.values() for path in shown.paths]
        paths += [job.path(file.path) for job in study.jobs(profile) for file in study.records.values()]
        for path in paths:
            mine, yours = (part.results / "tiny" / path for part in (one, other))
            assert yours.stat().st_size, path
            if study not in measured and Path(path).suffix in TEXT:
                equal += 1
                if mine.read_bytes() != yours.read_bytes():
                    apart.append(path)
    assert equal and not apart, f"not the same: {apart}"
    print(f"{equal} files of tables and curves are the same, byte for byte")


def once_in_mlflow(workspace: Workspace, uri: str = "") -> None:
    """MLflow has a run for every record, and no other."""
    client = MlflowClient(uri or f"sqlite:///{workspace.results / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs, token = [], None
    while True:
        page = client.search_runs(experiments, max_results=1000, page_token=token)
        runs, token = runs + list(page), page.token
        if not token:
            break
    wanted = sorted(
        (Identity.of(content).key, content["record"], content["status"])
        for content in map(read, records(workspace.results))
    )
    held = sorted((run.data.tags[IDENTITY], run.data.tags[RECORD], run.info.status) for run in runs)
    assert wanted and held == wanted, (held, wanted)
    print(f"{len(held)} runs in MLflow, each once")
