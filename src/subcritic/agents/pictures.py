"""An agent that reads pictures through convolutions, whose features are the observation of an agent of any kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents.ddpg import DDPG
from subcritic.agents.protocol import Agent, AgentBatch
from subcritic.config import AgentSettings, ConfigError
from subcritic.nn import Parameters, Voltages
from subcritic.nn.convolution import Convolutions, Encoder, Features
from subcritic.nn.network import Network
from subcritic.replay import PICTURES, PictureReplay, Replay

# Columns of a reader's replay in whose place pictures are kept.
OBSERVATIONS = ("observation", "next_observation")
# (observation size) → the agent that reads features.
MakeReader = Callable[[int], Agent]


class PictureAgent:
    """Convolutions, and an agent `reader` to which their features are what it observes.

    Which error trains the convolutions, `encoder.trained` says: none; that of the critic, which the actor takes as they are
    (as in Yarats et al. 2021, "Improving sample efficiency in model-free reinforcement learning from images"); or of actor
    and critic each its own. TD targets read features of the target copies. Convolutions that learn replay pictures, fixed
    ones the features they give.

    settings: the reader's. picture: (height, width, channels) of an observation. Raises ConfigError for pictures that are
    too small for the encoder's kernels, and for a reader that learns from rows in a row while pictures are replayed.
    """

    def __init__(
        self,
        settings: AgentSettings,
        make_reader: MakeReader,
        picture: tuple[int, int, int],
        seeds: Sequence[int],
        purpose: str = "training",
    ) -> None:
        encoder = settings.encoder
        assert encoder is not None, "who asks for a PictureAgent has an encoder"
        try:
            spec = Convolutions(picture, encoder.filters, encoder.kernels, encoder.strides)
        except ValueError as error:
            raise ConfigError(f"method {settings.name}: {error}; choose smaller encoder.kernels") from None
        self.settings, self.spec, self.trained = settings, spec, encoder.trained
        self.reader = make_reader(spec.features)
        self.actor, self.receives = self.reader.actor, self.reader.receives
        self.consecutive, self.newest = self.reader.consecutive, self.reader.newest
        # Of each network that learns convolutions: they learn at its rate.
        self.learners = self._learners()
        rngs = {name: seeding.generators(seeds, f"{purpose} {name}") for name in ("encoder", "actor encoder")}
        rates = [(learner.optimiser.rate, learner.optimiser.weight_decay) for learner in self.learners] or [
            (0.0, 0.0)
        ]
        self.encoders = [
            Encoder(spec, generators, *rate) for generators, rate in zip(rngs.values(), rates, strict=False)
        ]
        for learner in self.learners:
            learner.passes_on = True
        self.columns: Mapping[str, int] = self.reader.columns
        self.Replay: type[Replay] = Replay
        if self.learners:
            self.Replay = PictureReplay
            kept = {name: n for name, n in self.reader.columns.items() if name not in OBSERVATIONS}
            self.columns = dict.fromkeys(PICTURES, spec.pixels) | kept

    def _learners(self) -> list[Network]:
        """The networks whose errors train the encoder of the critic, and that of the actor, as far as they have any."""
        if self.trained == "never":
            return []
        critic = self.reader.own_critic()
        assert critic is not None, "by its settings it has one"
        if self.reader.consecutive > 1:
            raise ConfigError(
                f"method {self.settings.name}: an encoder that learns replays single transitions, and the rule reads "
                f"{self.reader.consecutive} in a row; encoder.trained must be never"
            )
        if self.trained == "by_critic":
            return [critic]
        assert isinstance(self.reader, DDPG), "by its settings no other agent trains convolutions separately"
        return [critic, self.reader.policy_network]

    def features(self, observation: Tensor) -> Tensor:
        """What the actor reads of pictures (S, B, pixels), (S, B, n_0)."""
        return self.encoders[-1].forward(observation).output

    def policy(self) -> Parameters:
        return self.reader.policy()

    def target_policy(self) -> Parameters:
        return self.reader.target_policy()

    def act(self, observation: Tensor, perturbation: list[Tensor | None] | None = None) -> Voltages:
        """Voltages for pictures (S, B, pixels): the input are their features."""
        voltages = self.reader.act(self.features(observation), perturbation)
        voltages.picture = observation
        return voltages

    def transition(
        self, voltages: Voltages, reward: Tensor, terminated: Tensor, next_observation: Tensor
    ) -> dict[str, Tensor]:
        if not self.learners:
            after = self.features(next_observation.unsqueeze(1))[:, 0]
            return self.reader.transition(voltages, reward, terminated, after)
        assert voltages.picture is not None, "voltages are those that `act` gave"
        # The features of the time of acting are not kept, nor those of the next picture.
        row = self.reader.transition(voltages, reward, terminated, voltages.input[:, 0])
        return row | dict(zip(PICTURES, (voltages.picture[:, 0], next_observation), strict=True))

    def learn(self, batch: dict[str, Tensor]) -> None:
        """The reader learns from features, then the convolutions; the features are put into `batch` beside the pictures."""
        if not self.learners:
            self.reader.learn(batch)
            return
        polyak, seen = self.settings.polyak, self._read(batch)
        self.reader.learn(batch)
        for encoder, features, learner in zip(self.encoders, seen, self.learners, strict=True):
            assert learner.passed is not None, "the reader has learned"
            encoder.backward(features, learner.passed)
            encoder.step()
            encoder.track(polyak)

    def _read(self, batch: dict[str, Tensor]) -> list[Features]:
        """Put the features of its pictures into a minibatch; those of every encoder at s."""
        picture, next_picture = (batch[name] for name in PICTURES)
        seen = [encoder.forward(picture) for encoder in self.encoders]
        after = [encoder.forward(next_picture, target=True).output for encoder in self.encoders]
        batch["observation"], batch["next_observation"] = seen[-1].output, after[-1]
        if len(seen) > 1:
            batch["critic_observation"], batch["next_critic_observation"] = seen[0].output, after[0]
        return seen

    def seen(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A minibatch with features, found now unless they are there."""
        if "observation" not in batch and self.learners:
            batch = dict(batch)
            self._read(batch)
        return batch

    def agent_batch(self, batch: dict[str, Tensor]) -> AgentBatch:
        return self.reader.agent_batch(self.seen(batch))

    def own_critic(self) -> Network | None:
        return self.reader.own_critic()

    def local_errors(self, batch: dict[str, Tensor]) -> list[Tensor]:
        return self.reader.local_errors(self.seen(batch))

    def directions(
        self, batch: dict[str, Tensor], rngs: Sequence[np.random.Generator] | None = None
    ) -> list[tuple[Tensor, Tensor]]:
        return self.reader.directions(self.seen(batch), rngs)

    def predictions(self, observation: Tensor) -> dict[str, Tensor]:
        if len(self.encoders) == 1:
            return self.reader.predictions(self.features(observation))
        assert isinstance(self.reader, DDPG)
        action = self.act(observation).output
        state = self.encoders[0].forward(observation).output
        return {"critic": self.reader.critic.forward(state, action).output[..., 0]}

    def value_magnitude(self) -> Tensor:
        return self.reader.value_magnitude()

    def finite(self) -> Tensor:
        return torch.stack([self.reader.finite(), *(encoder.finite() for encoder in self.encoders)]).all(
            dim=0
        )

    def metrics(self) -> dict[str, Tensor]:
        return self.reader.metrics()

    def state_dict(self) -> dict[str, Any]:
        encoders = [encoder.state_dict() for encoder in self.encoders]
        return {"reader": self.reader.state_dict(), "encoders": encoders}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reader.load_state_dict(state["reader"])
        for encoder, saved in zip(self.encoders, state["encoders"], strict=True):
            encoder.load_state_dict(saved)
