"""Local rules never reach error backpropagation: not by import, not at run time."""

import subprocess
import sys

import pytest
import torch

from subcritic import nn, seeding
from subcritic.agents import LocalLearner
from subcritic.config import LocalSettings, parse_method
from subcritic.replay import Replay
from subcritic.rules import RULES


def test_importing_the_rules_does_not_load_backpropagation():
    """Nor do the compiled functions of the rules load those of backpropagation."""
    code = (
        "import sys, subcritic.rules\n"
        "from subcritic.nn import compiled\n"
        "compiled.kernels('rules.kernels')\n"
        "names = ('nn.backprop', 'nn.backprop_kernels', 'nn.batch_norm', 'agents')\n"
        "print(*(f'subcritic.{name}' in sys.modules for name in names))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["False"] * 4


# Every rule by its defaults, and variants; rules whose own critics are networks have a test of their own below.
NETWORKS = ("mlp", "coagent")
DEFAULTS = {name: parse_method({"algorithm": name}) for name in RULES if name not in NETWORKS}
NEEDS_CRITIC = [name for name, settings in DEFAULTS.items() if settings.needs_global_critic]
NO_BACKPROP = {name: {"algorithm": name} for name in DEFAULTS if name not in NEEDS_CRITIC}
NO_BACKPROP |= {
    f"{name}, random features": {"algorithm": name, "critic": "random_features"} for name in NEEDS_CRITIC
}
NO_BACKPROP |= {
    "linear, normalised": {"algorithm": "linear", "normalisation": "running"},
    "bilinear, Adam": {"algorithm": "bilinear", "optimiser": "adam"},
    "compatible, trace": {"algorithm": "compatible", "exploration": "neuron", "trace": 0.5},
    "imagined, critic with local heads": {"algorithm": "node_perturbation", "critic": "local_heads"},
    "compatible, imagined, random features": {
        "algorithm": "compatible",
        "replay": "imagined",
        "optimiser": "adam",
        "critic": "random_features",
    },
    "learned feedback in actor and critic": {"algorithm": "learned_feedback", "critic": "learned_feedback"},
}
# With a backpropagated critic: its settings, and the functions of nn.backprop that it may call on the critic.
THROUGH_THE_CRITIC = {
    name: (
        {"algorithm": name},
        {"gradients"} | ({"side_gradient"} if name == "feedback_alignment" else set()),
    )
    for name in NEEDS_CRITIC
}
THROUGH_THE_CRITIC |= {
    "compatible, imagined": (
        {"algorithm": "compatible", "replay": "imagined", "optimiser": "adam"},
        {"gradients"},
    ),
    "global target": ({"algorithm": "linear", "target": "global_q"}, {"gradients"}),
    "global TD error": ({"algorithm": "coagent", "target": "global_td"}, {"gradients"}),
}


def learn_once(settings, watch):
    """One update, with every function through which an error could travel backwards replaced by `watch(name, original)`."""
    import subcritic.nn.backprop  # noqa: F401

    agent = LocalLearner(parse_method({"algorithm": "linear", "hidden": (8, 8), **settings}), 3, 2, [0, 1])
    with pytest.MonkeyPatch.context() as patch:
        for room in (nn.backprop, torch.autograd):
            for name in ("gradients", "voltage_gradients", "side_gradient", "backward", "grad"):
                if hasattr(room, name):
                    patch.setattr(room, name, watch(name, getattr(room, name)))
        replay = Replay(2, 10, agent.columns)
        noise = [torch.randn(2, 1, n) for n in (8, 8, 2)]
        with torch.no_grad():
            for _ in range(10):
                acted = agent.act(torch.randn(2, 1, 3), noise)
                replay.add(agent.transition(acted, torch.randn(2, 1), torch.zeros(2, 1), torch.randn(2, 3)))
            before = agent.online.flat.clone()
            for _ in range(3):
                agent.learn(replay.sample(16, seeding.generators([0, 1], "test"), agent.consecutive))
    assert (agent.online.flat != before).any(dim=1).all()
    return agent


@pytest.mark.parametrize("method", NO_BACKPROP)
def test_a_local_learner_learns_with_backpropagation_and_autograd_forbidden(method):
    def forbidden(name, original):
        def fail(*args, **kwargs):
            raise AssertionError(f"an error travelled backwards: {name}")

        return fail

    learn_once(NO_BACKPROP[method], forbidden)


@pytest.mark.parametrize("method", THROUGH_THE_CRITIC)
def test_with_a_backpropagated_critic_errors_cross_the_critic_and_never_the_actor(method):
    settings, allowed = THROUGH_THE_CRITIC[method]
    called = []

    def noted(name, original):
        def call(spec, *args):
            called.append((name, spec))
            return original(spec, *args)

        return call

    agent = learn_once(settings, noted)
    assert {name for name, _ in called} == allowed
    assert all(spec is agent.global_critic.network.spec for _, spec in called)


OWN_CRITICS = {
    "mlp": ({"algorithm": "mlp"}, {"gradients", "side_gradient"}),
    "coagent of each neuron": ({"algorithm": "coagent", "own_critic": "neuron"}, {"gradients"}),
    "coagent of a layer": ({"algorithm": "coagent"}, {"gradients"}),
    "coagent reading slopes": ({"algorithm": "coagent", "reads": "slope"}, {"gradients", "side_gradient"}),
    "coagent with linear values": ({"algorithm": "coagent", "own_critic": "linear"}, {"gradients"}),
}


@pytest.mark.parametrize("method", OWN_CRITICS)
def test_gradients_are_taken_within_the_own_critic_of_a_neuron_or_layer_and_nowhere_else(method):
    """The exceptions: no rules but these import backprop, and what they call it on are these critics."""
    settings, allowed = OWN_CRITICS[method]
    called = []

    def noted(name, original):
        def call(spec, params, *args):
            called.append((name, spec.sizes, len(params.flat)))
            return original(spec, params, *args)

        return call

    learn_once(settings, noted)
    hidden = () if settings.get("own_critic") == "linear" else (32, 32)
    assert {name for name, *_ in called} == allowed
    assert {size for _, size, _ in called} == {(n_in, *hidden, 1) for n_in in (3, 8)}
    each = "mlp" in method or settings.get("own_critic") == "neuron"
    assert {count for *_, count in called} == ({2 * 8, 2 * 2} if each else {2}), (
        "seeds times neurons, or seeds"
    )


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
    second.rule_states[1].alpha += 1.0
    first.learn(batch)
    second.learn(changed)
    assert torch.equal(first.online.weights[0], second.online.weights[0])
    assert not torch.equal(first.online.weights[1], second.online.weights[1])
