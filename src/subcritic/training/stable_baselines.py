"""Agents of Stable-Baselines3 under our protocol: the same environments, episodes, evaluation and records.

They say whether our own DDPG is good, and what the state of the art reaches in as many steps.
"""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np
import stable_baselines3
import torch
from gymnasium.spaces import Box
from pydantic import Field
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from subcritic.config import AgentSettings, Role
from subcritic.training.outsider import Outsider
from subcritic.training.trainer import WATCH_EVERY, Trainer

# The library's own networks, batch size and warm-up, where a config does not say otherwise.
THEIRS: dict[str, dict[str, Any]] = {
    "DDPG": {"hidden": (400, 300)},
    "TD3": {"hidden": (400, 300)},
    "SAC": {"hidden": (256, 256)},
}
SHARED = {"activation": "relu", "batch_size": 256, "learning_starts": 100}
ACTIVATIONS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}
# Episodes between two logs of the library's own, which are thrown away.
NEVER = 2**62
# Arguments that the method's own settings decide, or that would change what a step is, or where and what is evaluated.
FIXED = frozenset({
    "policy", "env", "seed", "policy_kwargs", "gamma", "tau", "batch_size", "buffer_size", "learning_starts", "action_noise",
    "train_freq", "use_sde", "optimize_memory_usage", "device",
})  # fmt: skip
# What the library does not have, or does in its own way.
OF_OTHERS = ("last_layer_init", "frozen_hidden", "update_every", "exploration", "noise", "noisy_fraction")


class PeerSettings(AgentSettings):
    """Settings of an agent of Stable-Baselines3; what is not given is as the library has it."""

    kind: ClassVar[Role] = "backpropagation"
    # Its update is not compared with the policy gradient.
    probe: ClassVar[bool] = False

    learner: Literal["DDPG", "TD3", "SAC"] = Field("SAC", description="The class of stable_baselines3.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="More arguments of that class, such as learning_rate."
    )

    @classmethod
    def defaults(cls, given: dict[str, Any]) -> dict[str, Any]:
        learner = given.get("learner", "SAC")
        named = {"name": f"sb3-{str(learner).lower()}"} if isinstance(learner, str) else {}
        return super().defaults(given) | SHARED | THEIRS.get(learner, {}) | named

    def unused(self) -> dict[str, tuple[bool, str]]:
        found = dict.fromkeys(OF_OTHERS, (False, "our own agents"))
        return found | {"noise_scale": (self.learner != "SAC", "learner DDPG or TD3: SAC draws its actions")}

    def conflicts(self) -> list[tuple[bool, str]]:
        both = sorted(FIXED & self.options.keys())
        return [(bool(both), f"options: {', '.join(both)}: cannot be given here")]


