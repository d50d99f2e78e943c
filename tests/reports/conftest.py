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
