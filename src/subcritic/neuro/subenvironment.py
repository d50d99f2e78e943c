"""Sub-environments E^n (Definition 2.2.2): what the world is to one neuron, as a Gymnasium environment."""

from __future__ import annotations

from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box

from subcritic.envs import UnusableEnvironment
from subcritic.neuro.agent import NeurocomputationalAgent, NonFiniteVoltage, unchanged

# The voltages a learner chooses from, by σ: its range, or a stretch of it where the range has no end.
BOUNDS = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "relu": (0.0, 10.0), "identity": (-10.0, 10.0)}


class SubEnvironment(gym.Env):
    """E^n of a base environment E, an agent N and a neuron n.

    Observation: the voltages that n may see; action: its voltage α, shape (1,); reward: E's, and 0 between E's steps.
    One step is

        T^n(v, α) = (I − χ_nn) D(v) + e_n α + ε(s)                                    (2.2.3)

    and every ℓ-th of them is also a step of E with the action δ(v), whose new state is the s above; the others hold
    the old one. An episode starts at v = ε(s_0) and ends when E's does.

    environment: has a Box of finite actions, one per output neuron (`subcritic.envs.make` scales them to [-1, 1]).
        Actions are clipped to its bounds.
    view: 'all' voltages (N,), or the 'presynaptic' ones, those with a connection into n: the layer below and the constant
        neuron in a feed-forward network.
    clock: 'internal' asks n for a voltage at every application of D. 'environment' asks once per step of E, at the one
        application whose voltage can reach an action, and lets n follow its own dynamic at the others: the same process
        seen at fewer times. Refused when there is no such one.
    bounds: (low, high) of the action Box, by default σ's range: tanh [-1, 1], sigmoid [0, 1]; of relu [0, 10], of identity
        [-10, 10]. They tell a learner where to look; `step` takes any finite voltage (A^n = R).
    dtype: of observations; voltages themselves are float64.

    `info` of a step of E holds E's own info, and `action` and `state`, what was done in E and the observation reached.
    Raises UnusableEnvironment for actions that are not a finite Box or sizes that do not fit the agent, IndexError for a
    neuron that does not exist, ValueError for a clock or view that cannot be had, NonFiniteVoltage for such an α.
    """

    def __init__(
        self,
        environment: gym.Env,
        agent: NeurocomputationalAgent,
        neuron: int,
        view: Literal["all", "presynaptic"] = "all",
        clock: Literal["internal", "environment"] = "internal",
        bounds: tuple[float, float] | None = None,
        dtype: type = np.float32,
    ) -> None:
        _check_spaces(environment, agent)
        self.environment, self.agent, self.neuron = environment, agent, agent.index(neuron)
        self.seen = _seen(agent, neuron, view)
        self.turn = _turn(agent, neuron, clock)
        low, high = bounds or BOUNDS[agent.activation[neuron]]
        self.action_space = Box(low, high, (1,), np.float32)
        self.observation_space = Box(-np.inf, np.inf, self.seen.shape, dtype)
        self.metadata, self.render_mode = environment.metadata, environment.render_mode
        self.tick = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """The voltages ε(s_0) of a new episode of E; on the clock of E, those at the neuron's turn."""
        super().reset(seed=seed)
        observation, info = self.environment.reset(seed=seed, options=options)
        self.tick, self.held = 0, self.agent.encode(observation)
        self.voltages = self.held
        self._wait()
        return self._observation(), info

    def step(self, action: np.ndarray | float):
        """One transition T^n, or all from one turn of the neuron to its next; action α of shape (1,) or a number."""
        alpha = np.asarray(action, np.float64).item()
        if not np.isfinite(alpha):
            raise NonFiniteVoltage(
                f"neuron {self.neuron} was given the voltage {alpha}; a finite number is needed"
            )
        outcome = self._transition(alpha)
        # On to the neuron's next turn, also after the end: a truncated episode's last voltages are bootstrapped from.
        while self.turn is not None and self.tick != self.turn - 1:
            later = self._transition(None)
            outcome = later if self.tick == 0 else outcome
        return self._observation(), *outcome

    def local_policy(self, observation: np.ndarray) -> np.ndarray:
        """μ^n of what the neuron sees: α of shape (1,). The neuron as it is, an agent of its own."""
        if len(self.seen) == self.agent.neurons:
            return self.agent.local(self.neuron, np.asarray(observation, np.float64))[None]
        voltages = np.zeros(self.agent.neurons)
        voltages[self.seen] = observation
        return self.agent.local(self.neuron, voltages)[None]

    def render(self):
        return self.environment.render()

    def close(self) -> None:
        self.environment.close()

    def _transition(self, alpha: float | None) -> tuple[float, bool, bool, dict[str, Any]]:
        """T^n(v, α), or D(v) + ε(s) when α is None."""
        moved = self.agent.dynamics(self.voltages)
        if alpha is not None:
            moved[self.neuron] = alpha
        self.tick = (self.tick + 1) % self.agent.delay
        outcome = (0.0, False, False, {})
        if self.tick == 0:
            outcome = self._act(self.agent.decode(moved))
        self.voltages = moved + self.held
        return outcome

    def _act(self, action: np.ndarray) -> tuple[float, bool, bool, dict[str, Any]]:
        action = np.clip(action, self.environment.action_space.low, self.environment.action_space.high)
        state, reward, terminated, truncated, info = self.environment.step(action)
        self.held = self.agent.encode(state)
        return float(reward), bool(terminated), bool(truncated), {**info, "action": action, "state": state}

    def _wait(self) -> None:
        """Let the network run until it is the neuron's turn."""
        while self.turn is not None and self.tick != self.turn - 1:
            self._transition(None)

    def _observation(self) -> np.ndarray:
        return self.voltages[self.seen].astype(self.observation_space.dtype)


