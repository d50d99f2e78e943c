import shutil

import pytest

from subcritic.tracking import store
from subcritic.tracking.upkeep import bring_up


@pytest.fixture(autouse=True)
def own_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """An initialised store, made once: its migrations take seconds."""
    results = tmp_path_factory.mktemp("template")
    with store.new_database(results) as (_, new):
        pass
    return new


@pytest.fixture
def results(tmp_path, template):
    """A results folder with an MLflow store of its own."""
    folder = tmp_path / "results"
    folder.mkdir()
    shutil.copy(template, folder / "mlflow.db")
    bring_up(folder)
    return folder
