"""What is watched while a network learns is what its name says, and watching changes nothing."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats

from subcritic import envs
from subcritic.agents import make_agent
from subcritic.agents.ddpg import actor_spec, critic_spec
from subcritic.config import DDPGSettings, LocalSettings, Runtime, parse_method
from subcritic.measuring import diagnostics, probe
from subcritic.measuring.observers import LearningMetrics, due
from subcritic.nn.network import Network
from subcritic.training import Trainer

SMALL = {"hidden": (8, 6), "batch_size": 16, "learning_starts": 20}
METHODS = {
    "ddpg": DDPGSettings(algorithm="ddpg", **SMALL),
    "linear": LocalSettings(algorithm="linear", actor_rate=0.1, **SMALL),
    "imagined": parse_method({"algorithm": "node_perturbation", "optimiser": "adam", **SMALL}),
    "random": parse_method({"algorithm": "random_direction", **SMALL}),
}
STEPS, RUNTIME = 100, Runtime(log_every=25)


class Logged(dict):
    """Metric → {(step, seed): value}."""

    def __call__(self, step, seed, metrics):
        for name, value in metrics.items():
            self.setdefault(name, {})[step, seed] = value


def trainer(method, log, *, watched=True):
    make_environment = partial(envs.make, "Pendulum-v1")
    agent = make_agent(METHODS[method], 3, 1, [0, 1])
    found = Trainer(agent, make_environment, [0, 1], STEPS, 10.0)
    if watched:
        gradient_probe = probe.PolicyGradientProbe(log, RUNTIME, agent, [0, 1])
        found.observers = [LearningMetrics(log, RUNTIME.log_every), gradient_probe]
    return found


def test_the_entropy_of_actions_is_that_of_their_histogram():
    action = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2, 50, 3)))
    found = diagnostics.action_entropy(action)
    for s in range(2):
        shares = [np.histogram(action[s, :, i], diagnostics.BINS, (-1, 1))[0] / 50 for i in range(3)]
        expected = np.mean([stats.entropy(share, base=diagnostics.BINS) for share in shares])
        assert found[s].item() == pytest.approx(expected, abs=1e-12)


def test_one_action_in_every_state_has_no_entropy_and_all_equally_often_has_one():
    assert diagnostics.action_entropy(torch.ones(1, 32, 2)).item() == 0
    spread = (torch.arange(32) + 0.5).reshape(1, 32, 1) / 16 - 1
    assert diagnostics.action_entropy(spread).item() == pytest.approx(1)


@pytest.mark.parametrize(("activation", "expected"), [("tanh", 2 / 6), ("sigmoid", 5 / 6), ("relu", 1 / 3)])
def test_a_tanh_and_a_sigmoid_are_stuck_at_their_ends_and_a_relu_when_no_state_wakes_it(activation, expected):
    h = torch.tensor([[[0.0, 1.0, 0.0], [0.0, 0.996, 0.5]]])
    assert diagnostics.saturated(h, activation).item() == pytest.approx(expected)


def test_the_true_gradient_is_that_of_autograd():
    settings = DDPGSettings(algorithm="ddpg", hidden=(7, 5), action_layer=2)
    rngs = [np.random.default_rng(s) for s in range(2)]
    actor, critic_shape = actor_spec(settings, 3, 2), critic_spec(settings, 3, 2)
    parameters = actor.init(rngs, torch.float64)
    critic = Network(critic_shape, rngs, 1e-3, dtype=torch.float64)
    observation = torch.from_numpy(rngs[0].normal(size=(2, 9, 3)))
    found = probe.policy_gradient(actor, parameters, critic, observation)
    leaf = parameters.flat.clone().requires_grad_()
    action = actor.forward(actor.views(leaf), observation).output
    critic.forward(observation, action).output.mean(dim=1).sum().backward()
    torch.testing.assert_close(found.flat, leaf.grad, rtol=1e-10, atol=1e-14)


def test_a_step_along_the_gradient_has_cosine_one_against_it_minus_one_and_no_step_none():
    spec = actor_spec(DDPGSettings(algorithm="ddpg", hidden=(4,)), 3, 1)
    gradient = spec.init([np.random.default_rng(0)])
    for factor, expected in ((1e-12, 1.0), (-1e-12, -1.0)):
        found = probe.cosines(spec.views(gradient.flat * factor), gradient)
        assert set(found) == {"cosine/layer_1", "cosine/layer_2", "cosine/actor"}
        assert all(value.item() == pytest.approx(expected, abs=1e-5) for value in found.values())
    assert all(value.isnan().all() for value in probe.cosines(spec.parameters(1), gradient).values())


def test_the_local_error_of_ddpg_is_the_slope_of_the_value_by_the_preactivation():
    found = trainer("ddpg", Logged())
    with torch.no_grad():
        while found.step < 30:
            found.advance()
    agent, observation = found.agent, found.batch["observation"]
    errors = agent.local_errors(found.batch)
    actor, step = agent.actor, 1e-2
    for layer in (1, 2, 3):
        changes = []
        for sign in (1, -1):
            moved = actor.views(agent.policy().flat.clone())
            moved.biases[layer - 1][..., 0] += sign * step
            action = actor.forward(moved, observation).output
            changes.append(agent.critic.forward(observation, action).output[..., 0])
        slope = (changes[0] - changes[1]) / (2 * step)
        # Where a ReLU has its kink within the step, the difference quotient is none.
        close = torch.isclose(errors[layer - 1][..., 0], slope, rtol=0.02, atol=2e-4)
        assert close.float().mean() > 0.9


def test_the_linear_rule_pushes_the_same_way_in_every_state_and_backpropagation_does_not():
    log = Logged()
    for method in ("linear", "ddpg"):
        found = Logged()
        trainer(method, found).run()
        log[method] = found
    for layer in (1, 2, 3):
        assert all(value == 1 for value in log["linear"][f"diagnostic/one_sided_{layer}"].values())
    assert min(log["ddpg"]["diagnostic/one_sided_1"].values()) < 0.9


def test_a_rule_without_local_errors_has_no_side():
    log = Logged()
    trainer("random", log).run()
    assert "cosine/actor" in log and "diagnostic/one_sided_1" not in log


def test_a_learner_with_a_critic_of_its_own_is_judged_by_it():
    for method in ("ddpg", "imagined"):
        agent = trainer(method, Logged()).agent
        assert probe.PolicyGradientProbe(Logged(), RUNTIME, agent, [0, 1]).probe_critic is None
    agent = trainer("linear", Logged()).agent
    assert probe.PolicyGradientProbe(Logged(), RUNTIME, agent, [0, 1]).probe_critic is not None


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_watched_alike_and_does_not_notice(method):
    log = Logged()
    watched, alone = trainer(method, log), trainer(method, log, watched=False)
    watched.run()
    alone.run()
    assert torch.equal(watched.agent.policy().flat, alone.agent.policy().flat)
    for layer in (1, 2, 3):
        for name in (
            f"diagnostic/saturated_{layer}",
            f"diagnostic/weight_norm_{layer}",
            f"cosine/layer_{layer}",
        ):
            assert list(log[name]) == [(step, s) for step in (25, 50, 75, 100) for s in (0, 1)], name
    assert {"diagnostic/action_entropy", "cosine/actor"} <= set(log)
    assert all(abs(value) <= 1 + 1e-6 for value in log["cosine/actor"].values())


def test_the_cosine_is_that_of_what_the_last_update_did_to_the_weights():
    log = Logged()
    found = trainer("linear", log)
    with torch.no_grad():
        while found.step < 49:
            found.advance()
            found._observe()
        before = found.agent.actor.views(found.agent.policy().flat.clone())
        found.advance()
        found._observe()
    gradient_probe, agent = found.observers[1], found.agent
    true = probe.policy_gradient(agent.actor, before, gradient_probe.critic, found.batch["voltages"][..., :3])
    for s in (0, 1):
        step = (agent.policy().weights[0] - before.weights[0])[s].flatten()
        expected = torch.cosine_similarity(step, true.weights[0][s].flatten(), dim=0).item()
        assert log["cosine/layer_1"][50, s] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_probe_goes_on_with_the_same_numbers(method):
    whole, resumed = Logged(), Logged()
    trainer(method, whole).run()
    first = trainer(method, Logged())
    with torch.no_grad():
        while first.step < 49:
            first.advance()
            first._observe()
    second = trainer(method, resumed)
    second.load_state_dict(first.state_dict())
    second.observers[1].load_state_dict(first.observers[1].state_dict())
    second.run()
    for key, value in resumed["cosine/actor"].items():
        assert value == whole["cosine/actor"][key]


def test_metrics_are_logged_at_the_first_update_from_every_multiple_on():
    logged = [step for step in range(1, 61) if due(step, every=10, update_every=4)]
    assert logged == [12, 20, 32, 40, 52, 60]
    assert [step for step in range(1, 41) if due(step, every=10, update_every=1)] == [10, 20, 30, 40]
    assert [step for step in range(1, 41) if due(step, every=10, update_every=15)] == [15, 30]
