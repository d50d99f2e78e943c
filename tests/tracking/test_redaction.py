"""Passwords of MLflow's store are in nothing that is printed or written."""

import logging
import os
import subprocess
import sys
import warnings

import pytest
from tracking_helpers import CONFIG, identity

from subcritic import tracking
from subcritic.tracking import RunGroup, StoreError, process, store, ui
from subcritic.tracking.redaction import Redacting, redact, without_login

SECRET = "op3n-sesame"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:op3n-sesame@host:5432/db", "postgresql://***@host:5432/db"),
        ("postgresql+psycopg2://me:p@ss@host/db?x=1", "postgresql+psycopg2://***@host/db?x=1"),
        ("(http://op3n-sesame@host/api)", "(http://***@host/api)"),
        ("postgresql://host/db?user=me&password=op3n-sesame", "postgresql://host/db?user=me&password=***"),
        ("invalid dsn: host=h password=op3n-sesame user=me", "invalid dsn: host=h password=*** user=me"),
        ("token: op3n-sesame", "token: ***"),
        ('{"password": "op3n-sesame"}', '{"password": "***"}'),
        ('{"a": 1, "password":"op3n, \\" sesame", "b": 2}', '{"a": 1, "password":"***", "b": 2}'),
        ("{'password': 'op3n', 'host': 'h'}", "{'password': '***', 'host': 'h'}"),
        ("export MLFLOW_TRACKING_PASSWORD=op3n", "export MLFLOW_TRACKING_PASSWORD=***"),
        ("sslpassword='op3n sesame' host=h", "sslpassword='***' host=h"),
        ("password='op3n", "password='***"),
        ("http://127.0.0.1:5000/#/experiments/1/runs", "http://127.0.0.1:5000/#/experiments/1/runs"),
        ("http://host/a@b and mail@host", "http://host/a@b and mail@host"),
        ("postgresql://me@host/db", "postgresql://***@host/db"),
        ("no secret here", "no secret here"),
    ],
)
def test_logins_in_addresses_and_named_secrets_are_hidden(text, shown):
    assert redact(text) == shown


def test_what_the_environment_says_is_secret_is_hidden_wherever_it_stands(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:sl/ash%20%40t@host/db")
    monkeypatch.setenv("PGPASSWORD", "of-postgres")
    assert redact("failed: sl/ash @t, sl/ash%20%40t, of-postgres") == "failed: ***, ***, ***"
    assert "sl/ash" not in redact("cannot parse 'postgresql://me:sl/ash%20%40t@host/db'")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://mlflow@host/db")
    assert redact("results/mlflow.db") == "results/mlflow.db", "a user is no password"


def test_links_have_no_login():
    assert without_login("http://me:op3n-sesame@host:5000/") == "http://host:5000/"


def test_log_records_and_their_tracebacks_are_redacted(capsys):
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Redacting())
    logger = logging.Logger("library")
    logger.addHandler(handler)
    try:
        raise ValueError(f"postgresql://me:{SECRET}@host")
    except ValueError:
        logger.exception("failed: %s", f"http://me:{SECRET}@host")
    said = capsys.readouterr().err
    assert "ValueError: postgresql://***@host" in said and "failed: http://***@host" in said
    assert SECRET not in said


# A server that is down, a database that is, schemes unknown to MLflow and to SQLAlchemy, a port
# that is none, a slash in the password, no login but a field, an IPv6 address without its end.
ADDRESSES = [
    f"http://me:{SECRET}@127.0.0.1:9",
    f"postgresql://me:{SECRET}@127.0.0.1:9/db",
    f"postgres://me:{SECRET}@127.0.0.1:9/db",
    f"postgresql+odd://me:{SECRET}@127.0.0.1:9/db",
    f"postgresql://me:{SECRET}@127.0.0.1:port/db",
    f"postgresql://me:{SECRET}/more@127.0.0.1/db",
    f"postgresql://127.0.0.1:9/db?user=me&password={SECRET}",
    f"http://me:{SECRET}@[::1",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_store_that_fails_gives_the_password_away(address, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setattr(ui, "_require_free", lambda host, port: None)
    with RunGroup(tmp_path, [identity()], CONFIG, mirror=False) as group:
        group.log(1, 0, {"a": 1.0})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        process.follow(tmp_path)
        for fails in (tracking.bring_up_to_date, tracking.rebuild, tracking.links, tracking.serve):
            with pytest.raises(StoreError) as failed:
                fails(tmp_path)
            assert SECRET not in str(failed.value) and "\n" not in str(failed.value)
            # `from None`: nor does a traceback show what it was made from.
            assert failed.value.__suppress_context__
    assert "stopped mirroring to MLflow" in process.failure(tmp_path, 0)
    said = capfd.readouterr()
    assert SECRET not in said.out + said.err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 4
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_an_error_of_a_training_is_recorded_without_a_password(tmp_path):
    with pytest.raises(OSError), RunGroup(tmp_path, [identity()], CONFIG, mirror=False) as group:
        raise OSError(f"http://me:{SECRET}@host is down")
    assert group.runs[0].content["tags"]["error"] == "OSError: http://***@host is down"


@pytest.mark.parametrize(
    ("scheme", "driver", "install"),
    [("postgresql", "psycopg2", ": pip install -e '.[postgres]'"), ("mysql", "MySQLdb", "")],
)
def test_a_database_without_its_driver_says_what_to_install(scheme, driver, install, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://me:{SECRET}@127.0.0.1:9/db")
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(StoreError) as failed:
        store.connect(tmp_path)
    assert str(failed.value) == f"{scheme}://***@127.0.0.1:9/db needs the package {driver}{install}"


def test_the_page_is_served_without_the_address_among_its_arguments(tmp_path, monkeypatch):
    """Anybody on the machine can list the arguments of processes."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql://me:{SECRET}@127.0.0.1:9/db")
    assert SECRET not in " ".join(ui._command(tmp_path, 5000, ui.HOST, ""))


def test_the_command_line_says_it_in_one_line(tmp_path):
    RunGroup(tmp_path, [identity()], CONFIG, mirror=False).__enter__().__exit__(None, None, None)
    done = subprocess.run(
        [sys.executable, "-m", "subcritic.cli", "tracking", "rebuild", "--results", str(tmp_path)],
        env={**os.environ, "MLFLOW_TRACKING_URI": ADDRESSES[0]}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("subcritic: MLflow: ") and SECRET not in done.stdout + done.stderr
