"""The training loop of an agent on a device: networks, replay and updates are there, environments on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from subcritic.agents.protocol import NEWEST, DeviceAgent
from subcritic.nn.devices import Parcel, Shapes, to_device, to_host
from subcritic.training.captured import Captured
from subcritic.training.device_replay import DeviceReplay
from subcritic.training.trainer import Observer, Trainer

# What is drawn for the next step before a step ends, and so is part of a checkpoint.
AHEAD = ("noise", "warm_up")


class DeviceTrainer(Trainer):
    """A Trainer with one transfer each way in a step: the actions of all seeds come to the CPU; then what the environments
    gave goes to the device, together with all random numbers of the update and of the next action.

    Random numbers are a Trainer's: each is drawn by the same generator of the same seed, in the same order. On the CPU,
    where this loop is tested, it gives a Trainer's numbers bit for bit. On a GPU the update is replayed as a CUDA graph;
    `update.reason` says why, if it is not.
    """

    agent: DeviceAgent
    replay: DeviceReplay

    def __init__(
        self,
        agent: DeviceAgent,
        make_environment: Callable[[], gym.Env],
        seeds: Sequence[int],
        steps: int,
        divergence_factor: float,
        observers: Sequence[Observer] = (),
        purpose: str = "training",
    ) -> None:
        super().__init__(agent, make_environment, seeds, steps, divergence_factor, observers, purpose)
        self.device = agent.policy().flat.device
        self.parcel = Parcel(self._shapes(), self.device)
        self._sent = False
        on_gpu = self.device.type == "cuda"
        self.update = Captured(self._update, agent.not_captured() if on_gpu else "only a GPU has CUDA graphs")

    def _make_replay(self, capacity: int) -> DeviceReplay:
        return DeviceReplay(len(self.seeds), capacity, self.agent.columns, self.agent.policy().flat.device)

    def _shapes(self) -> Shapes:
        seeds = len(self.seeds)
        n_obs, n_act = self.agent.actor.sizes[0], self.agent.actor.sizes[-1]
        numbers: dict[str, tuple[int, ...]] = {
            "observation": (n_obs,),
            "noise": (sum(self.exploration.noisy),),
            "warm_up": (n_act,),
            "reward": (1,),
            "terminated": (1,),
            "reached": (n_obs,),
        }
        return {name: ((seeds, *shape), np.float32) for name, shape in numbers.items()} | update_shapes(
            self.agent, seeds
        )

    def _act_and_store(self) -> None:
        if not self._sent:
            self._prepare_step(self.step)
            self._send()
        sent, arrays = self.parcel.tensors, self.parcel.arrays
        # Copies, since the next transfer comes before the row is stored.
        observation = sent["observation"].clone().unsqueeze(1)
        warming_up = self.step < self.agent.settings.learning_starts
        noise = None if warming_up else self.exploration.split(sent["noise"].clone().unsqueeze(1))
        voltages = self.agent.act(observation, noise)
        if warming_up:
            voltages.replace_output(sent["warm_up"].clone().unsqueeze(1))
        played = self._play(to_host(voltages.output[:, 0]))
        for s, episode_return in played.finished.items():
            self._end_episode(s, episode_return)
        arrays["reward"][:, 0], arrays["terminated"][:, 0] = played.reward, played.terminated
        arrays["reached"][:] = played.observation
        slot = self.replay.reserve()
        self._prepare_update(self.step + 1)
        self._prepare_step(self.step + 1)
        self._send()
        row = self.agent.transition(voltages, sent["reward"], sent["terminated"], sent["reached"])
        self.replay.write(slot, row)

    def _prepare_step(self, step: int) -> None:
        """What acting at `step` reads."""
        arrays = self.parcel.arrays
        arrays["observation"][:] = self.episodes.observation
        arrays["noise"][:] = self.exploration.draw_numbers()
        if step < self.agent.settings.learning_starts:
            arrays["warm_up"][:] = 2 * self.warm_up.next() - 1

    def _prepare_update(self, step: int) -> None:
        """What the update at the end of `step` steps reads, if there is one."""
        agent, arrays = self.agent, self.parcel.arrays
        settings = agent.settings
        if step < settings.learning_starts or step % settings.update_every:
            return
        arrays["slots"][:] = self.replay.slots(settings.batch_size, self.minibatches)
        if agent.newest:
            arrays["newest"][:] = self.replay.slots(settings.batch_size, self.minibatches, agent.newest)
        for name, numbers in agent.draw().items():
            arrays[name][:] = numbers

    def _send(self) -> None:
        self.parcel.send()
        self._sent = True

    def _learn(self) -> None:
        self.batch = self.update()

    def _update(self) -> dict[str, Tensor]:
        agent, sent = self.agent, self.parcel.tensors
        batch = self.replay.gather(sent["slots"], agent.consecutive)
        if agent.newest:
            rows = self.replay.gather(sent["newest"], agent.consecutive)
            batch |= {f"{NEWEST}{name}": column for name, column in rows.items()}
        agent.learn(batch | {name: sent[name] for name in agent.drawn_shapes()})
        return batch

    def policy(self) -> Callable[[Tensor], Tensor]:
        def act(observation: Tensor) -> Tensor:
            return torch.from_numpy(to_host(self.agent.act(to_device(observation, self.device)).output))

        return act

    def predictions(self, observation: Tensor) -> dict[str, Tensor]:
        found = super().predictions(to_device(observation, self.device))
        return {name: torch.from_numpy(to_host(value)) for name, value in found.items()}

    def state_dict(self) -> dict[str, Any]:
        ahead = {name: self.parcel.arrays[name].copy() for name in AHEAD} if self._sent else None
        return super().state_dict() | {"ahead": ahead}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        if state["ahead"] is not None:
            for name, numbers in state["ahead"].items():
                self.parcel.arrays[name][:] = numbers
            self.parcel.arrays["observation"][:] = self.episodes.observation
            self._send()


def update_shapes(agent: DeviceAgent, seeds: int) -> Shapes:
    """What an update of so many seeds reads that is decided on the CPU: rows of the replay, and what the agent draws."""
    slots = ("slots", "newest") if agent.newest else ("slots",)
    drawn = {name: ((seeds, *shape), np.float32) for name, shape in agent.drawn_shapes().items()}
    return drawn | {name: ((seeds, agent.settings.batch_size), np.int64) for name in slots}
