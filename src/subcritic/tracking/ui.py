"""MLflow's web page, served on this machine only unless told otherwise, and links to its most useful views."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import store, views
from .group import raise_on_sigterm
from .mirror import artifact_digests
from .record import RESULTS
from .redaction import without_login
from .upkeep import bring_up_to_date, sweep

if TYPE_CHECKING:
    from mlflow import MlflowClient

HOST, ANY = "127.0.0.1", "0.0.0.0"
STARTUP_SECONDS = 120.0
# With more environments than this, a study has one link alone.
MANY = 6
# Without the jobs for language models, which would take ten processes and two gigabytes of memory.
SERVER_ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "PYTHONWARNINGS": "ignore",
}


@store.plain_errors()
def links(results: Path, base: str = f"http://{HOST}:5000") -> list[tuple[str, str]]:
    """Pairs of a study's experiment and the address that shows it: its curves, or the tables of its newest results.

    Of those that have runs; and of a study's charts, those of each environment, unless there are many. `base` is where
    MLflow listens.
    """
    client, found = store.connect(results), []
    for study in views.VIEWS:
        name = views.experiment_name(study)
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            raise store.StoreError(
                f"MLflow has no experiment {name!r}: `subcritic tracking rebuild` makes it again"
            )
        if client.search_runs([experiment.experiment_id], max_results=1):
            found.append((name, _address(client, study, experiment.experiment_id, base)))
            environments = views.environments(experiment.tags)
            if 1 < len(environments) <= MANY:
                page = f"{base}/#/experiments/{experiment.experiment_id}/runs"
                found += [
                    (f"  {environment}", f"{page}?{_charts(environment)}") for environment in environments
                ]
    return found


def _charts(view: str) -> str:
    # Without the workflow type MLflow opens a page for language models, which does not show trainings.
    return f"workflowType=machine_learning&compareRunsMode=CHART&viewStateShareKey={view}"


def _address(client: MlflowClient, study: str, experiment: str, base: str) -> str:
    page = f"{base}/#/experiments/{experiment}/runs"
    if views.view_of(study).charts:
        return f"{page}?{_charts(views.VIEW)}"
    newest = client.search_runs([experiment], filter_string=f"tags.environment = '{RESULTS}'", max_results=1)
    if newest:
        run = newest[0]
        return f"{page}/{run.info.run_id}/artifacts{_first_page(run.data.tags)}?workflowType=machine_learning"
    return f"{page}?workflowType=machine_learning"


def _first_page(tags: dict[str, str]) -> str:
    """The artifact to open first: one that MLflow can display, preferably a table."""
    names = sorted(artifact_digests(tags))
    for suffix in (".md", ".png", ".svg"):
        for name in names:
            if name.endswith(suffix):
                return f"/{name}"
    return ""


def serve(results: Path, port: int = 5000, host: str = HOST, allowed_hosts: str = "") -> int:
    """Show MLflow until Ctrl-C; returns the exit status of its server.

    host: the address to listen at; a warning says so where others can reach it. allowed_hosts: names by which the server may
    be called, as MLflow's option of this name takes them.

    Raises:
        StoreError: the port is taken, there is no such address, or the server does not start.
    """
    results = Path(results).resolve()
    remote = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not remote.startswith("http"):
        _require_free(host, port)
    sweep(results)
    bring_up_to_date(results)
    if remote.startswith("http"):
        _print_links(results, without_login(remote).rstrip("/"))
        return 0
    raise_on_sigterm()
    # In its own session, so that Ctrl-C reaches only this process, which then shuts the server down.
    server = subprocess.Popen(
        _command(results, port, host, allowed_hosts),
        # The address of the store, which may hold a password, is not for the list of processes.
        env={
            **os.environ,
            **store.ENVIRONMENT,
            **SERVER_ENVIRONMENT,
            "MLFLOW_BACKEND_STORE_URI": store.tracking_uri(results),
        },
        start_new_session=True,
    )
    try:
        _wait_until_up(server, host, port)
        _print_links(results, f"http://{HOST if host == ANY else host}:{port}")
        print(_reached_by(host, port))
        print("Ctrl-C ends it.", flush=True)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        server.terminate()
        server.wait()


def _reached_by(host: str, port: int) -> str:
    """Who can open the page."""
    with contextlib.suppress(OSError):
        if ipaddress.ip_address(socket.gethostbyname(host)).is_loopback:
            return f"It listens at {host}, so that only this machine can open it."
    return f"warning: it listens at {host} and asks for no password: whoever reaches port {port} can change and delete runs."


def _command(results: Path, port: int, host: str, allowed_hosts: str) -> list[str]:
    return [
        *(sys.executable, "-m", "mlflow", "ui"),
        *("--artifacts-destination", str(results / store.ARTIFACTS)),
        *("--host", host, "--port", str(port), "--workers", "1"),
        *(("--allowed-hosts", allowed_hosts) if allowed_hosts else ()),
        *("--uvicorn-opts", "--log-level warning"),
    ]


def _require_free(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise store.StoreError(f"host {host!r}: {error.strerror}; give an address of this machine") from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise store.StoreError(
                f"port {port} at {host}: {error.strerror}; choose another, for example --port {port + 1}"
            ) from None


def _wait_until_up(server: subprocess.Popen[bytes], host: str, port: int) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise store.StoreError(f"the MLflow server ended at once, with status {server.returncode}")
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1.0):
            return
        time.sleep(0.2)
    raise store.StoreError(f"the MLflow server did not answer within {STARTUP_SECONDS:.0f} s")


def _print_links(results: Path, base: str) -> None:
    found = links(results, base)
    print("\nMLflow shows the runs here:" if found else f"\nMLflow is at {base}, and has no runs yet.")
    for name, address in found:
        print(f"  {name:<26} {address}")
    print(flush=True)
