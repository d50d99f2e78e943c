"""Recurrent networks that learn by a local rule, step by step as the environment runs: nothing is unrolled in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from subcritic.agents.local import LocalLearner
from subcritic.agents.protocol import perturbed_forward
from subcritic.config import LocalSettings
from subcritic.nn import MLP, Voltages


class RecurrentLearner(LocalLearner):
    """S recurrent networks, one per seed: one layer of N neurons whose input is its own past output.

    All voltages v_t (N = the sum of settings.hidden, and the action's neurons, last) and the encoded observation x_t reach
    every neuron, and the network makes one step per environment step:

        α_t = σ(K [v_t, x_t] + b) + ξ_t
        v_{t+1} = (1 − λ) v_t + λ α_t for hidden neurons, α_t for those of the action, which is α_t of these.

    leak λ in (0, 1] is the time step over the membrane's time constant: 1 is the topology `recurrent`, less is
    `leaky_integrator`, whose membrane is part of its neurons' surroundings. Neuron n then goes through transitions
    ([v_t, x_t], α_t[n], r_t, [v_{t+1}, x_{t+1}]), and learns from them as in Experiment 2: what its own action does to its
    later inputs is the business of Q^n, not of a gradient through time (September draft: "infinite time horizon and NO
    unrolling"; drafts, section 6.1). Raises ValueError for a leak that is not in (0, 1].

    The voltages of the running episode are the agent's state: `transition` moves them on, `begin_episode` puts them to 0.
    """

    def __init__(
        self,
        settings: LocalSettings,
        observation_size: int,
        action_size: int,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        leak: float = 1.0,
    ) -> None:
        if not 0 < leak <= 1:
            raise ValueError(f"leak = {leak}: must be in (0, 1]")
        super().__init__(settings, observation_size, action_size, seeds, dtype)
        if settings.replay != "stored" or self.broadcaster is not None or self.consecutive > 1:
            raise ValueError("a recurrent learner needs replay stored, target own_td and trace 0")
        if settings.normalisation != "none":
            raise ValueError(
                "a recurrent learner has hidden neurons and those of the action in one layer: normalisation must be none, "
                f"not {settings.normalisation}"
            )
        if settings.frozen_hidden:
            raise ValueError(
                "frozen_hidden: a recurrent learner has one layer, and nothing to freeze below it"
            )
        if isinstance(settings.noise_scale, tuple):
            raise ValueError("noise_scale must be one number: a recurrent learner has one layer")
        if settings.last_layer_init is not None:
            raise ValueError("last_layer_init must be None: a recurrent learner has one layer")
        self.hidden, self.leak = sum(settings.hidden), leak
        self.running = torch.zeros(len(seeds), 1, self.hidden + action_size, dtype=dtype)

    def _network(self, observation_size: int, action_size: int) -> MLP:
        neurons = sum(self.settings.hidden) + action_size
        return MLP((neurons + observation_size, neurons), self.settings.activation, "tanh")

    def act(self, observation: Tensor, perturbation: list[Tensor | None] | None = None) -> Voltages:
        """One step from the running episode's voltages, which stay as they are; observation (S, 1, n_0).

        h of what is returned: the input [v, x] (S, 1, N + n_0), all α (S, 1, N), the action (S, 1, n_L).
        """
        return self.step(self.running, observation, perturbation)

    def step(
        self, running: Tensor, observation: Tensor, perturbation: list[Tensor | None] | None = None
    ) -> Voltages:
        """As `act`, from given voltages (S, B, N); perturbed α are kept in [-1, 1]."""
        if perturbation is not None and self.settings.exploration == "action":
            (noise,) = perturbation
            assert noise is not None, "there is one layer, that of the action"
            quiet = noise.clone()
            quiet[..., : self.hidden] = 0.0
            perturbation = [quiet]
        x = torch.cat((running, observation), dim=-1)
        acted = perturbed_forward(self.actor, self.online, x, perturbation)
        acted.h.append(acted.h[1][..., self.hidden :])
        return acted

    def after(self, running: Tensor, alpha: Tensor) -> Tensor:
        """v_{t+1} from v_t and α_t, (S, B, N) each."""
        moved = running.lerp(alpha, self.leak)
        moved[..., self.hidden :] = alpha[..., self.hidden :]
        return moved

    def transition(
        self, voltages: Voltages, reward: Tensor, terminated: Tensor, next_observation: Tensor
    ) -> dict[str, Tensor]:
        # The action may have been replaced by a random one.
        alpha = torch.cat((voltages.h[1][..., : self.hidden], voltages.output), dim=-1)
        self.running = self.after(self.running, alpha)
        return {
            "voltages": torch.cat((voltages.h[0], alpha), dim=-1)[:, 0],
            "reward": reward,
            "terminated": terminated,
            "next_voltages": torch.cat((self.running[:, 0], next_observation), dim=-1),
        }

    def begin_episode(self, seed_index: int) -> None:
        """A new episode of one seed starts from voltages 0."""
        # Not in place: the last transition's tensors may share memory.
        self.running = self.running.clone()
        self.running[seed_index] = 0.0

    def player(self) -> Callable[[Tensor], Tensor]:
        """The policy without noise over episodes that all start now: a function of observations (S, B, n_0) in order."""
        running: Tensor | None = None

        def policy(observation: Tensor) -> Tensor:
            nonlocal running
            if running is None:
                running = observation.new_zeros(*observation.shape[:2], self.running.shape[-1])
            acted = self.step(running, observation)
            running = self.after(running, acted.h[1])
            return acted.output

        return policy

    def predictions(self, observation: Tensor) -> dict[str, Tensor]:
        """None: its critics read voltages that an observation does not determine."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"running": self.running.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.running = state["running"].clone()
