"""An agent as a user writes it in a package of their own: it fulfils `subcritic.agents.Agent`, and nothing more."""

from typing import ClassVar

import torch
from pydantic import Field

from subcritic import seeding
from subcritic.agents.protocol import perturbed_forward
from subcritic.agents.rows import AgentRows
from subcritic.config import AgentSettings, Role
from subcritic.nn import MLP


class WanderingSettings(AgentSettings):
    kind: ClassVar[Role] = "control"
    step: float = Field(0.01, description="Standard deviation of what an update adds to every weight.")


class WanderingAgent:
    """Its weights make a random walk; it has neither critic nor local errors."""

    Settings: ClassVar = WanderingSettings
    consecutive = 1
    newest = None
    receives = frozenset()

    def __init__(self, settings, observation_size, action_size, seeds):
        self.settings = settings
        self.actor = MLP((observation_size, *settings.hidden, action_size), "tanh", "tanh")
        self.parameters = self.actor.init(seeding.generators(seeds, "training actor"))
        self.rows = AgentRows(self.actor.sizes, noisy=False)
        self.columns = self.rows.columns
        self.rngs = seeding.generators(seeds, "wandering")

    def policy(self):
        return self.parameters

    def target_policy(self):
        return self.parameters

    def act(self, observation, perturbation=None):
        return perturbed_forward(self.actor, self.parameters, observation, perturbation)

    def transition(self, voltages, reward, terminated, next_observation):
        return self.rows.row(voltages, reward, terminated, next_observation)

    def agent_batch(self, batch):
        return self.rows.agent_batch(batch)

    def learn(self, batch):
        size = self.parameters.flat.shape[1]
        for parameters, rng in zip(self.parameters.flat, self.rngs, strict=True):
            parameters += self.settings.step * torch.from_numpy(rng.standard_normal(size)).float()

    def own_critic(self):
        return None

    def local_errors(self, batch):
        return []

    def predictions(self, observation):
        return {}

    def directions(self, batch, rngs=None):
        return []

    def value_magnitude(self):
        return torch.zeros(len(self.rngs))

    def finite(self):
        return self.parameters.flat.isfinite().all(dim=1)

    def metrics(self):
        return {}

    def state_dict(self):
        return {"parameters": self.parameters.flat, "rngs": seeding.states(self.rngs)}

    def load_state_dict(self, state):
        self.parameters.flat.copy_(state["parameters"])
        seeding.restore(self.rngs, state["rngs"])
