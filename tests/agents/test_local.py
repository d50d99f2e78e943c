"""The learner around the rules: what is replayed and imagined, and who learns when."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from local_helpers import METHODS, SMALL, filled, learner
from scipy import stats

from subcritic import envs
from subcritic.agents import LocalLearner
from subcritic.config import parse_method
from subcritic.replay import Replay
from subcritic.rules.protocol import LocalTransition
from subcritic.training import Trainer, checkpoint


def trainer(name, seeds, steps=150):
    agent = LocalLearner(parse_method(SMALL | METHODS[name]), 3, 1, seeds)
    return Trainer(agent, partial(envs.make, "Pendulum-v1"), seeds, steps, 10.0)


@pytest.mark.parametrize("name", METHODS)
def test_a_resumed_training_ends_bit_for_bit_as_one_that_was_not_stopped(name, tmp_path):
    whole, stopped, resumed = (trainer(name, [0, 1]) for _ in range(3))
    whole.run()
    while stopped.step < 90:
        stopped.advance()
    checkpoint.save(tmp_path / "c.pt", "key", stopped.state_dict())
    resumed.load_state_dict(checkpoint.load(tmp_path / "c.pt", "key"))
    resumed.run()
    assert torch.equal(resumed.agent.policy().flat, whole.agent.policy().flat)
    assert not torch.equal(whole.agent.policy().flat, trainer(name, [0, 1]).agent.policy().flat)
    assert whole.agent.finite().all() and whole.watch.active == [0, 1]


@pytest.mark.parametrize("name", METHODS)
def test_a_seed_trains_the_same_alone_or_beside_others_and_a_look_changes_nothing(name):
    together, alone = learner(name), learner(name, [1])
    batch = filled(together)
    for _ in range(5):
        together.learn(batch)
        alone.directions({key: column[1:] for key, column in batch.items()})
        alone.learn({key: column[1:] for key, column in batch.items()})
    torch.testing.assert_close(together.online.flat[1:], alone.online.flat, rtol=0, atol=1e-9)
    for key, value in together.metrics().items():
        torch.testing.assert_close(value[1:], alone.metrics()[key], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["coagent-td", "compatible-recomputed"])
def test_recomputed_voltages_are_those_of_acting_as_long_as_the_weights_are_the_same(name):
    agent = learner(name)
    batch = filled(agent)
    seen = agent.memory.transitions(batch)
    noise = batch["perturbation"].split([7, 5], dim=-1)
    h = batch["observation"]
    for number, layer in enumerate(seen):
        torch.testing.assert_close(layer.voltage, h)
        clean = torch.tanh(h @ agent.online.weights[number] + agent.online.biases[number])
        h = clean + noise[number] if number < 2 else batch["action"]
        torch.testing.assert_close(layer.alpha, h)
        torch.testing.assert_close(layer.noise, h - clean)
    assert (noise[0].abs() > 0.01).any()


def test_imagined_noise_is_normal_of_each_layers_scale_and_both_signs_are_judged():
    agent = learner("imagined", draws=400)
    batch = filled(agent)
    observation = batch["observation"]
    (first, second, third), broadcast = agent.broadcaster.imagine(observation, agent.noise_rngs)
    for number, (layer, scale) in enumerate(zip((first, second, third), (0.3, 0.2, 0.1), strict=True)):
        drawn = layer.noise.flatten().numpy()[:20_000]
        if layer is third:
            # ±σ, less what clipping the action took: half of the distance between both executed actions.
            clean = agent.act(first.voltage).output
            step = ((clean + scale).clamp(max=1) - (clean - scale).clamp(min=-1)) / 2
            torch.testing.assert_close(layer.noise.abs(), step)
            torch.testing.assert_close(layer.noise_variance, step**2)
            assert abs(np.sign(drawn).mean()) < 5 / len(drawn) ** 0.5
            continue
        assert stats.kstest(drawn, stats.norm(0, scale).cdf).pvalue > 1e-4
        mean = torch.tanh(layer.voltage @ agent.online.weights[number] + agent.online.biases[number])
        torch.testing.assert_close(layer.alpha, mean + layer.noise)
    both = []
    for sign in (1, -1):
        noise = [sign * xi for xi in (first.noise, second.noise, 0.1 * third.noise.sign())]
        acted = agent.act(first.voltage, noise)
        assert acted.output.abs().max() <= 1
        both.append(agent.global_critic.values(first.voltage, acted.output))
    torch.testing.assert_close(broadcast.advantage, (both[0] - both[1]) / 2)
    torch.testing.assert_close(first.voltage, observation.repeat(1, 400, 1))


def test_imagined_node_perturbation_approaches_the_policy_gradient():
    """Small noise, many draws: the mean direction is backpropagation's, layer by layer."""
    settings = parse_method(
        SMALL
        | {
            "algorithm": "node_perturbation",
            "perturbation_scale": 0.01,
            "draws": 3_000,
            "critic_hidden": (40,),
        }
    )
    agent = LocalLearner(settings, 3, 2, [0], torch.float64)
    batch = filled(agent)
    weights = [weight.clone().requires_grad_() for weight in agent.online.weights]
    h = batch["observation"]
    for weight, bias in zip(weights, agent.online.biases, strict=True):
        h = torch.tanh(h @ weight + bias)
    agent.global_critic.values(batch["observation"], h).mean(dim=1).sum().backward()
    for (found, _), weight in zip(agent.directions(batch), weights, strict=True):
        assert torch.cosine_similarity(found.flatten(), weight.grad.flatten(), dim=0) > 0.9


