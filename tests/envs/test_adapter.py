"""What foreign environments hand out: converted where nothing is lost, else refused in one line that says what is wrong."""

import importlib
import os
import signal
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, Tuple
from odd_environments import Point, Registered, point

from subcritic import envs
from subcritic.envs import checking


@pytest.fixture
def register():
    with Registered() as registered:
        yield registered


def played(name, steps=25):
    """Observations, rewards, ends of random actions, episodes one after the other."""
    environment, rng = envs.make(name), np.random.default_rng(0)
    environment.reset(seed=1)
    found = []
    for step in range(steps):
        observation, *more, _ = environment.step(
            rng.uniform(-1, 1, envs.sizes(environment)[1]).astype(np.float32)
        )
        found.append((observation.copy(), *more))
        if more[-1] or more[-2]:
            environment.reset(seed=step)
    return found


def assert_same(some, others):
    for mine, other in zip(some, others, strict=True):
        assert mine[0].dtype == other[0].dtype == np.float32 and mine[0].shape == other[0].shape
        np.testing.assert_array_equal(mine[0], other[0])
        assert mine[1:] == other[1:]
        assert [type(value) for value in mine[1:]] == [float, bool, bool]


def seen_as(convert):
    return {"observed": lambda self: convert(Point.observed(self))}


def paid_as(convert):
    return {"paid": lambda self: convert(Point.paid(self))}


def ended_as(convert):
    def step(self, action):
        *first, terminated, truncated, information = Point.step(self, action)
        return *first, convert(terminated), convert(truncated), information

    return {"step": step}


def shared(self):
    """One array for every observation."""
    self.buffer = getattr(self, "buffer", np.zeros(3, np.float32))
    self.buffer[:] = Point.observed(self)
    return self.buffer


def changes_action(self, action):
    found = Point.step(self, action)
    action *= 0
    return found


CONVERTED = {
    "observation: list": seen_as(list),
    "observation: tuple": seen_as(tuple),
    "observation: float64": seen_as(np.float64),
    "observation: objects": seen_as(lambda seen: np.array(list(seen), object)),
    "observation: column": seen_as(lambda seen: seen[:, None]),
    "observation: big-endian": seen_as(lambda seen: seen.astype(">f4")),
    "observation: strided": seen_as(lambda seen: np.repeat(seen, 2)[::2]),
    "observation: read-only": seen_as(lambda seen: np.frombuffer(seen.tobytes(), np.float32)),
    "observation: tensor": seen_as(torch.from_numpy),
    "observation: its own buffer": {"observed": shared},
    "observation space: float64": {"observation_space": Box(-10, 10, (3,), np.float64)},
    "observation space: column": {"observation_space": Box(-10, 10, (3, 1), np.float32)},
    "reward: array of one": paid_as(lambda paid: np.array([paid])),
    "reward: array without axes": paid_as(np.array),
    "reward: float64": paid_as(np.float64),
    "reward: view": {
        "paid": lambda self: setattr(self, "r", np.array([Point.paid(self)])) or self.r[:1],
    },
    "ends: arrays": ended_as(lambda end: np.array([end])),
    "ends: integers": ended_as(int),
    "ends: NumPy's": ended_as(np.bool_),
    "action: changed in place": {"step": changes_action},
    "action space: (1, 2)": {"action_space": Box(-1, 1, (1, 2), np.float32)},
    "no information": {"step": lambda self, action: (*Point.step(self, action)[:4], None)},
}


@pytest.mark.parametrize("change", CONVERTED.values(), ids=CONVERTED)
def test_what_converts_without_loss_gives_the_numbers_of_its_plain_twin(register, change):
    odd, plain = register(point(**change)), register(Point)
    assert envs.check(odd) == ""
    assert_same(played(odd), played(plain))


def raising(error):
    def fail(self, *arguments, **options):
        raise error

    return fail


