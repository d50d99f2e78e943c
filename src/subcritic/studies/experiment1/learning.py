"""Sub-critics that learn while DDPG trains, and snapshots of everything along the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from subcritic import seeding
from subcritic.agents import DDPG, PictureAgent
from subcritic.measuring.observers import Log, log_each
from subcritic.studies.experiment1.settings import Experiment1
from subcritic.subcritics import SubCriticFamily
from subcritic.training import Trainer


def seen(trainer: Trainer, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """A minibatch as the DDPG agent reads it: of pictures, the features of today."""
    agent = trainer.agent
    return agent.seen(batch) if isinstance(agent, PictureAgent) else batch


class SubCriticLearning:
    """Every `update_every` steps, one step of all sub-critics on a minibatch of their own from DDPG's replay.

    The drafts' reading: voltages are those of today's actor at replayed states, the output voltage is the action as
    executed; the next state's are those of today's actor.
    """

    def __init__(
        self, log: Log, agent: DDPG, settings: Experiment1, log_every: int, seeds: Sequence[int], purpose: str
    ) -> None:
        self.every, self.log, self.agent, self.settings = settings.update_every, log, agent, settings
        self.log_every = log_every
        self.family = SubCriticFamily(agent.actor, settings, seeds, purpose)
        rngs = seeding.generators(seeds, f"{purpose} sub-critic minibatch")
        self.minibatches = seeding.Draws(rngs, settings.subcritic_batch)

    def __call__(self, trainer: Trainer) -> None:
        if trainer.step == 0 or not trainer.learning:
            return
        batch = seen(trainer, trainer.replay.sample(self.settings.subcritic_batch, self.minibatches))
        h = self.agent.voltages(batch)
        h_next = self.agent.act(batch["next_observation"]).h
        losses = self.family.learn(h, h_next, batch["reward"], batch["terminated"])
        if trainer.step % self.log_every == 0:
            log_each(self.log, trainer.step, trainer.watch.active, losses)

    def state_dict(self) -> dict[str, Any]:
        return {"family": self.family.state_dict(), "minibatches": self.minibatches.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.family.load_state_dict(state["family"])
        self.minibatches.load_state_dict(state["minibatches"])


class Snapshots:
    """Actor, critic, sub-critics and a sample of replayed states, `snapshots` times evenly along training.

    The states are the distribution that DDPG's policy gradient averages over at that time. `more` adds what else is kept.
    """

    def __init__(
        self,
        agent: DDPG,
        family: SubCriticFamily,
        settings: Experiment1,
        more: Callable[[Trainer], dict[str, Any]] = lambda trainer: {},
    ) -> None:
        self.every = settings.snapshot_every
        self.agent, self.family, self.settings, self.more = agent, family, settings, more
        self.taken: list[dict[str, Any]] = []

    def __call__(self, trainer: Trainer) -> None:
        if trainer.step == 0 or not trainer.learning:
            return
        rngs = seeding.generators(trainer.seeds, "snapshot states", trainer.step)
        sample = trainer.replay.sample(self.settings.snapshot_states, rngs)
        states = seen(trainer, sample)["observation"].clone()
        self.taken.append(
            {
                "step": trainer.step,
                "seeds": list(trainer.seeds),
                "observations": states,
                "actor": self.agent.policy().flat.clone(),
                "critic": self.agent.critic.online.flat.clone(),
                "layers": [critic.network.online.flat.clone() for critic in self.family.layers],
                "neurons": [critic.network.online.flat.clone() for critic in self.family.neurons],
                **self.more(trainer),
            }
        )

    def state_dict(self) -> dict[str, Any]:
        return {"taken": self.taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.taken = list(state["taken"])
