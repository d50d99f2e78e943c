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


def required(settings: AgentSettings, picture: tuple[int, int, int] | None) -> tuple[int, int, int]:
    """The picture's (height, width, channels). Raises ConfigError for an encoder without one, or with too small a one."""
    if picture is None:
        raise ConfigError(
            f"method {settings.name} has an encoder, but the environment shows no picture: give the environment kwargs "
            "{pixels: true}, or the method no encoder"
        )
    convolutions(settings, picture)
    return picture


def convolutions(settings: AgentSettings, picture: tuple[int, int, int]) -> Convolutions:
    """The shape of a method's convolutions. Raises ConfigError where a kernel is larger than what it reads."""
    encoder = settings.encoder
    assert encoder is not None, "who asks has an encoder"
    try:
        return Convolutions(picture, encoder.filters, encoder.kernels, encoder.strides)
    except ValueError as error:
        raise ConfigError(f"method {settings.name}: {error}; choose smaller encoder.kernels") from None


class PictureAgent:
    """Convolutions, and an agent `reader` to which their features are what it observes.

    Which error trains the convolutions, `encoder.trained` says: none; that of the critic, which the actor takes as they are
    (as in Yarats et al. 2021, "Improving sample efficiency in model-free reinforcement learning from images"); or of actor
    and critic each its own. TD targets read features of the target copies. Convolutions that learn replay pictures, fixed
    ones the features they give, before these are standardised (`Encoder`).

    settings: the reader's. picture: (height, width, channels) of an observation. Raises ConfigError for pictures that are
    too small for the encoder's kernels, and for a reader that learns from several rows in a row.
    """

    def __init__(
        self,
        settings: AgentSettings,
        make_reader: MakeReader,
        picture: tuple[int, int, int],
        seeds: Sequence[int],
        purpose: str = "training",
    ) -> None:
        spec, encoder = convolutions(settings, picture), settings.encoder
        assert encoder is not None
        self.settings, self.spec, self.trained = settings, spec, encoder.trained
        self.reader = make_reader(spec.features)
        if self.reader.consecutive > 1:
            raise ConfigError(
                f"method {settings.name}: with an encoder single transitions are replayed, and the rule reads "
                f"{self.reader.consecutive} in a row"
            )
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
        # Features of fixed convolutions can be replayed as they are.
        self.Replay: type[Replay] = PictureReplay if self.learners else Replay
        others = {name: n for name, n in self.reader.columns.items() if name not in OBSERVATIONS}
        width = spec.pixels if self.learners else spec.features
        self.columns: Mapping[str, int] = dict.fromkeys(PICTURES, width) | others

    def _learners(self) -> list[Network]:
        """The networks whose errors train the encoder of the critic, and that of the actor, as far as they have any."""
        if self.trained == "never":
            return []
        critic = self.reader.own_critic()
        assert critic is not None, "by its settings it has one"
        if self.trained == "by_critic":
            return [critic]
        assert isinstance(self.reader, DDPG), "by its settings no other agent trains convolutions separately"
        return [critic, self.reader.policy_network]

    def features(self, observation: Tensor) -> Tensor:
        """What the actor reads of pictures (S, B, pixels), (S, B, n_0)."""
        return self.encoders[-1].forward(observation)

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
        assert voltages.picture is not None, "voltages are those that `act` gave"
        # The features of the time of acting are not kept, nor those of the next picture.
        row = self.reader.transition(voltages, reward, terminated, voltages.input[:, 0])
        seen = [voltages.picture[:, 0], next_observation]
        if not self.learners:
            seen = [self._raw(picture) for picture in seen]
        return row | dict(zip(PICTURES, seen, strict=True))

    def _raw(self, picture: Tensor) -> Tensor:
        """Features of pictures (S, pixels) before they are standardised, (S, n_0)."""
        encoder = self.encoders[0]
        return encoder.spec.forward(encoder.online, picture.unsqueeze(1)).output[:, 0]

    def learn(self, batch: dict[str, Tensor]) -> None:
        """The reader learns from features, then the convolutions; the features are put into `batch` beside the pictures."""
        seen = self._read(batch)
        self.reader.learn(batch)
        for encoder, features, learner in zip(self.encoders, seen, self.learners, strict=False):
            # A network that is kept as it is trains no convolutions.
            if learner.passed is not None:
                encoder.backward(features, learner.passed)
                encoder.step()
                encoder.track(self.settings.polyak)
                learner.passed = None

    @property
    def _learning(self) -> tuple[bool, bool]:
        """Whether the network behind each encoder learns: the critic, which may be kept as it is, and the actor."""
        return getattr(self.reader, "learns_critic", True), True

    def _read(self, batch: dict[str, Tensor]) -> list[Features]:
        """Put the features of its pictures into a minibatch, for an update; those of every encoder at s."""
        picture, next_picture = (batch[name] for name in PICTURES)
        if not self.learners:
            statistics = self.encoders[0].statistics
            if self._learning[0]:
                statistics.see(picture)
            _put(batch, statistics.standardised(picture), statistics.standardised(next_picture))
            return []
        moving = list(zip(self.encoders, self._learning, strict=False))
        seen = [encoder.learning(picture, sees=learns) for encoder, learns in moving]
        after = [encoder.targets(next_picture, sees=learns) for encoder, learns in moving]
        _put(batch, seen[-1].output, after[-1])
        if len(seen) > 1:
            _put(batch, seen[0].output, after[0], "critic_")
        return seen

    def seen(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A minibatch with the features that its update was made from, or, before one, with those of today."""
        if OBSERVATIONS[0] in batch:
            return batch
        batch = dict(batch)
        picture, next_picture = (batch[name] for name in PICTURES)
        if not self.learners:
            statistics = self.encoders[0].statistics
            _put(batch, statistics.standardised(picture), statistics.standardised(next_picture))
            return batch
        for encoder, prefix in zip(reversed(self.encoders), ("", "critic_"), strict=False):
            _put(batch, encoder.forward(picture), encoder.forward(next_picture), prefix)
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
        state = self.encoders[0].forward(observation)
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


def _put(batch: dict[str, Tensor], observation: Tensor, next_observation: Tensor, prefix: str = "") -> None:
    """Put what a network reads of s and s′ into a minibatch."""
    batch[f"{prefix}observation"], batch[f"next_{prefix}observation"] = observation, next_observation