def _check_spaces(environment: gym.Env, agent: NeurocomputationalAgent) -> None:
    actions, observations = environment.action_space, environment.observation_space
    name = environment.spec.id if environment.spec else type(environment).__name__
    if not isinstance(actions, Box):
        raise UnusableEnvironment(
            f"{name!r} has {type(actions).__name__} actions; continuous (Box) actions are needed"
        )
    if not np.isfinite([actions.low, actions.high]).all():
        raise UnusableEnvironment(f"{name!r} has actions without bounds; a finite Box is needed")
    if not isinstance(observations, Box):
        raise UnusableEnvironment(f"{name!r} has {type(observations).__name__} observations; a Box is needed")
    if agent.express is unchanged and actions.shape != (len(agent.outputs),):
        raise UnusableEnvironment(
            f"{name!r} has actions of shape {actions.shape}; the agent has {len(agent.outputs)} output neurons"
        )
    if agent.sense is unchanged and observations.shape != (len(agent.inputs),):
        raise UnusableEnvironment(
            f"{name!r} has observations of shape {observations.shape}; the agent has {len(agent.inputs)} input neurons"
        )


def _seen(agent: NeurocomputationalAgent, neuron: int, view: str) -> np.ndarray:
    if view == "all":
        return np.arange(agent.neurons)
    if view != "presynaptic":
        raise ValueError(f"view = {view!r}; allowed: 'all', 'presynaptic'")
    if agent.inhibition is not unchanged:
        raise ValueError("view = 'presynaptic' leaves out what an inhibition Θ reads; use 'all'")
    seen = agent.presynaptic(neuron)
    if not len(seen):
        raise ValueError(f"neuron {neuron} has no presynaptic neurons; use view = 'all'")
    return seen


def _turn(agent: NeurocomputationalAgent, neuron: int, clock: str) -> int | None:
    """The application of D, 1 … ℓ, at which the neuron is asked on E's clock; None: at every one."""
    if clock == "internal":
        return None
    if clock != "environment":
        raise ValueError(f"clock = {clock!r}; allowed: 'internal', 'environment'")
    ticks = agent.decisive_ticks(neuron)
    if len(ticks) != 1:
        raise ValueError(
            f"clock = 'environment' needs one application of D whose voltage of neuron {neuron} reaches an action; "
            f"here they are {sorted(ticks)}; use 'internal'"
        )
    return ticks.pop()
