"""Before anything else imports MuJoCo: let it draw without a display. And start no process that mirrors to MLflow."""

import hypothesis
import pytest
import torch

# Loads Triton, where torch is built for CUDA: after Mesa has drawn in the same process, that is a segmentation fault.
import torch.utils.flop_counter

import subcritic.envs.display  # noqa: F401
from subcritic.tracking import group

# A machine that does other work is no reason to fail.
hypothesis.settings.register_profile(
    "subcritic", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("subcritic")


@pytest.fixture(scope="session", autouse=True)
def no_mirror():
    """Tests of MLflow's copy make it themselves; commands that tests start are not concerned."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group, "keep_mirrored", lambda results: None)
        yield


@pytest.fixture(scope="module", autouse=True)
def settings_of_torch():
    """As they were: a training sets both for all of its process."""
    threads = torch.get_num_threads()
    yield
    torch.set_flush_denormal(False)
    torch.set_num_threads(threads)


def pytest_collection_modifyitems(items):
    """Files that take minutes come first, so that no process is left alone with one at the end."""
    items.sort(key=lambda item: "pipeline" not in item.path.parts)
