"""Trained policies as files: the actors of all seeds of one training."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from subcritic import files, stored
from subcritic.agents import PictureAgent
from subcritic.config import ConfigError
from subcritic.nn import MLP
from subcritic.training import Trainer


def of(trainer: Trainer) -> list[dict[str, Any]]:
    """The actor of every seed: sizes, hidden, output (activations), parameters (P,), diverged_at, seed.

    And, where it reads pictures, `encoder`: picture, filters, kernels, strides and parameters of its convolutions, and the
    mean and scale (n_0,) by which their features are standardised. None for a seed that was stopped, whose are not kept.
    """
    agent, actor = trainer.agent, trainer.agent.actor
    found = [
        {
            "seed": seed,
            "sizes": actor.sizes,
            "hidden": actor.hidden,
            "output": actor.output,
            "parameters": trainer.policy_of(s).to("cpu", copy=True),
            "diverged_at": trainer.watch.diverged_at[s],
        }
        for s, seed in enumerate(trainer.seeds)
    ]
    if isinstance(agent, PictureAgent):
        for s, policy in enumerate(found):
            learned = s not in trainer.stopped_policies
            policy["encoder"] = asdict(agent.spec) | agent.encoders[-1].of_seed(s) if learned else None
    return found


def save(path: Path, policies: list[dict[str, Any]]) -> Path:
    """Write the policies of all seeds to one file, whole or not at all."""
    with files.whole(path) as file:
        stored.write(file, policies)
    return path


def load_one(path: Path) -> dict[str, Any]:
    """The actor of one seed, as `of` gives it, from the file of its record.

    Raises ConfigError for a file that is damaged, or asks for more than data.
    """
    found: dict[str, Any] = _read(path)
    return found


def load(path: Path) -> tuple[MLP, Tensor, list[int]]:
    """What `save` wrote: the network, its parameters (S, P), and the seeds.

    Raises ConfigError when there is none, or for a file that is damaged, or asks for more than data.
    """
    if not path.is_file():
        raise ConfigError(f"{path} is missing; run `subcritic experiment2` with the same options first")
    found = _read(path)
    if not found:
        raise ConfigError(
            f"{path} has no policy: its seeds were taken from published runs; `subcritic reproduce --from-scratch` trains "
            "them"
        )
    first = found[0]
    network = MLP(tuple(first["sizes"]), first["hidden"], first["output"])
    return (
        network,
        torch.stack([policy["parameters"] for policy in found]),
        [policy["seed"] for policy in found],
    )


def _read(path: Path) -> Any:
    try:
        return stored.read(path)
    except stored.UnreadableFile as error:
        raise ConfigError(str(error)) from None
