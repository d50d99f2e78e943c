"""What foreign environments hand out: converted where nothing is lost, else refused in one line that says what is wrong."""

import os
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, Tuple
from odd_environments import Point, point

from subcritic import envs


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
    "reward: Fraction": paid_as(Fraction),
    "reward: Decimal": paid_as(Decimal),
    "observation: tensor with gradients": seen_as(lambda seen: torch.from_numpy(seen).requires_grad_()),
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


class Unprintable:
    def __repr__(self):
        raise RuntimeError


class UnprintableError(Exception):
    def __str__(self):
        return 3


class Panic(BaseException):
    pass


def upside_down():
    space = Box(-1, 1, (2,), np.float32)
    space.low[0] = 2
    return space


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
        "shape (4,); its observation_space declares float32 (3,)",
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
    "dict": ({"observation_space": Dict()}, "has empty observations"),
    "dict of discrete": (
        {"observation_space": Dict(x=Box(0, 1, (3,)), y=Discrete(3))},
        "has Dict observations with Discrete in them; Boxes are needed",
    ),
    "parts of other shapes": (
        {
            "observation_space": Dict(a=Box(-9, 9, (2,)), b=Box(-9, 9, (2,))),
            "observed": lambda self: {"a": np.zeros(3), "b": np.zeros(1)},
        },
        "gave an observation of shape (3,); its observation_space declares float32 (2,)",
    ),
    "parts in a tuple too few": (
        {
            "observation_space": Tuple([Box(0, 1, (1,)), Box(0, 1, (1,))]),
            "observed": lambda self: (np.zeros(1),),
        },
        "as an observation; its space declares 2 parts",
    ),
    "fractions as 8 bits": (
        {"observation_space": Box(0, 255, (3,), np.uint8)},
        "gave an observation of float32 with .*; its observation_space declares uint8 (3,)",
    ),
    "negative as unsigned": (
        {
            "observation_space": Box(0, 255, (3,), np.uint8),
            **seen_as(lambda seen: np.array([1, -7, 3], np.int8)),
        },
        "gave an observation of int8 with -7; its observation_space declares uint8 (3,)",
    ),
    "masked observation": (
        seen_as(lambda seen: np.ma.array(seen, mask=[0, 1, 0])),
        "gave an observation with nan at index 1",
    ),
    "reward: infinite in 16 bits": (paid_as(lambda paid: np.float16(np.inf)), "gave the reward inf"),
    "observation: infinite in 16 bits": (
        seen_as(lambda seen: np.array([1, np.inf, 2], np.float16)),
        "gave an observation with inf at index 1",
    ),
    "masked reward": (paid_as(lambda paid: np.ma.masked), "gave the reward nan"),
    "reward beyond every float": (paid_as(lambda paid: 10**400), "gave the reward inf"),
    "space that raises": (
        {"action_space": property(raising(RuntimeError("no licence")))},
        "making: RuntimeError: no lic",
    ),
    "space upside down": (
        {"action_space": upside_down()},
        "has an action_space whose low is not below its high",
    ),
    "ends: ragged": (ended_as(lambda end: [[1], [2, 3]]), "gave list [[1], [2, 3]] as terminated"),
    "says nothing printable": (
        seen_as(lambda seen: Unprintable()),
        "gave Unprintable Unprintable that cannot be printed as",
    ),
    "error that cannot be printed": (
        {"step": raising(UnprintableError())},
        "stepping: UnprintableError: UnprintableError that",
    ),
    "error of a kind of its own": ({"step": raising(Panic("out"))}, "failed while stepping: Panic: out"),
    "error with control characters": (
        {"step": raising(ValueError("\x1b[31mred\x07"))},
        "stepping: ValueError: [31mred",
    ),
    "error without end": ({"step": raising(ValueError("much " * 9999))}, "…"),
    "dict that lacks a part": (
        {
            "observation_space": Dict(x=Box(0, 1, (3,)), y=Box(0, 1, (3,))),
            "observed": lambda self: {"x": np.zeros(3)},
        },
        "gave an observation with ['x']; its space declares ['x', 'y']",
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
        Box(-1e308, 1e308, (2,), np.float64),
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