def seen_apart(nested):
    """The plain observation in parts, whose order is that of their names."""

    def observed(self):
        x, step, one = Point.observed(self)
        return {"a": np.array([x]), "b": (step, np.array([one])) if nested else np.array([step, one])}

    b = (
        Tuple([Box(0, 9, (), np.float32), Box(0, 9, (1,), np.float64)])
        if nested
        else Box(0, 9, (2,), np.float32)
    )
    return {"observed": observed, "observation_space": Dict(a=Box(-9, 9, (1,), np.float64), b=b)}


CONVERTED |= {"observation: dict": seen_apart(nested=False), "observation: nested": seen_apart(nested=True)}

REFUSED = {
    "observation: None": (
        seen_as(lambda seen: None),
        "gave NoneType None as an observation; its .* float32 (3,)",
    ),
    "observation: None in it": (
        seen_as(lambda seen: [1.0, None, 2.0]),
        "gave list [1.0, None, 2.0] as an obs",
    ),
    "observation: text": (seen_as(lambda seen: "left"), "gave str 'left' as an observation"),
    "observation: complex": (seen_as(lambda seen: seen * 1j), "as an observation; its .* float32 (3,)"),
    "observation: ragged": (seen_as(lambda seen: [[1, 2], [3]]), "gave list [[1, 2], [3]] as an observation"),
    "observation: longer": (
        seen_as(lambda seen: [*seen, 1]),
        "shape (4,); its observation_space declares (3,)",
    ),
    "observation: nan": (seen_as(lambda seen: seen * np.nan), "gave an observation with nan at index 0"),
    "observation: inf": (
        seen_as(lambda seen: np.array([0, 0, np.inf])),
        "gave an observation with inf at index 2",
    ),
    "observation: beyond float32": (
        seen_as(lambda seen: [1, 1e200, 0]),
        "with 1e+200 (beyond float32) at index 1",
    ),
    "reward: None": (paid_as(lambda paid: None), "gave NoneType None as a reward; a number is needed"),
    "reward: text": (paid_as(str), "as a reward; a number is needed"),
    "reward: vector": (paid_as(lambda paid: [1, 2]), "gave list [1, 2] as a reward; a single number"),
    "reward: complex": (paid_as(lambda paid: 1j), "gave complex 1j as a reward; a number is needed"),
    "reward: nan": (paid_as(lambda paid: np.nan), "gave the reward nan"),
    "reward: beyond float32": (paid_as(lambda paid: -1e39), "gave the reward -1e+39 (beyond float32)"),
    "ends: None": (ended_as(lambda end: None), "gave NoneType None as terminated; True or False is needed"),
    "ends: text": (ended_as(str), "gave str 'False' as terminated; True or False is needed"),
    "Gym: step of four": (
        {"step": lambda self, action: Point.step(self, action)[1:]},
        "failed while stepping: ValueError: .* (step must return observation, reward, terminated, truncated and info)",
    ),
    "Gym: reset of one": (
        {"reset": lambda self, seed=None, options=None: Point.reset(self, seed=seed)[0]},
        "when reset; reset must return the observation and a dict",
    ),
    "Gym: reset without keywords": (
        {"reset": lambda self: (self.observed(), {})},
        "failed while resetting: TypeError: .* (reset must take the keywords seed and options)",
    ),
    "raises in reset": ({"reset": raising(KeyError("depth"))}, "failed while resetting: KeyError: 'depth'"),
    "raises in step": (
        {"step": raising(OSError(2, "No such file", "robot.xml"))},
        "failed while stepping: FileNotFoundError: [Errno 2] No such file: 'robot.xml'",
    ),
    "raises many lines": ({"step": raising(ValueError("a\n  b"))}, "failed while stepping: ValueError: a b"),
    "raises nothing said": ({"step": raising(AssertionError())}, "failed while stepping: AssertionError"),
    "raises in closing": ({"close": raising(OSError("busy"))}, "failed while closing: OSError: busy"),
    "raises in making": (
        {"__init__": raising(AttributeError("x"))},
        "failed while making: AttributeError: x",
    ),
    "leaves the program": ({"step": raising(SystemExit(3))}, "failed while stepping: SystemExit: 3"),
    "leaves when made": ({"__init__": raising(SystemExit())}, "failed while making: SystemExit"),
    "no space": ({"action_space": None}, "declares no action_space; a Box is needed"),
    "discrete": (
        {"action_space": Discrete(3)},
        "has Discrete actions; a Box, of continuous actions, is needed",
    ),
    "dict": ({"observation_space": Dict()}, "has Dict observations; a Box"),
    "dict with images": (
        {"observation_space": Dict(camera=Box(0, 255, (8, 8), np.uint8), x=Box(0, 1, (1,)))},
        "has Dict observations; a Box",
    ),
    "dict that lacks a part": (
        {
            "observation_space": Dict(x=Box(0, 1, (3,)), y=Box(0, 1, (3,))),
            "observed": lambda self: {"x": np.zeros(3)},
        },
        "failed while resetting: KeyError: 'y'",
    ),
    "empty observation": ({"observation_space": Box(0, 1, (0,))}, "has empty observations, of shape (0,)"),
    "empty action": ({"action_space": Box(0, 1, (2, 0))}, "has empty actions, of shape (2, 0)"),
    "integer actions": (
        {"action_space": Box(0, 9, (2,), np.int64)},
        "has actions of dtype int64; a Box of floats",
    ),
    "unbounded": ({"action_space": Box(0, np.inf, (2,), np.float32)}, "has actions without bounds"),
    "changes the folder": (
        {"step": lambda self, action: (os.chdir("/"), Point.step(self, action))[1]},
        "changes the working directory of this process when it is stepped",
    ),
}


