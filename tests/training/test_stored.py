"""Files from elsewhere are read as data, and one that would run something is refused before it does."""

import os
from collections import deque

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
        "arrays": [
            generator.random(4, dtype=np.float32),
            np.arange(3, dtype=np.uint64),
            np.array([True]),
            np.arange(6.0)[::-2],
            np.zeros((0, 2), np.uint8),
            np.array(2.5),
        ],
        "scalar": np.float32(1.5),
        "plain": {"none": None, "pair": (1, 2.5, "text"), "bytes": b"x", "large": 2**100, 7: {1, 2}},
    }
    stored.write(path, saved)
    found = stored.read(path)
    torch.testing.assert_close(found["tensor"], saved["tensor"], rtol=0, atol=0)
    torch.testing.assert_close(found["torch"], saved["torch"], rtol=0, atol=0)
    assert found["random"] == saved["random"]
    assert found["plain"] == saved["plain"]
    assert found["scalar"] == 1.5 and type(found["scalar"]) is np.float32
    for mine, theirs in zip(found["arrays"], saved["arrays"], strict=True):
        np.testing.assert_array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype and mine.shape == theirs.shape


def test_an_array_is_not_copied_to_be_written_and_its_file_makes_no_dtype(tmp_path):
    path = tmp_path / "state.pt"
    stored.write(path, {"array": np.zeros(1000)})
    assert torch.serialization.get_unsafe_globals_in_checkpoint(path) == []
    assert stored._packed(array := np.zeros(3), "")[stored.ARRAY].data_ptr() == array.ctypes.data


def test_an_array_of_anything_else_is_refused_when_it_is_read(tmp_path):
    """NumPy makes a dtype as a pickle says, pointers that lead nowhere included."""
    path = tmp_path / "crafted.pt"
    torch.save(np.zeros(3), path)
    with pytest.raises(stored.UnreadableFile, match=r"it asks for numpy.*dtype"):
        stored.read(path)


@pytest.mark.parametrize("kept", [deque([1]), np.random.default_rng(), np.array(["a"]), torch.device("cpu")])
def test_what_could_not_be_read_is_not_written(tmp_path, kept):
    state = {"agent": [{"kept": kept}]}
    with pytest.raises(TypeError, match=r"^\['agent'\]\[0\]\['kept'\] is a .*; what is kept must be tensors"):
        stored.write(tmp_path / "state.pt", state)


def test_a_checkpoint_that_could_not_be_read_says_what_is_in_the_way_and_leaves_the_last_one(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, "a", {"step": 1})
    with pytest.raises(checkpoint.CheckpointError, match=r"\['state'\]\['mine'\] is a collections.deque"):
        checkpoint.save(path, "a", {"mine": deque()})
    assert checkpoint.load(path, "a") == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]
