"""The tiny profile, four jobs at once, with MLflow in a real PostgreSQL, and then behind `mlflow server`.

`tests/cluster/run mlflow` starts both on loopback, in a temporary folder, and needs PostgreSQL's programs and the extra
`postgres`. In the middle of each chain the store goes away and comes back a while later. No training may stop, no password
may be in any file of the results, and after `subcritic tracking rebuild` MLflow must have every run once.

With --all it runs all studies instead of three.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.cluster import servers
from tests.cluster.parts import once_in_mlflow, skip
from tests.pipeline.conftest import Workspace, wait_for

CUT = "studies=[experiment1, gradients, experiment2, table]"
SECONDS_AWAY = 20


def main(all_studies: bool = False) -> int:
    if reason := servers.missing():
        return skip("mlflow", reason)
    with tempfile.TemporaryDirectory(prefix="subcritic-mlflow-") as name, servers.postgres() as database:
        folder = Path(name)
        _chain("PostgreSQL", folder / "database", database.database("direct"), database, all_studies)
        (folder / "server").mkdir()
        with servers.mlflow_server(database.database("served"), folder / "server") as server:
            _chain("a server", folder / "served", server.address, server, all_studies)
    return 0


def _chain(
    what: str, folder: Path, address: str, store: servers.Postgres | servers.MlflowServer, all_studies: bool
) -> None:
    print(f"mlflow: the chain with {what}", flush=True)
    folder.mkdir()
    workspace = Workspace(folder)
    workspace.environment["MLFLOW_TRACKING_URI"] = address
    chosen = [] if all_studies else ["--config", CUT]
    chain = workspace.start("subcritic", "reproduce", "--profile", "tiny", "--cores", "4", *chosen)
    try:
        wait_for(lambda: list(workspace.results.glob("tiny/runs/experiment[12]/*/*/s0/run.json")), 300)
        store.stop()
        print("mlflow: its store is away", flush=True)
        time.sleep(SECONDS_AWAY)
        store.start()
        print("mlflow: its store is back", flush=True)
        assert chain.wait(1800) == 0, workspace.said()
    finally:
        workspace.kill()
    said = [workspace.said()]
    for action in ("mirror", "rebuild"):
        done = workspace.run("subcritic", "tracking", action)
        assert done.returncode == 0, done.stderr
        said += [done.stdout, done.stderr]
    once_in_mlflow(workspace, address)
    _no_password(workspace, "".join(said))


def _no_password(workspace: Workspace, said: str) -> None:
    files = [path for path in workspace.folder.rglob("*") if path.is_file() and not path.is_symlink()]
    for secret in (servers.PASSWORD, servers.QUOTED):
        assert secret not in said
        holding = [path for path in files if secret.encode() in path.read_bytes()]
        assert files and not holding, holding
    print(f"no password in {len(files)} files, nor in what was printed")
