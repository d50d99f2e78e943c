import shutil

import parts
import pytest
import synthetic

from subcritic.reporting import style


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """A profile of three environments and three seeds, and the folder of its synthetic results."""
    profile = synthetic.profile()
    return profile, synthetic.write(profile, tmp_path_factory.mktemp("results") / "synthetic")


@pytest.fixture
def one_format(monkeypatch):
    """Figures are saved once: the test of the whole chain makes them in all formats."""
    monkeypatch.setattr(style, "FORMATS", ("png",))


@pytest.fixture(scope="session")
def _finished_parts(tmp_path_factory):
    """The results folder of a tiny profile made in parts, finished and published."""
    results = tmp_path_factory.mktemp("parts") / "results"
    parts.train(parts.profile(), results)
    parts.finish(parts.profile(), results)
    parts.publish(parts.profile(), results)
    return results


@pytest.fixture
def finished(_finished_parts, tmp_path):
    """A copy of it, to be changed."""
    return shutil.copytree(_finished_parts, tmp_path / "results", copy_function=shutil.copy2)