class PeerTrainer(Trainer):
    """Lets each agent of the library make one step, and one update once it has seen `learning_starts` of them."""

    agent: StableBaselines3

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        places = [
            Place(
                self.agent.actor.sizes,
                lambda s=s: self.episodes.observation[s],
                lambda action, s=s: self._play_one(s, action),
            )
            for s in range(len(self.seeds))
        ]
        self.agent.begin(places, self.seeds, self.steps)

    def advance(self) -> None:
        """One environment step and one update for every seed."""
        for s in self.watch.active:
            self.agent.step(s)
        self.step += 1
        if self.learning and self.step % WATCH_EVERY == 0:
            self._stop_diverged()

    def _play_one(self, s: int, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        actions = np.zeros((len(self.seeds), action.size), np.float32)
        actions[s] = action
        played = self._play(actions, [s])
        for index, episode_return in played.finished.items():
            self._end_episode(index, episode_return)
        return (
            played.observation[s],
            float(played.reward[s]),
            bool(played.terminated[s]),
            bool(played.truncated[s]),
        )


class Place(gym.Env):
    """What the library plays in: the episodes of one seed, which the trainer begins and ends.

    look() → the observation of the state it is in; play(action) → observation, reward, terminated, truncated.
    """

    def __init__(self, sizes: Sequence[int], look: Callable, play: Callable) -> None:
        self.observation_space = Box(-np.inf, np.inf, (sizes[0],), np.float32)
        self.action_space = Box(-1.0, 1.0, (sizes[-1],), np.float32)
        self.look, self.play = look, play

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        return self.look().copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        return *self.play(action), {}


class StableBaselines3(Outsider):
    """S agents of the library, one per seed. Each has random numbers of its own, so that none depends on the others."""

    Settings: ClassVar[type[AgentSettings]] = PeerSettings
    Trainer: ClassVar[type[Trainer]] = PeerTrainer
    receives = frozenset({"error"})
    settings: PeerSettings

    def __init__(
        self, settings: PeerSettings, observation_size: int, action_size: int, seeds: Sequence[int]
    ) -> None:
        super().__init__(settings, observation_size, action_size, seeds)
        # Made by `begin`: the library's agents, and the state of each one's random numbers.
        self.models: list[OffPolicyAlgorithm] = []
        self.random: list[dict[str, Any]] = []

    def begin(self, places: Sequence[Place], seeds: Sequence[int], steps: int) -> None:
        """Make the library's agents, for trainings of so many steps."""
        outside = _random_state()
        for s, (seed, place) in enumerate(zip(seeds, places, strict=True)):
            self.models.append(self._made(seed, place, steps))
            self.random.append(_random_state())
            self._read_actor(s)
        _set_random_state(outside)

    def _made(self, seed: int, place: Place, steps: int) -> OffPolicyAlgorithm:
        settings = self.settings
        size = self.actor.sizes[-1]
        scale = settings.noise_scale if isinstance(settings.noise_scale, float) else settings.noise_scale[-1]
        noise = NormalActionNoise(np.zeros(size), np.full(size, scale))
        model: OffPolicyAlgorithm = getattr(stable_baselines3, settings.learner)(
            "MlpPolicy",
            place,
            seed=seed,
            # Of other devices' random numbers nothing is known here.
            device="cpu",
            gamma=settings.discount,
            tau=settings.polyak,
            batch_size=settings.batch_size,
            buffer_size=min(settings.replay_size, steps),
            learning_starts=settings.learning_starts,
            policy_kwargs={
                "net_arch": list(settings.hidden), "activation_fn": ACTIVATIONS[settings.activation]
            },
            **({} if settings.learner == "SAC" else {"action_noise": noise}),
            **settings.options,
        )  # fmt: skip
        model.set_logger(Logger(None, []))
        return model

    def step(self, s: int) -> None:
        """One step in the environment of seed s, and one update; none of an agent that is not finite any more."""
        if not self.online.flat[s].isfinite().all():
            return
        with self._own_random_numbers(s), torch.enable_grad():
            try:
                self.models[s].learn(1, reset_num_timesteps=False, log_interval=NEVER)
            except ValueError:
                # SAC's distributions refuse parameters that are not finite.
                self._read_actor(s)
                if self.online.flat[s].isfinite().all():
                    raise
        self._read_actor(s)

    @contextlib.contextmanager
    def _own_random_numbers(self, s: int) -> Iterator[None]:
        outside = _random_state()
        _set_random_state(self.random[s])
        try:
            yield
        finally:
            self.random[s] = _random_state()
            _set_random_state(outside)

    def _read_actor(self, s: int) -> None:
        """Copy the weights of the library's actor; that of SAC without the part that says how widely it draws."""
        actor: Any = self.models[s].policy.actor
        parts = [actor.latent_pi, actor.mu] if self.settings.learner == "SAC" else [actor.mu]
        linear = [layer for part in parts for layer in part.modules() if isinstance(layer, torch.nn.Linear)]
        for layer, weight, bias in zip(linear, self.online.weights, self.online.biases, strict=True):
            weight[s] = layer.weight.detach().T
            bias[s, 0] = layer.bias.detach()

    def state_dict(self) -> dict[str, Any]:
        saved = []
        for model in self.models:
            weights, replay = io.BytesIO(), io.BytesIO()
            model.save(weights)
            model.save_replay_buffer(replay)
            # Loading an agent seeds its action space anew.
            warm_up = model.action_space.np_random.bit_generator.state
            saved.append({"model": weights.getvalue(), "replay": replay.getvalue(), "warm_up": warm_up})
        return {"models": saved, "random": list(self.random)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        kind = getattr(stable_baselines3, self.settings.learner)
        outside = _random_state()
        for s, saved in enumerate(state["models"]):
            plays = self.models[s].get_env()
            assert plays is not None
            plays.reset()
            model = kind.load(io.BytesIO(saved["model"]), env=plays, force_reset=False)
            model.load_replay_buffer(io.BytesIO(saved["replay"]))
            model.set_logger(Logger(None, []))
            model.action_space.np_random.bit_generator.state = saved["warm_up"]
            self.models[s] = model
            self._read_actor(s)
        _set_random_state(outside)
        self.random = list(state["random"])


def _random_state() -> dict[str, Any]:
    """Of the generators that the library draws from, which are global."""
    return {
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state(),  # noqa: NPY002
        "python": random.getstate(),
    }


def _set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    random.setstate(state["python"])