def test_what_an_action_neuron_finds_for_one_action_is_the_critics_central_difference():
    for how, actions in (("coins", 1), ("control_variate", 1), ("one_by_one", 1), ("one_by_one", 3)):
        settings = parse_method(SMALL | {"algorithm": "learned_feedback", "action_error": how})
        agent = LocalLearner(settings, 3, actions, [0, 1], torch.float64)
        # An action of nearly 1, so that it is clipped on one side.
        agent.online.biases[-1][..., 0] = 2.0
        batch = filled(agent)
        observation = batch["observation"]
        action = agent.act(observation).output
        assert (action > 0.95).any()
        _, broadcast = agent.rule_inputs(batch, agent.noise_rngs)
        for i in range(actions):
            step = 0.1 * torch.eye(actions, dtype=torch.float64)[i]
            ends = [(action + sign * step).clamp(-1, 1) for sign in (1, -1)]
            up, down = (agent.global_critic.values(observation, end) for end in ends)
            slope = (up - down)[..., 0] / (ends[0] - ends[1])[..., i]
            expected = slope * (1 - action[..., i] ** 2)
            torch.testing.assert_close(broadcast.feedback[..., i], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("how", ["coins", "control_variate", "gradient"])
def test_the_error_of_several_actions_has_their_gradient_as_its_mean(how):
    """Over many tosses of small steps; with a control variate for any of its weights."""
    settings = parse_method(
        SMALL
        | {"algorithm": "learned_feedback", "action_error": how, "perturbation_scale": 1e-3, "draws": 4_000}
    )
    agent = LocalLearner(settings, 3, 2, [0, 1], torch.float64)
    if how == "control_variate":
        agent.rule_states[-1].critic.normal_()
    batch = filled(agent, rows=5)
    _, broadcast = agent.rule_inputs(batch, agent.noise_rngs)
    found = broadcast.feedback.unflatten(1, (4_000, 5))
    action = agent.act(batch["observation"]).output.requires_grad_()
    agent.global_critic.values(batch["observation"], action).sum().backward()
    expected = action.grad * (1 - action.detach() ** 2)
    error = found.std(dim=1) / 4_000**0.5
    assert ((found.mean(dim=1) - expected).abs() < 5 * error + 1e-6).all()


def test_a_control_variate_learns_what_its_actions_do_and_makes_the_error_less_noisy():
    settings = parse_method(SMALL | {"algorithm": "learned_feedback", "action_error": "control_variate"})
    agent = LocalLearner(settings, 3, 2, [0], torch.float64)
    batch = filled(agent)

    def spread():
        draws = [agent.rule_inputs(batch, agent.noise_rngs)[1].feedback for _ in range(200)]
        return torch.stack(draws).var(dim=0).mean()

    before = spread()
    for _ in range(300):
        seen, broadcast = agent.rule_inputs(batch, agent.noise_rngs)
        for state, layer, part in zip(agent.rule_states, agent.layers, seen, strict=True):
            agent.rule.learn(state, layer, part, broadcast, moves=False)
    assert spread() < 0.5 * before


@pytest.mark.parametrize("kind", ["residual", "correlation"])
def test_learned_feedback_becomes_the_mean_effect_on_the_action_and_the_direction_the_policy_gradient(kind):
    settings = parse_method(
        SMALL
        | {"algorithm": "learned_feedback", "perturbation_scale": 0.01, "draws": 50, "feedback_rule": kind}
    )
    agent = LocalLearner(settings, 3, 1, [0], torch.float64)
    batch = filled(agent)
    for _ in range(100):
        seen, broadcast = agent.rule_inputs(batch, agent.noise_rngs)
        for critics, layer, part in zip(agent.rule_states, agent.layers, seen, strict=True):
            agent.rule.learn(critics, layer, part, broadcast, moves=False)
    weights = [weight.clone().requires_grad_() for weight in agent.online.weights]
    h = [batch["observation"]]
    for weight, bias in zip(weights, agent.online.biases, strict=True):
        z = h[-1] @ weight + bias
        h.append(torch.tanh(z))
        h[-1].retain_grad()
    z.sum().backward(retain_graph=True)
    for critics, voltage in zip(agent.rule_states[:-1], h[1:-1], strict=True):
        effect = voltage.grad.mean(dim=1)
        assert (critics.weight[:, 0] - effect).norm() < (0.02 if kind == "residual" else 0.1) * effect.norm()
    for weight in weights:
        weight.grad = None
    agent.global_critic.values(batch["observation"], h[-1]).mean(dim=1).sum().backward()
    for (found, _), weight in zip(agent.directions(batch), weights, strict=True):
        assert torch.cosine_similarity(found.flatten(), weight.grad.flatten(), dim=0) > 0.95


def test_feedback_is_the_critics_gradient_by_the_action_by_autograd():
    for name in ("feedback_alignment", "feedback-features"):
        agent = learner(name)
        batch = filled(agent)
        for _ in range(3):
            agent.learn(batch)
        action = agent.act(batch["observation"]).output.requires_grad_()
        agent.global_critic.values(batch["observation"], action).sum().backward()
        assert action.grad.abs().max() > 1e-4
        feedback = agent.rule_inputs(batch, agent.noise_rngs)[1].feedback
        torch.testing.assert_close(feedback, action.grad, rtol=0, atol=1e-10)


def test_one_layer_moves_at_a_time_when_they_take_turns():
    agent = learner("in-turn")
    batch = filled(agent)
    for update in range(12):
        before = [weight.clone() for weight in agent.online.weights]
        critics = [c.voltage.clone() for c in agent.rule_states]
        agent.learn(batch)
        moved = [not torch.equal(a, b) for a, b in zip(before, agent.online.weights, strict=True)]
        assert moved == [update // 3 % 3 == layer for layer in range(3)]
        assert all(not torch.equal(a, c.voltage) for a, c in zip(critics, agent.rule_states, strict=True))


@pytest.mark.parametrize("name", METHODS)
def test_frozen_hidden_layers_keep_their_first_weights_and_the_action_learns(name):
    agent = learner(name, frozen_hidden=True)
    before, batch = copy.deepcopy(agent.online), filled(agent)
    # In turns, the last layer's comes after those of the hidden layers.
    for _ in range(9):
        agent.learn(batch)
    moved = [
        not torch.equal(now, then) for now, then in zip(agent.online.weights, before.weights, strict=True)
    ]
    assert moved == [False, False, True]
    assert all(
        torch.equal(now, then) for now, then in zip(agent.online.biases[:-1], before.biases, strict=False)
    )
    assert agent.settings.role == "control"


def test_looking_at_imagined_directions_leaves_the_generators_alone():
    agent = learner("imagined")
    batch, before = filled(agent), copy.deepcopy(agent.state_dict()["noise_rngs"])
    agent.directions(batch)
    assert agent.state_dict()["noise_rngs"] == before


@pytest.mark.parametrize(
    "name", ["traces", "traces-recomputed", "coagent-neuron", "coagent-linear", "coagent-observation"]
)
def test_the_lambda_return_is_the_plain_recursion_and_stays_within_its_episode(name):
    """Rows 0 to 29 of a replay; episodes end after rows 9 (terminated) and 19 (cut)."""
    agent = learner(name, [0])
    settings, rows = agent.settings, 30
    torch.manual_seed(1)
    states = torch.randn(rows + 3, 3, dtype=torch.float64)
    replay = Replay(1, rows, agent.columns, torch.float64)
    for t in range(rows):
        # The observation reached before a reset is not where the next row starts.
        reached = states[t + 1] + (1.0 if t in (9, 19) else 0.0)
        noise = [0.3 * torch.randn(1, 1, n, dtype=torch.float64) for n in (7, 5, 2)]
        acted = agent.act(states[t].view(1, 1, 3), noise)
        ended = torch.full((1, 1), float(t == 9), dtype=torch.float64)
        replay.add(agent.transition(acted, torch.full((1, 1), t + 1.0).double(), ended, reached.view(1, 3)))
    batch = replay.sample(400, [np.random.default_rng(0)], agent.consecutive)
    drawn = batch["reward"][0, :, 0].long() - 1
    coagent = name.startswith("coagent")
    for critics in agent.rule_states:
        (critics.network.target.flat if coagent else critics.target_value).normal_()

    def plain(value, t, left):
        onward = value[t]
        if left > 1 and t not in (9, 19, rows - 1):
            onward = (1 - settings.trace) * value[t] + settings.trace * plain(value, t + 1, left - 1)
        return t + 1.0 + settings.discount * (t != 9) * onward

    reached = torch.stack([s + (t in (9, 19)) for t, s in enumerate(states[1 : rows + 1])])[None]
    after = agent.act(reached).h
    for k, seen in enumerate(agent.memory.transitions(batch)):
        critics, layer = agent.rule_states[k], agent.layers[k]
        if coagent:
            read = agent.rule.read(LocalTransition(voltage=after[k], observation=after[0]))
            value = agent.rule.values(critics, layer, read, after[k + 1], target=True)[0]
            found = agent.rule._target(critics, layer, seen)[0]
        else:
            value = (after[k] @ critics.target_value + critics.target_value_bias)[0]
            found = agent.rule._return(critics, seen)[0]
        expected = torch.stack([plain(value, t, settings.trace_length) for t in drawn.tolist()])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    assert set(drawn.tolist()) == set(range(rows))


def test_feedback_that_depends_on_inputs_comes_nearer_to_the_jacobian_of_each_state():
    """∂z_L/∂h_1 changes from state to state through tanh'; B + C v follows it further than its mean B does."""
    wide = {"algorithm": "learned_feedback", "hidden": (3, 6), "perturbation_scale": 0.01, "draws": 20}
    left = {}
    for inputs in (False, True):
        settings = parse_method(SMALL | wide | {"feedback_inputs": inputs})
        agent = LocalLearner(settings, 3, 2, [0], torch.float64)
        for weight in agent.online.weights:
            weight.mul_(2)
        batch = filled(agent, rows=40)
        for _ in range(1_000):
            seen, broadcast = agent.rule_inputs(batch, agent.noise_rngs)
            for state, layer, part in zip(agent.rule_states, agent.layers, seen, strict=True):
                agent.rule.learn(state, layer, part, broadcast, moves=False)
        h = agent.act(batch["observation"]).h
        slope = 1 - h[2] ** 2
        jacobian = torch.einsum("sni,sbi,sia->sban", agent.online.weights[1], slope, agent.online.weights[2])
        state = agent.rule_states[0]
        feedback = state.weight.unsqueeze(1).expand_as(jacobian)
        if inputs:
            feedback = feedback + agent.rule._context(state, h[0])
        left[inputs] = (jacobian - feedback).square().mean()
    assert left[True] < 0.7 * left[False]
