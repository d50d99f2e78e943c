"""Random spaces, ways to hand things out, and faults: an environment trains as its plain twin, or is refused in one line."""

import warnings

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Box
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_environments import Registered

from subcritic import envs
from subcritic.agents import make_agent
from subcritic.config import parse_method
from subcritic.training import Trainer

DDPG = parse_method({"algorithm": "ddpg", "hidden": [4], "batch_size": 8, "learning_starts": 20})
STEPS, EPISODE = 70, 9


def raising(error):
    def fail(*_):
        raise error

    return fail


# What an observation may come as, without losing anything.
SEEN = {
    "as it is": lambda seen: seen,
    "list": lambda seen: seen.tolist(),
    "other byte order": lambda seen: seen.astype(seen.dtype.newbyteorder()),
    "strided": lambda seen: np.stack([seen, seen], axis=-1)[..., 0],
    "Fortran's order": np.asfortranarray,
    "objects": lambda seen: seen.astype(object),
    "axis of one more": lambda seen: seen[None],
    "read-only": lambda seen: np.frombuffer(seen.tobytes(), seen.dtype).reshape(seen.shape),
}
PAID = {
    "number": float,
    "integer": int,
    "float32": np.float32,
    "array": lambda paid: np.array([paid], np.float32),
    "array without axes": np.array,
    "tensor": torch.tensor,
}
ENDS = {"bool": bool, "integer": int, "NumPy": np.bool_, "array": lambda end: np.array([end])}
# What may go wrong in a step, as what becomes of (observation, reward, terminated, truncated, information).
FAULTS = {
    "nan seen": lambda o, *more: (np.full(np.shape(o), np.nan), *more),
    "none seen": lambda o, *more: (None, *more),
    "text seen": lambda o, *more: ("left", *more),
    "more seen": lambda o, *more: (np.append(o, 0), *more),
    "complex seen": lambda o, *more: (np.asarray(o) * 1j, *more),
    "nan paid": lambda o, r, *more: (o, np.nan, *more),
    "infinity paid": lambda o, r, *more: (o, -np.inf, *more),
    "none paid": lambda o, r, *more: (o, None, *more),
    "two paid": lambda o, r, *more: (o, [1.0, 2.0], *more),
    "text paid": lambda o, r, *more: (o, "much", *more),
    "no end": lambda o, r, d, *more: (o, r, None, *more),
    "Gym's four": lambda *answer: answer[1:],
    "nothing": lambda *answer: None,
    "error": raising(KeyError("depth")),
    "leaves": raising(SystemExit(1)),
}
OBSERVED = [np.float16, np.float32, np.float64, np.int8, np.int32, np.uint8, np.bool_]


@st.composite
def spaces(draw):
    """An observation space and an action space that can be used."""
    dtype = np.dtype(draw(st.sampled_from(OBSERVED)))
    shape = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
    bounded = dtype.kind != "f" or draw(st.booleans())
    high = {"b": 1, "f": 10}.get(dtype.kind, 100) if bounded else np.inf
    seen = Box(0 if dtype.kind in "bu" else -high, high, shape, dtype)
    acted = tuple(draw(st.lists(st.integers(1, 2), max_size=2)))
    low = draw(st.floats(-1e4, 1e4, width=16))
    width = draw(st.floats(0.0625, 1e4, width=16))
    kind = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    return seen, Box(np.full(acted, low, kind), np.full(acted, low + width, kind), acted, kind)


class Odd(gym.Env):
    """Moves by the sign of its first action; what it sees and pays is exact in every dtype."""

    def __init__(self, spaces, seen, paid, ends, buffered, fault=None, when=0):
        self.observation_space, self.action_space = spaces
        self.seen, self.paid, self.ends, self.buffered = SEEN[seen], PAID[paid], ENDS[ends], buffered
        self.fault, self.when, self.played = fault, when, 0
        self.buffer = np.zeros(self.observation_space.shape, self.observation_space.dtype)

    def content(self):
        count = self.buffer.size
        flat = np.linspace(0, 1, count) + self.x + self.steps
        return (
            (flat % 2 if self.buffer.dtype.kind == "b" else flat)
            .astype(self.buffer.dtype)
            .reshape(self.buffer.shape)
        )

    def observed(self):
        if not self.buffered:
            return self.seen(self.content())
        self.buffer[...] = self.content()
        return self.seen(self.buffer)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps, self.x = 0, float(self.np_random.integers(1, 9))
        return self.observed(), {}

    def step(self, action):
        space = self.action_space
        assert space.contains(action), f"{action} is not in {space}"
        middle = (float(space.low.flat[0]) + float(space.high.flat[0])) / 2
        self.x += float(np.sign(float(action.flat[0]) - middle))
        self.steps += 1
        self.played += 1
        paid, over = float(-round(abs(self.x)) % 5), self.steps >= EPISODE
        action[...] = 0
        answer = (self.observed(), self.paid(paid), self.ends(self.x > 12), self.ends(over), {})
        return FAULTS[self.fault](*answer) if self.fault and self.played >= self.when else answer


class Plain(Odd):
    """The same with flat float32 observations, floats and booleans."""

    def __init__(self, spaces):
        super().__init__(spaces, "as it is", "number", "bool", buffered=False)
        seen = spaces[0]
        self.scale = 255 if seen.dtype == np.uint8 else 1
        self.observation_space = Box(-np.inf, np.inf, (int(np.prod(seen.shape)),), np.float32)

    def observed(self):
        return self.content().astype(np.float32).reshape(-1) / np.float32(self.scale)


def trained(name):
    """The parameters of two policies after a short training."""

    def environment():
        return envs.make(name)

    made = environment()
    sizes = envs.sizes(made)
    made.close()
    run = Trainer(make_agent(DDPG, *sizes, [0, 1]), environment, [0, 1], STEPS, divergence_factor=1e9)
    # A seed that is stopped is told as a warning.
    with warnings.catch_warnings(record=True):
        run.run()
    run.close()
    assert run.watch.active == [0, 1]
    return run.agent.policy().flat


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    spaces(),
    st.sampled_from(list(SEEN)),
    st.sampled_from(list(PAID)),
    st.sampled_from(list(ENDS)),
    st.booleans(),
    st.none() | st.sampled_from(list(FAULTS)),
    st.integers(1, STEPS),
)
def test_it_trains_as_its_plain_twin_or_is_refused_in_one_line(
    spaces, seen, paid, ends, buffered, fault, when
):
    with Registered() as register:
        odd = register(lambda: Odd(spaces, seen, paid, ends, buffered, fault, when))
        plain = register(lambda: Plain(spaces))
        try:
            assert envs.check(odd, None, EPISODE) == ""
            found = trained(odd)
        except envs.UnusableEnvironment as refusal:
            assert fault, f"refused without a fault: {refusal}"
            assert str(refusal).startswith("'Odd0-v0' ") and len(str(refusal).splitlines()) == 1
        else:
            assert fault is None
            assert torch.equal(found, trained(plain))
