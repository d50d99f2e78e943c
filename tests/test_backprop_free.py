"""Local rules never reach error backpropagation: not by import, not at run time."""

import subprocess
import sys

import pytest
import torch

from subcritic import nn
from subcritic.agents import LocalLearner
from subcritic.config import LocalSettings
from subcritic.replay import Replay


def test_importing_the_rules_does_not_load_backpropagation():
    code = "import sys, subcritic.rules; print('subcritic.nn.backprop' in sys.modules, 'subcritic.agents' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["False", "False"]


def test_a_local_learner_learns_with_backpropagation_and_autograd_forbidden(monkeypatch):
    import subcritic.nn.backprop  # noqa: F401

    def forbidden(*args, **kwargs):
        raise AssertionError("an error travelled backwards")

    for name in ("gradients", "voltage_gradients", "side_gradient"):
        monkeypatch.setattr(nn.backprop, name, forbidden)
    monkeypatch.setattr(torch.autograd, "backward", forbidden)
    monkeypatch.setattr(torch.autograd, "grad", forbidden)
    agent = LocalLearner(LocalSettings(algorithm="linear", hidden=(8, 8)), 3, 2, [0, 1])
    replay = Replay(2, 10, agent.columns)
    with torch.no_grad():
        for _ in range(10):
            acted = agent.act(torch.randn(2, 1, 3), [None, None, torch.randn(2, 1, 2)])
            replay.add(agent.transition(acted, torch.randn(2, 1), torch.zeros(2, 1), torch.randn(2, 3)))
        before = agent.online.flat.clone()
        agent.learn(replay.unpack(replay.rows))
    assert (agent.online.flat != before).any(dim=1).all()


def test_a_layer_learns_from_nothing_but_its_own_voltages():
    """Changing what other layers hold, or went through, does not change a layer's update."""
    settings = LocalSettings(algorithm="linear", hidden=(6, 6))
    first, second = (LocalLearner(settings, 3, 2, [0], dtype=torch.float64) for _ in range(2))
    width = sum(first.actor.sizes)
    batch = {
        "voltages": torch.randn(1, 5, width, dtype=torch.float64),
        "reward": torch.randn(1, 5, 1, dtype=torch.float64),
        "terminated": torch.zeros(1, 5, 1, dtype=torch.float64),
        "next_voltages": torch.randn(1, 5, width - 2, dtype=torch.float64),
    }
    changed = {name: column.clone() for name, column in batch.items()}
    changed["voltages"][..., 9:] += 1.0
    changed["next_voltages"][..., 3:] += 1.0
    second.online.weights[2] += 1.0
    second.critics[1].alpha += 1.0
    first.learn(batch)
    second.learn(changed)
    assert torch.equal(first.online.weights[0], second.online.weights[0])
    assert not torch.equal(first.online.weights[1], second.online.weights[1])


@pytest.mark.parametrize(
    "room", ["nn", "agents", "rules", "subcritics", "envs", "stats", "training", "tracking"]
)
def test_a_room_imports_only_rooms_below_it(room):
    """The floors of docs/architecture.md, read from the import statements."""
    import ast
    from pathlib import Path

    floors = {
        "config": 0, "provenance": 0, "seeding": 0, "stats": 0, "bellman": 0,
        "nn": 1, "replay": 1, "exploration": 1, "envs": 1,
        "agents": 2, "rules": 2, "subcritics": 2,
        "training": 3, "tracking": 3,
        "experiments": 4, "reports": 4, "workflow": 4,
        "cli": 5, "reproduce": 5,
    }  # fmt: skip
    drawn = {("agents", "rules"), ("subcritics", "rules")}
    package = Path(nn.__file__).parent.parent
    for file in (package / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("subcritic"):
                parts = node.module.split(".")
                names = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
                for other in names:
                    below = floors[other] < floors[room]
                    assert other == room or below or (room, other) in drawn, f"{file}: imports {other}"
