"""What code of others does to this process and to other instances, and whether it repeats itself."""

import importlib
import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from odd_environments import Point, point

from subcritic import envs
from subcritic.envs import checking


def changing_the_process(self):
    os.chdir("/")
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_num_threads(3)
    sys.stdout = None
    signal.alarm(60)
    torch.set_grad_enabled(False)
    np.seterr(all="raise")
    warnings.simplefilter("error")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def state():
    return (
        Path.cwd(),
        torch.get_default_dtype(),
        torch.get_default_device(),
        sys.stdout,
        signal.getitimer(signal.ITIMER_REAL),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        np.geterr(),
        list(warnings.filters),
        signal.getsignal(signal.SIGTERM),
    )


@pytest.mark.parametrize("method", ["__init__", "reset", "close"])
def test_what_an_environment_changes_of_the_process_is_put_back(register, method):
    def change(self, *arguments, **options):
        changing_the_process(self)
        return getattr(Point, method)(self, *arguments, **options)

    name, before = register(point(**{method: change})), state()
    environment = envs.make(name)
    environment.reset(seed=0)
    environment.close()
    assert state() == before


def test_an_environment_that_can_be_made_once_at_a_time_is_refused_with_the_reason(register):
    class Port(Point):
        open = False

        def __init__(self):
            if Port.open:
                raise OSError("port 5005 is in use")
            Port.open = True

        def close(self):
            Port.open = False

    with pytest.raises(
        envs.UnusableEnvironment, match=r"port 5005 is in use; it was made once, but .* several"
    ):
        envs.check(register(Port))
    assert not Port.open


def test_an_environment_whose_sizes_change_is_refused(register):
    sizes = iter((2, 3))

    def made(self):
        self.action_space = Box(-1, 1, (next(sizes),), np.float32)

    with pytest.raises(
        envs.UnusableEnvironment, match=r"\(3, 2\) observations and actions .*, \(3, 3\) the next"
    ):
        envs.check(register(point(__init__=made)))


def ignores_seed(self, seed=None, options=None):
    return Point.reset(self, seed=None)


def draws_globally(self, seed=None, options=None):
    Point.reset(self, seed=seed)
    self.x = float(np.random.uniform(-1, 1))  # noqa: NPY002
    return self.observed(), {}


def remembers(self, seed=None, options=None):
    """Starts where the last episode ended."""
    last = getattr(self, "x", None)
    Point.reset(self, seed=seed)
    self.x = self.x if last is None else last
    return self.observed(), {}


@pytest.mark.parametrize("reset", [ignores_seed, draws_globally, remembers])
def test_an_environment_that_does_not_repeat_itself_is_told_before_training(register, reset):
    remark = envs.check(register(point(reset=reset)))
    assert "does not repeat itself" in remark and "differ in the observation of the reset" in remark


class Shared(Point):
    """All instances are one simulator."""

    simulator = {}  # noqa: RUF012
    x = property(lambda self: Shared.simulator["x"], lambda self, x: Shared.simulator.__setitem__("x", x))


def seeds_globally(self, seed=None, options=None):
    np.random.seed(seed)  # noqa: NPY002
    return Point.reset(self, seed=seed)


@pytest.mark.parametrize(
    "kind",
    [Shared, point(reset=seeds_globally, paid=lambda self: np.random.normal())],  # noqa: NPY002
    ids=["one simulator", "NumPy's global generator"],
)
def test_instances_that_share_state_are_told_before_training(register, kind):
    """Each alone repeats itself; side by side, as in training, they give other numbers."""
    remark = envs.check(register(kind))
    assert remark.startswith("instances of 'Odd0-v0' disturb each other: an episode differs in the ")


def test_what_is_handed_over_may_be_changed(register):
    class Eats(Point):
        def __init__(self, gains):
            self.gain = gains.pop()

        def paid(self):
            return -self.gain * self.x**2

    name, kwargs = register(Eats), {"gains": [1.0, 3.0]}
    assert envs.check(name, kwargs) == "" and kwargs == {"gains": [1.0, 3.0]}


def test_a_working_directory_that_is_gone_is_put_back(register, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def made(self):
        gone = tmp_path / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()

    envs.make(register(point(__init__=made)))
    assert Path.cwd() == tmp_path


def test_an_error_in_closing_comes_after_all_are_closed_and_is_no_error(register):
    closed = []

    class Stuck(Point):
        def close(self):
            closed.append(self)
            raise OSError("busy")

    name = register(Stuck)
    together = envs.VectorEnvironment([envs.make(name) for _ in range(3)])
    with pytest.warns(envs.EnvironmentWarning, match=f"'{name}' failed while closing: OSError: busy"):
        together.close()
    assert len(closed) == 3


def test_noise_of_a_step_that_no_seed_governs_is_told_too(register):
    rng = np.random.default_rng()
    remark = envs.check(register(point(paid=lambda self: rng.normal())))
    assert "differ in the reward of step 1" in remark


def test_an_episode_without_any_end_is_cut_so_that_evaluation_ends(register, monkeypatch):
    """Only random actions end its episodes, as where only a bad policy falls."""
    endless = point(
        step=lambda self, action: (
            *Point.step(self, action)[:2],
            bool(np.abs(np.ravel(action)).max() > 0.01),
            False,
            {},
        )
    )
    monkeypatch.setattr(importlib.import_module("subcritic.envs.make"), "LONGEST", 50)
    name = register(endless)
    assert envs.check(name) == ""
    environment = envs.make(name)
    environment.reset(seed=0)
    ends = [environment.step(np.zeros(2, np.float32))[3] for _ in range(50)]
    assert ends == [False] * 49 + [True]


def test_a_limit_equal_to_the_longest_is_a_limit(register):
    name = register(point(step=lambda self, action: (*Point.step(self, action)[:3], False, {})))
    with pytest.raises(envs.UnusableEnvironment, match="has no time limit"):
        envs.check(name)
    assert envs.check(name, None, checking.PATIENCE) == ""
