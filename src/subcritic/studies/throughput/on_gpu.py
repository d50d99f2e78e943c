"""Updates on a GPU: many seeds at once, and layers in streams of their own. Nothing is measured where there is no GPU.

`update` is what the device does, replayed as a CUDA graph where it can be: gathering a minibatch and learning from it.
`prepared` is the same with what training does before it on the CPU: drawing minibatches and noise, and sending them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from subcritic import seeding
from subcritic.agents import make_agent
from subcritic.agents.protocol import DeviceAgent
from subcritic.agents.streams import StreamedLearner
from subcritic.config import AgentSettings, parse_method
from subcritic.measuring.progress import say
from subcritic.measuring.timing import ACTION, OBSERVATION, REPLAY_ROWS, Turns, Updates, fill, take_turns
from subcritic.nn.devices import Parcel
from subcritic.training.captured import Captured
from subcritic.training.device_replay import DeviceReplay
from subcritic.training.on_device import update_shapes

SEEDS = (1, 20, 100)
HIDDEN = ((400, 300), (1024, 1024))
BATCHES = (64, 256, 1024)
LEARNERS: dict[str, dict[str, Any]] = {
    "ddpg": {"algorithm": "ddpg"},
    "linear": {"algorithm": "linear"},
    "learned-feedback": {"algorithm": "learned_feedback", "optimiser": "adam"},
}
# Of a local rule's name, if its layers learn in streams of their own.
STREAMS = ", streams"
COLUMNS = ["learner", "hidden", "batch", "seeds", "part", "captured", "round", "updates_per_second"]


def measure(
    settings: Turns,
    device: torch.device,
    seeds: Sequence[int] = SEEDS,
    hidden: Sequence[tuple[int, ...]] = HIDDEN,
    batches: Sequence[int] = BATCHES,
) -> pd.DataFrame:
    """Rows of COLUMNS: learners of all numbers of seeds take turns, as in `run.py`. An update is one of all seeds."""
    rows = []
    for sizes in hidden:
        for batch in batches:
            cell = {"hidden": "-".join(map(str, sizes)), "batch": batch}
            say(f"throughput: on {device}: hidden {cell['hidden']}, batch {batch}: {settings.rounds} rounds")
            timed = {
                (name, count): Timed(*contender, count, device)
                for name, contender in _contenders(sizes, batch).items()
                for count in seeds
            }
            turns: dict[str, Updates] = {}
            for (name, count), one in timed.items():
                turns[f"{name}/{count}/update"] = one.updates
                turns[f"{name}/{count}/prepared"] = one.prepared
            for row in take_turns(turns, settings):
                name, count, part = row.pop("learner").split("/")
                captured = timed[name, int(count)].update.graph is not None
                rows.append(
                    {"learner": name, "seeds": int(count), "part": part, "captured": captured, **cell, **row}
                )
    return pd.DataFrame(rows, columns=COLUMNS)


def nothing() -> pd.DataFrame:
    """What is recorded where there is no GPU."""
    return pd.DataFrame(columns=COLUMNS)


def _contenders(hidden: tuple[int, ...], batch: int) -> dict[str, tuple[Callable[..., Any], AgentSettings]]:
    """Name → what makes the agent, and its settings."""
    found: dict[str, tuple[Callable[..., Any], AgentSettings]] = {}
    for name, own in LEARNERS.items():
        settings = parse_method({"hidden": hidden, "batch_size": batch, **own})
        found[name] = (make_agent, settings)
        if name != "ddpg":
            found[f"{name}{STREAMS}"] = (StreamedLearner, settings)
    return found


@dataclass
class Timed:
    """Updates of so many seeds of an agent, from a full replay of random transitions, all on one device."""

    make: Callable[..., Any]
    settings: AgentSettings
    seeds: int
    device: torch.device

    def __post_init__(self) -> None:
        numbers, batch = list(range(self.seeds)), self.settings.batch_size
        self.agent: DeviceAgent = self.make(self.settings, OBSERVATION, ACTION, numbers, device=self.device)
        self.replay = DeviceReplay(self.seeds, REPLAY_ROWS, self.agent.columns, self.device)
        fill(self.replay)
        self.minibatches = seeding.Draws(seeding.generators(numbers, "minibatch"), batch)
        self.parcel = Parcel(update_shapes(self.agent, self.seeds), self.device)
        on_gpu = self.device.type == "cuda"
        self.update = Captured(
            self._update, self.agent.not_captured() if on_gpu else "only a GPU has CUDA graphs"
        )
        self._prepare()

    def _prepare(self) -> None:
        self.parcel.arrays["slots"][:] = self.replay.slots(self.settings.batch_size, self.minibatches)
        for name, drawn in self.agent.draw().items():
            self.parcel.arrays[name][:] = drawn
        self.parcel.send()

    def _update(self) -> None:
        sent = self.parcel.tensors
        batch = self.replay.gather(sent["slots"])
        self.agent.learn(batch | {name: sent[name] for name in self.agent.drawn_shapes()})

    @torch.no_grad()
    def updates(self, n: int) -> None:
        """n updates from what was prepared last."""
        for _ in range(n):
            self.update()
        self._wait()

    @torch.no_grad()
    def prepared(self, n: int) -> None:
        """n updates, each from numbers of its own."""
        for _ in range(n):
            # As in training, where the actions come back before the next numbers go.
            self._wait()
            self._prepare()
            self.update()
        self._wait()

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
