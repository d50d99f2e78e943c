"""Small learners of every rule, and a minibatch of what they would store."""

import torch

from subcritic.agents import LocalLearner
from subcritic.config import parse_method
from subcritic.replay import Replay
from subcritic.rules import RULES

SMALL = {"hidden": (7, 5), "batch_size": 16, "learning_starts": 40}
# Every rule by its defaults, and variants.
METHODS = {name: {"algorithm": name} for name in RULES} | {
    "bilinear-adam": {"algorithm": "bilinear", "optimiser": "adam"},
    "compatible-neuron": {"algorithm": "compatible", "exploration": "neuron"},
    "compatible-recomputed": {
        "algorithm": "compatible", "exploration": "subset", "replay": "recomputed", "target": "global_td",
    },
    "compatible-imagined": {"algorithm": "compatible", "replay": "imagined", "optimiser": "adam", "draws": 2},
    "traces": {"algorithm": "compatible", "trace": 0.8, "trace_length": 4},
    "traces-recomputed": {
        "algorithm": "compatible", "trace": 0.5, "trace_length": 3, "replay": "recomputed", "exploration": "neuron",
    },
    "mlp-global": {"algorithm": "mlp", "target": "global_q", "replay": "recomputed"},
    "imagined": {"algorithm": "node_perturbation", "optimiser": "adam", "perturbation_scale": (0.3, 0.2, 0.1)},
    "imagined-heads": {"algorithm": "node_perturbation", "critic": "local_heads"},
    "imagined-feedback": {"algorithm": "node_perturbation", "critic": "learned_feedback"},
    "imagined-features": {"algorithm": "node_perturbation", "critic": "random_features"},
    "coagent-td": {"algorithm": "coagent", "target": "global_td", "noise_scale": (0.1, 0.2, 0.3)},
    "coagent-neuron": {"algorithm": "coagent", "own_critic": "neuron", "trace": 0.5, "trace_length": 3},
    "coagent-linear": {"algorithm": "coagent", "own_critic": "linear", "optimiser": "adam", "trace": 0.5},
    "coagent-observation": {
        "algorithm": "coagent", "critic_reads": "observation", "trace": 0.5, "trace_length": 3,
    },
    "feedback-features": {"algorithm": "feedback_alignment", "critic": "random_features"},
    "in-turn": {"algorithm": "linear", "layers_in_turn": 3, "optimiser": "adam", "target": "global_advantage"},
}  # fmt: skip


def learner(name, seeds=(0, 1), dtype=torch.float64, **extra):
    return LocalLearner(parse_method(SMALL | METHODS[name] | extra), 3, 2, list(seeds), dtype)


def filled(agent, rows=30, seed=0):
    """A minibatch of what the agent would store on random observations, with noise on whatever it explores by."""
    torch.manual_seed(seed)
    seeds, dtype = agent.online.flat.shape[0], agent.online.flat.dtype
    replay = Replay(seeds, rows, agent.columns, dtype)
    quiet = agent.settings.exploration == "action"

    def draw(n):
        return torch.randn(seeds, 1, n, dtype=dtype)

    for _ in range(rows):
        sizes = agent.actor.sizes[1:]
        noise = [None if quiet and k < len(sizes) else 0.3 * draw(n) for k, n in enumerate(sizes, start=1)]
        acted = agent.act(draw(3), noise)
        replay.add(agent.transition(acted, draw(1)[:, 0], torch.zeros(seeds, 1, dtype=dtype), draw(3)[:, 0]))
    batch = replay.unpack(replay.rows)
    if agent.consecutive > 1:
        later = [replay.rows.roll(-k, dims=1) for k in range(1, agent.consecutive)]
        batch["following"] = torch.stack(later, dim=2)
    return batch
