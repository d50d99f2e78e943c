import pytest
import synthetic


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """A profile of three environments and three seeds, and the folder of its synthetic results."""
    profile = synthetic.profile()
    return profile, synthetic.write(profile, tmp_path_factory.mktemp("results") / "synthetic")
