"""Files from elsewhere are read as data, and one that would run something is refused before it does."""

import os

import numpy as np
import pytest
import torch

from subcritic import stored
from subcritic.config import ConfigError, Section
from subcritic.measuring import policies
from subcritic.measuring.snapshots import load_snapshots
from subcritic.training import checkpoint


class Runs:
    """When it is unpickled, it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def crafted(tmp_path):
    """A file that makes the folder `harm` for whoever unpickles it."""
    path = tmp_path / "crafted.pt"
    harm = tmp_path / "harm"
    torch.save({"identity": "a", "state": Runs(harm), "key": "a", "parameters": torch.zeros(3)}, path)
    return path, harm


def test_a_crafted_file_does_its_harm_when_it_is_unpickled(crafted):
    path, harm = crafted
    torch.load(path, weights_only=False)
    assert harm.is_dir()


def test_a_crafted_checkpoint_is_not_used_and_nothing_of_it_runs(crafted, capsys):
    path, harm = crafted
    assert checkpoint.load(path, "a") is None
    assert (
        f"{path}: not a file of tensors and plain data (it asks for posix.mkdir)" in capsys.readouterr().err
    )
    assert not harm.exists()


@pytest.mark.parametrize("load", [policies.load, policies.load_one])
def test_a_crafted_policy_is_refused(crafted, load):
    path, harm = crafted
    with pytest.raises(ConfigError, match=r"crafted.pt: not a file of tensors .*asks for posix.mkdir"):
        load(path)
    assert not harm.exists()


def test_crafted_snapshots_are_refused(crafted):
    path, harm = crafted
    with pytest.raises(ConfigError, match=r"asks for posix.mkdir\); run `subcritic experiment1"):
        load_snapshots(path, Section(), "Pendulum-v1")
    assert not harm.exists()


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "half.pt"
    torch.save(torch.arange(1000.0), path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(stored.UnreadableFile, match=r"half.pt: not a file of tensors and plain data \("):
        stored.read(path)


def test_what_checkpoints_hold_is_read_as_it_was(tmp_path):
    path = tmp_path / "state.pt"
    generator = np.random.default_rng(3)
    saved = {
        "tensor": torch.randn(3, dtype=torch.float64),
        "random": generator.bit_generator.state,
        "torch": torch.get_rng_state(),
        "arrays": [generator.random(4, dtype=np.float32), np.arange(3), np.array([True]), np.array(["a"])],
        "scalar": np.float32(1.5),
        "plain": {"none": None, "pair": (1, 2.5, "text"), "bytes": b"x", "large": 2**100},
    }
    torch.save(saved, path)
    found = stored.read(path)
    torch.testing.assert_close(found["tensor"], saved["tensor"], rtol=0, atol=0)
    torch.testing.assert_close(found["torch"], saved["torch"], rtol=0, atol=0)
    assert found["random"] == saved["random"]
    assert found["plain"] == saved["plain"]
    assert found["scalar"] == 1.5
    for mine, theirs in zip(found["arrays"], saved["arrays"], strict=True):
        np.testing.assert_array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype
