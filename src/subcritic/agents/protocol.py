"""What the training loop asks of an agent."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from subcritic.config import AgentSettings
from subcritic.nn import MLP, Parameters, Voltages


class Agent(Protocol):
    """S agents of one kind, one per seed, acting and learning side by side.

    columns: what its replay stores, name → width. consecutive: how many rows in a row it learns from.
    """

    settings: AgentSettings
    actor: MLP
    columns: dict[str, int]
    consecutive: int

    def policy(self) -> Parameters:
        """The actor's parameters."""

    def act(self, observation: Tensor, perturbation: list[Tensor | None] | None = None) -> Voltages:
        """Voltages for observation (S, B, n_0); the output is the action, kept in [-1, 1] when perturbed."""

    def transition(
        self, voltages: Voltages, reward: Tensor, terminated: Tensor, next_observation: Tensor
    ) -> dict[str, Tensor]:
        """One replay row per seed; voltages as acted (S, 1, n_l), reward, terminated (S, 1), next_observation (S, n_0)."""

    def learn(self, batch: dict[str, Tensor]) -> None:
        """One update from a minibatch of replay rows."""

    def value_magnitude(self) -> Tensor:
        """The largest |Q| of the last minibatch, (S,)."""

    def finite(self) -> Tensor:
        """Whether every parameter of a seed is finite, (S,)."""

    def metrics(self) -> dict[str, Tensor]:
        """Metrics of the last update, (S,) each."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def perturbed_forward(
    actor: MLP, parameters: Parameters, observation: Tensor, perturbation: list[Tensor | None] | None
) -> Voltages:
    """The actor's forward pass; a perturbed action is clipped to the action space [-1, 1]."""
    voltages = actor.forward(parameters, observation, perturbation=perturbation)
    if perturbation is not None:
        voltages.h[-1] = voltages.h[-1].clamp(-1, 1)
    return voltages
