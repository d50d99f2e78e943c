"""Before anything else imports MuJoCo: let it draw without a display. And start no process that mirrors to MLflow."""

from pathlib import Path

import pytest
import torch

import subcritic.envs.display  # noqa: F401
from subcritic.tracking import group

HERE = Path(__file__).parent


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


# Files that take long come first, so that no process is left alone with one at the end: in turn those that mostly wait for
# other processes, and those that compute.
LONG = (
    "pipeline/test_chain.py", "experiments/test_paper_profile.py",
    "pipeline/test_kill.py", "neuro/test_train_one_neuron.py",
    "pipeline/test_newcomer.py", "device/test_fake_gpu.py",
    "pipeline/test_stop.py", "envs/test_suite.py",
    "tracking/test_shared_store.py", "studies/test_dependence.py",
    "site/test_site.py", "device/test_device_trainer.py",
    "tracking/test_upkeep.py", "reports/test_notebook.py",
    "reports/test_verify.py", "reports/test_reports.py",
    "tracking/test_shown_in_mlflow.py", "agents/test_against_stable_baselines3.py",
    "tracking/test_mirror.py", "nn/test_compiled.py",
)  # fmt: skip
assert all((HERE / file).is_file() for file in LONG), "a file of LONG was renamed"


def pytest_collection_modifyitems(items):
    def place(item):
        file = item.path.relative_to(HERE).as_posix()
        return LONG.index(file) if file in LONG else len(LONG)

    items.sort(key=place)
