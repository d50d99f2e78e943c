"""Neurocomputational agents (Definition 2.2.1): a policy as voltages on a graph of neurons, moved by one dynamic D.

Reading of (2.2.1) and (2.2.2), derived in docs/neurocomputational-agents.md: the voltages are v = u + ε(s), where
u = D(v) is what the neurons computed and ε(s) what the environment holds the input neurons at. An environment step
applies D ℓ times with the state held, then decodes the output neurons: a feed-forward network of L layers has ℓ = L.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]

# σ, and its slope σ'(z) in terms of h = σ(z).
ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "identity": (lambda z: z, np.ones_like),
    "relu": (lambda z: np.maximum(z, 0.0), lambda h: (h > 0).astype(h.dtype)),
    "tanh": (np.tanh, lambda h: 1 - h * h),
    "sigmoid": (lambda z: 0.5 * (1 + np.tanh(0.5 * z)), lambda h: h * (1 - h)),
}


class NotAnAgent(ValueError):
    """Parts that do not make a neurocomputational agent; the message says which, what was given, what is allowed."""


class NonFiniteVoltage(ArithmeticError):
    """A voltage became NaN or infinite; the message names the neuron."""


def unchanged(values: np.ndarray) -> np.ndarray:
    """The identity: Θ of a network without inhibition, and ε and δ when neurons read and write plain numbers."""
    return values


@dataclass(frozen=True, eq=False)
class NeurocomputationalAgent:
    """N = (μ, ε, δ, K, Θ, σ, D) over V = R^N, float64 (October Definition 2.2.1, September section 2.2).

    K: (N, N) stored (from, to): column K[:, n] is K^n, the connections into neuron n. The agent's own copy; a learner
        may write into it in place, where `mask` allows. (S, N, N): S agents of one graph, whose voltages are (S, B, N).
    inputs, outputs: indices of the input neurons N_I, one per encoded number, and of the output neurons N_O; disjoint.
    activation: name of σ for every neuron, N of 'identity', 'relu', 'tanh', 'sigmoid'; one name serves all.
    constants: indices of neurons that ε holds at 1. Their rows of K are the biases.
    delay: ℓ, the applications of D per environment step (September's evaluation delay).
    mask: (N, N) bool, the connections that exist; by default those that are not zero.
    inhibition: Θ on (…, N). sense, express: the inner part of ε, observation → (…, |N_I|), and of δ, (…, |N_O|) → action.

    Raises NotAnAgent for a K that is not square or not finite, weights outside the mask, indices out of range or used
    twice, an unknown activation, or a delay below 1.
    """

    K: np.ndarray
    inputs: Sequence[int] | np.ndarray
    outputs: Sequence[int] | np.ndarray
    activation: str | tuple[str, ...] = "tanh"
    constants: Sequence[int] | np.ndarray = ()
    delay: int = 1
    mask: np.ndarray | None = None
    inhibition: Function = unchanged
    sense: Function = unchanged
    express: Function = unchanged

    def __post_init__(self) -> None:
        K = np.array(self.K, np.float64)
        if K.ndim not in (2, 3) or K.shape[-2] != K.shape[-1] or not K.size:
            raise NotAnAgent(f"K has shape {K.shape}; it must be square, (N, N) or (S, N, N), for N neurons")
        if not np.isfinite(K).all():
            raise NotAnAgent("K has entries that are not finite")
        count = K.shape[-1]
        mask = (
            (K != 0).reshape(-1, count, count).any(axis=0) if self.mask is None else np.array(self.mask, bool)
        )
        if mask.shape != (count, count):
            raise NotAnAgent(f"the mask has shape {mask.shape}; it must have that of K, {(count, count)}")
        if K[..., ~mask].any():
            raise NotAnAgent("K has weights where the mask has no connection")
        if self.delay < 1:
            raise NotAnAgent(f"the delay is {self.delay}; at least 1 application of D is needed to act")
        known = {"K": K, "mask": mask, "activation": self._names(count)}
        for role in ("inputs", "outputs", "constants"):
            known[role] = self._indices(role, count)
        used = np.concatenate([known["inputs"], known["constants"], known["outputs"]])
        if len(np.unique(used)) != len(used):
            raise NotAnAgent(
                "inputs, constants and outputs share neurons; every neuron has one of these roles at most"
            )
        for name, value in known.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_groups", self._group())

    @property
    def existing(self) -> np.ndarray:
        """`mask`, (N, N), which is given or found when the agent is made."""
        assert self.mask is not None
        return self.mask

    @property
    def neurons(self) -> int:
        """N."""
        return int(self.K.shape[-1])

    def encode(self, observation: np.ndarray) -> np.ndarray:
        """ε(s): observation (…, obs) → (…, N), zero but on the input neurons and, 1, on the constant ones.

        Raises ValueError for a wrong size, NonFiniteVoltage for an observation that is not finite.
        """
        sensed = np.asarray(self.sense(np.asarray(observation, np.float64)))
        if sensed.shape[-1:] != (len(self.inputs),):
            raise ValueError(f"an observation of shape {sensed.shape} for {len(self.inputs)} input neurons")
        encoded = np.zeros((*sensed.shape[:-1], self.neurons))
        encoded[..., self.inputs] = sensed
        encoded[..., self.constants] = 1.0
        return self._finite(encoded)

    def decode(self, voltages: np.ndarray) -> np.ndarray:
        """δ(v): voltages (…, N) → action (…, act), from the output neurons alone."""
        return self.express(voltages[..., self.outputs])

    def activate(self, z: np.ndarray) -> np.ndarray:
        """σ(z), (…, N), neuron by neuron."""
        h = np.empty_like(z)
        for name, where in self._groups:
            h[..., where] = ACTIVATIONS[name][0](z[..., where])
        return h

    def slope(self, h: np.ndarray) -> np.ndarray:
        """σ'(z), (…, N), from what the neurons computed, h = σ(z) = D(v, 0)."""
        found = np.empty_like(h)
        for name, where in self._groups:
            found[..., where] = ACTIVATIONS[name][1](h[..., where])
        return found

    def dynamics(self, voltages: np.ndarray, v_in: np.ndarray | float = 0.0) -> np.ndarray:
        """D(v, v_in) = σ(Θ K[v]) + v_in (2.2.1), (…, N). Raises NonFiniteVoltage, naming the neuron."""
        with np.errstate(over="ignore", invalid="ignore"):
            moved = self.activate(self.inhibition(voltages @ self.K)) + v_in
        return self._finite(moved)

    def local(self, neuron: int, voltages: np.ndarray) -> np.ndarray:
        """μ^n(v) = <D(v), e_n>, the neuromorphically local agent of Definition 2.2.2; (…, N) → (…)."""
        return self.dynamics(voltages)[..., self.index(neuron)]

    def act(
        self, observation: np.ndarray, internal: np.ndarray | float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """μ(s) (2.2.2): the action (…, act) after ℓ applications of D, and what the neurons then computed, u (…, N).

        internal: u of the step before, 0 at the start of an episode. Give it back to let an agent remember.
        """
        held = self.encode(observation)
        for _ in range(self.delay):
            internal = self.dynamics(internal + held)
        return self.decode(internal), internal

    def presynaptic(self, neuron: int) -> np.ndarray:
        """Indices of the neurons that have a connection into `neuron`, ascending."""
        return np.flatnonzero(self.mask[:, self.index(neuron)])

    def decisive_ticks(self, neuron: int) -> set[int]:
        """The applications of D, 1 … ℓ, after which the neuron's voltage can still reach an action, of this step or later.

        One tick only in a feed-forward network, the neuron's layer; none for a neuron without a path to an output.
        """
        neuron, reached, ticks = self.index(neuron), np.zeros(self.neurons, bool), set()
        reached[self.outputs] = True
        # After N·ℓ steps back along a cycle every remainder modulo ℓ that can occur has occurred.
        for lag in range(self.neurons * self.delay + 1):
            if reached[neuron]:
                ticks.add((self.delay - lag - 1) % self.delay + 1)
            reached = self.mask[:, reached].any(axis=1)
            if not reached.any():
                break
        return ticks

    def index(self, neuron: int) -> int:
        """`neuron` itself; raises IndexError, saying what is allowed, when there is no such neuron."""
        if not 0 <= neuron < self.neurons:
            raise IndexError(
                f"neuron {neuron} of an agent with {self.neurons} neurons; allowed: 0 … {self.neurons - 1}"
            )
        return int(neuron)

    def _finite(self, voltages: np.ndarray) -> np.ndarray:
        if not np.isfinite(voltages).all():
            neuron = int(np.argwhere(~np.isfinite(voltages))[0, -1])
            given = voltages[..., neuron][~np.isfinite(voltages[..., neuron])][0]
            raise NonFiniteVoltage(f"the voltage of neuron {neuron} became {given}; voltages must be finite")
        return voltages

    def _names(self, count: int) -> tuple[str, ...]:
        names = (self.activation,) * count if isinstance(self.activation, str) else tuple(self.activation)
        unknown = sorted(set(names) - set(ACTIVATIONS))
        if unknown:
            raise NotAnAgent(f"unknown activation {unknown[0]!r}; known: {', '.join(ACTIVATIONS)}")
        if len(names) != count:
            raise NotAnAgent(f"{len(names)} activations for {count} neurons; give one, or one for each")
        return names

    def _indices(self, role: str, count: int) -> np.ndarray:
        indices = np.array(getattr(self, role), int).reshape(-1)
        wrong = indices[(indices < 0) | (indices >= count)]
        if len(wrong):
            raise NotAnAgent(f"{role} name neuron {wrong[0]}; allowed: 0 … {count - 1}")
        return indices

    def _group(self) -> list[tuple[str, np.ndarray]]:
        names = np.array(self.activation)
        return [(name, np.flatnonzero(names == name)) for name in ACTIVATIONS if (names == name).any()]
