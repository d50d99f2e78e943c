"""Counting what crosses between layers in processes of their own, while they learn."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch

from subcritic.agents.distributed import DistributedLearner
from subcritic.agents.protocol import AgentBatch
from subcritic.config import ImaginingSettings, parse_method
from subcritic.measuring.progress import say
from subcritic.studies.asynchronous.settings import ACTION, IN_PROCESSES, OBSERVATION, Distributed

COLUMNS = ["learner", "hidden", "batch", "updates", "bytes", "messages", "exchanges"]


def count(settings: Distributed) -> pd.DataFrame:
    """Rows of COLUMNS: bytes and messages of one update, as counted while `updates` were made; see `Crossed`.

    Raises RuntimeError if updates differ in what crosses.
    """
    rows: list[list[Any]] = []
    for hidden in settings.counted:
        for learner, backpropagate in IN_PROCESSES.items():
            say(f"asynchronous: {learner}, hidden {hidden}: a process for each layer")
            bytes_, messages, exchanges = _crossed(hidden, settings, backpropagate)
            name = "-".join(map(str, hidden))
            rows.append([learner, name, settings.batch, settings.updates, bytes_, messages, exchanges])
    return pd.DataFrame(rows, columns=COLUMNS)


def rule(hidden: tuple[int, ...], batch: int) -> ImaginingSettings:
    """Settings of learned feedback."""
    settings = parse_method(
        {"algorithm": "learned_feedback", "optimiser": "adam", "hidden": hidden, "batch_size": batch}
    )
    assert isinstance(settings, ImaginingSettings)
    return settings


def _crossed(hidden: tuple[int, ...], settings: Distributed, backpropagate: bool) -> tuple[int, int, int]:
    """Bytes, messages and exchanges of one update."""
    agent = rule(hidden, settings.batch)
    with DistributedLearner(agent, OBSERVATION, ACTION, [0], backpropagate) as learner, torch.no_grad():
        for _ in range(settings.updates):
            learner.learn(_minibatch(settings.batch))
        crossed = learner.crossed()
    totals = (sum(crossed.bytes.values()), crossed.messages)
    if any(total % settings.updates for total in totals):
        raise RuntimeError(f"{totals} bytes and messages in {settings.updates} updates: not the same in all")
    bytes_, messages = (total // settings.updates for total in totals)
    return bytes_, messages, crossed.exchanges


def _minibatch(rows: int) -> AgentBatch:
    observation, action, reward, following = (
        torch.rand(1, rows, width) for width in (OBSERVATION, ACTION, 1, OBSERVATION)
    )
    return AgentBatch(observation, action, reward, torch.zeros(1, rows, 1), following)