@pytest.mark.parametrize(("change", "complaint"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_in_one_line(register, change, complaint, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    name = register(point(**change))
    with pytest.raises(envs.UnusableEnvironment) as error:
        envs.check(name)
    said, *more = str(error.value).splitlines()
    assert said.startswith(f"{name!r} ") and not more
    start, _, end = complaint.partition(".*")
    assert start in said and end in said
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize(
    "space",
    [
        Box(np.float32([0, -5]), np.float32([1, 20])),
        Box(np.float32([0.1, -0.7]), np.float32([0.3, 1e4])),
        Box(np.array([-0.1, 0.2]), np.array([0.7, 0.3]), dtype=np.float64),
        Box(-0.1, 0.3, (2,), np.float16),
        Box(np.float32([-1, 2]), np.float32([1, 2])),
        Box(-np.finfo(np.float32).max, np.finfo(np.float32).max, (2,), np.float32),
        Box(-3, 3, (2, 3), np.float32),
        Box(-2, 1, (), np.float32),
    ],
    ids=str,
)
def test_actions_lie_in_the_space_and_reach_its_bounds(register, space):
    given = []
    name = register(
        point(action_space=space, step=lambda self, a: (given.append(a.copy()), Point.step(self, 0 * a))[1])
    )
    environment = envs.make(name)
    environment.reset(seed=0)
    rng, size = np.random.default_rng(0), envs.sizes(environment)[1]
    for action in (*rng.uniform(-1, 1, (200, size)), -np.ones(size), np.ones(size), np.zeros(size)):
        environment.step(action.astype(np.float32))
        assert given[-1].dtype == space.dtype and space.contains(given[-1])
    low, high = space.low.astype(float), space.high.astype(float)
    tolerance = 2e-3 if space.dtype == np.float16 else 1e-6
    for found, expected in zip(given[-3:], (low, high, (low + high) / 2), strict=True):
        np.testing.assert_allclose(found.astype(float), expected, rtol=tolerance)


def test_an_action_that_is_not_finite_is_the_callers_mistake(register):
    environment = envs.make(register(Point))
    environment.reset(seed=0)
    with pytest.raises(ValueError, match=r"action .* is not finite") as error:
        environment.step(np.array([np.nan, 0], np.float32))
    assert not isinstance(error.value, envs.UnusableEnvironment)


def changing_the_process(self):
    os.chdir("/")
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(3)
    torch.set_grad_enabled(False)
    np.seterr(all="raise")
    warnings.simplefilter("error")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def state():
    return (
        Path.cwd(),
        torch.get_default_dtype(),
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
