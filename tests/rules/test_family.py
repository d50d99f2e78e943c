"""The other rules against autograd and plain loops, and what all of them have in common."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from rule_helpers import (
    BATCH,
    N_IN,
    N_OUT,
    SEEDS,
    SIGMA,
    close,
    draw,
    make_broadcast,
    make_layer,
    make_transition,
    mean_voltage,
    rngs,
)  # fmt: skip

from subcritic.config import parse_method
from subcritic.rules import RULES, load
from subcritic.rules.protocol import Broadcast, LocalTransition

CRITIC_RATE, ACTOR_RATE = 0.05, 0.3
SETTINGS = {"critic_rate": CRITIC_RATE, "actor_rate": ACTOR_RATE, "discount": 0.9, "polyak": 0.1}
# Small networks of one neuron.
SMALL = {"mlp": {"hidden": (5, 3)}}
# Every rule as its settings make it; those with critics also with a broadcast target; and the switches of `compatible`.
KINDS = {name: (name, {}) for name in RULES}
KINDS |= {f"{name} told": (name, {"aim": "told"}) for name in RULES if load(name).has_critic}
KINDS |= {
    "coagent of a layer's value": ("coagent", {"own_critic": "layer_value"}),
    "coagent of each neuron": ("coagent", {"own_critic": "neuron", "own_critic_hidden": (4,)}),
    "coagent with linear values": ("coagent", {"own_critic": "linear"}),
    "coagent that observes": ("coagent", {"critic_reads": "observation"}),
    "coagent of each neuron that observes": (
        "coagent",
        {"own_critic": "neuron", "own_critic_hidden": (4,), "critic_reads": "observation"},
    ),
    "coagent reading slopes": ("coagent", {"reads": "slope"}),
    "coagent of each neuron reading slopes": (
        "coagent",
        {"own_critic": "neuron", "own_critic_hidden": (4,), "reads": "slope"},
    ),
    "compatible natural": ("compatible", {"natural": True}),
    "compatible imagined": ("compatible", {"imagined": True}),
    "compatible with known noise": ("compatible", {"knows_noise": True}),
}


def make_rule(name, optimiser="sgd", **more):
    algorithm, changes = KINDS.get(name, (name, {}))
    settings = parse_method({"algorithm": algorithm, "optimiser": optimiser, **SETTINGS})
    rule = load(algorithm).from_settings(settings, action_size=3)
    return replace(rule, **SMALL.get(algorithm, {}), **changes, **more)


def received(rule, *given):
    """`given` transition and broadcast with only the fields that the rule says it receives."""
    return [
        type(part)(**{f.name: getattr(part, f.name) for f in fields(part) if f.name in rule.receives})
        for part in given
    ]


def poisoned(rule, *given):
    """The same with NaN in every field that the rule says it does not receive."""
    found = []
    for part in given:
        given_fields = [f.name for f in fields(part) if getattr(part, f.name) is not None]
        others = [name for name in given_fields if name not in rule.receives]
        found.append(replace(part, **{name: getattr(part, name) * torch.nan for name in others}))
    return found


@pytest.mark.parametrize("name", KINDS)
def test_a_rule_reads_what_it_says_it_receives_and_nothing_else(name):
    outcomes = []
    for choose in (received, poisoned):
        rng, rule = np.random.default_rng(0), make_rule(name)
        layer = make_layer("tanh", rng)
        state = rule.init(layer, rngs())
        # Noise is left out of what a rule may not know, so μ^n(v) is computed.
        seen, broadcast = choose(rule, make_transition(rng, layer), make_broadcast(rng))
        if "noise" not in rule.receives:
            seen = replace(seen, noise=None)
        for _ in range(3):
            rule.update(state, layer, seen, broadcast)
        outcomes.append(torch.cat((layer.weight, layer.bias, layer.target_weight), dim=1))
    assert torch.equal(*outcomes)
    assert not outcomes[0].isnan().any()


@pytest.mark.parametrize("name", KINDS)
def test_a_broadcast_is_one_scalar_unless_the_rule_is_named_after_its_feedback(name):
    told = make_rule(name).receives - {f.name for f in fields(LocalTransition)}
    assert told <= {f.name for f in fields(Broadcast)}
    vectors = {"feedback_alignment": {"feedback"}, "learned_feedback": {"feedback", "deviation"}}
    assert told - {"target", "advantage"} == vectors.get(name, set())
    assert len(told & {"target", "advantage"}) <= (name not in vectors)


@pytest.mark.parametrize("name", KINDS)
def test_a_seed_learns_the_same_alone_or_beside_another(name):
    rng, rule = np.random.default_rng(1), make_rule(name)
    layer = make_layer("tanh", rng)
    seen, broadcast = make_transition(rng, layer), make_broadcast(rng)
    only = lambda part: replace(part, **{  # noqa: E731
        f.name: getattr(part, f.name)[1:].clone()
        for f in fields(part) if isinstance(getattr(part, f.name), torch.Tensor)
    })  # fmt: skip
    alone = only(layer)
    together, single = rule.init(layer, rngs()), rule.init(alone, rngs([1]))
    for _ in range(3):
        rule.update(together, layer, *received(rule, seen, broadcast))
        rule.update(single, alone, *received(rule, only(seen), only(broadcast)))
    close(layer.weight[1:], alone.weight)
    assert not torch.equal(layer.weight[0], layer.weight[1])


@pytest.mark.parametrize("name", [name for name in KINDS if name != "random_direction"])
def test_adam_steps_are_torchs_adam_on_the_rules_own_directions(name):
    """One seed at a time of K, whose parts share one flat vector."""
    rng, rule = np.random.default_rng(2), make_rule(name, "adam")
    flat = draw(rng, SEEDS, (N_IN + 1) * N_OUT)
    weight, bias = (
        flat[:, : N_IN * N_OUT].view(SEEDS, N_IN, N_OUT),
        flat[:, N_IN * N_OUT :].view(SEEDS, 1, N_OUT),
    )
    layer = replace(make_layer("tanh", rng), weight=weight, bias=bias)
    state = rule.init(layer, rngs())
    reference = flat.clone().requires_grad_()
    adam = torch.optim.Adam([reference], lr=ACTOR_RATE)
    for _ in range(5):
        seen, broadcast = received(rule, make_transition(rng, layer), make_broadcast(rng))
        rule.learn(state, layer, seen, broadcast, moves=False)
        direction = rule.direction(state, layer, seen, broadcast)
        reference.grad = -torch.cat([part.flatten(1) for part in direction], dim=1)
        error = None if getattr(rule, "natural", False) else rule.local_error(state, layer, seen, broadcast)
        rule.update_weights(state, layer, seen, error)
        adam.step()
        torch.testing.assert_close(flat, reference.detach(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("aim", ["own", "told"])
@pytest.mark.parametrize("name", ["linear", "bilinear", "mlp"])
def test_residual_and_local_error_are_those_of_the_critic_by_autograd(name, aim):
    rng = np.random.default_rng(3)
    rule = replace(make_rule(name), aim=aim)
    layer = make_layer("tanh", rng)
    state = rule.init(layer, rngs())
    seen, broadcast = make_transition(rng, layer), make_broadcast(rng)
    value = rule.values(state, layer, seen.voltage, seen.alpha).clone()
    # Target copies still equal the critics and the policy.
    after = rule.values(state, layer, seen.next_voltage, mean_voltage(layer, seen.next_voltage))
    target = seen.reward + 0.9 * (1 - seen.terminated) * after if aim == "own" else broadcast.target
    weight, bias = layer.weight.clone().requires_grad_(), layer.bias.clone().requires_grad_()
    close(rule.learn(state, layer, seen, broadcast, moves=False), target - value)
    alpha = SIGMA["tanh"](seen.voltage @ weight + bias)
    rule.values(state, layer, seen.voltage, alpha).mean(dim=1).sum().backward()
    for ours, true in zip(
        rule.direction(state, layer, seen, broadcast), (weight.grad, bias.grad), strict=True
    ):
        close(ours, true)


@pytest.mark.parametrize("aim", ["own", "told"])
def test_the_bilinear_critic_steps_down_its_squared_residual_by_autograd(aim):
    rng = np.random.default_rng(4)
    rule, layer = replace(make_rule("bilinear"), aim=aim), make_layer("sigmoid", rng)
    state = rule.init(layer, rngs())
    seen, broadcast = make_transition(rng, layer), make_broadcast(rng)
    start = {name: tensor.clone().requires_grad_() for name, tensor in state.tensors().items()}
    residual = rule.learn(state, layer, seen, broadcast, moves=False)
    slope = start["alpha"] + seen.voltage @ start["mixed"]
    value = seen.voltage @ start["voltage"] + start["bias"] + seen.alpha * slope
    target = (residual + value).detach()
    ((target - value) ** 2 / 2).mean(dim=1).sum().backward()
    for name in ("voltage", "bias", "alpha", "mixed"):
        expected = start[name].detach() - CRITIC_RATE * start[name].grad
        close(state.tensors()[name], expected)
        close(state.tensors()[f"target_{name}"], start[name].detach().lerp(expected, 0.1))


def test_a_network_per_neuron_equals_each_network_alone():
    rng, rule = np.random.default_rng(5), make_rule("mlp")
    layer = make_layer("tanh", rng)
    state = rule.init(layer, rngs())
    seen = make_transition(rng, layer)
    values = rule.values(state, layer, seen.voltage, seen.alpha)
    network = state.network
    for s in range(SEEDS):
        for n in range(N_OUT):
            one = network.spec.views(network.online.flat[s * N_OUT + n].unsqueeze(0))
            alone = network.spec.forward(one, seen.voltage[s : s + 1], seen.alpha[s : s + 1, :, n : n + 1])
            close(values[s, :, n], alone.output[0, :, 0])


def test_node_perturbation_is_the_plain_loop():
    rng, rule = np.random.default_rng(6), make_rule("node_perturbation")
    layer = make_layer("tanh", rng)
    seen, broadcast = received(rule, make_transition(rng, layer), make_broadcast(rng))
    weight, bias = rule.direction(rule.init(layer, rngs()), layer, seen, broadcast)
    for s in range(SEEDS):
        for n in range(N_OUT):
            expected = np.zeros(N_IN + 1)
            for i in range(BATCH):
                v = np.append(seen.voltage[s, i], 1)
                k = np.append(layer.weight[s, :, n], layer.bias[s, 0, n])
                slope = 1 - np.tanh(k @ v) ** 2
                noise, advantage = seen.noise[s, i, n].item(), broadcast.advantage[s, i, 0].item()
                expected += advantage * noise / 0.09 * slope * v / BATCH
            close(np.append(weight[s, :, n], bias[s, 0, n]), expected)


def test_node_perturbation_has_the_gradient_as_its_mean():
    """A linear in the noise: then the mean over noise is exact, and the estimate must come within its standard error."""
    rng, rule, draws = np.random.default_rng(7), make_rule("node_perturbation"), 200_000
    layer = make_layer("tanh", rng, seeds=1)
    v = draw(rng, 1, 1, N_IN)
    slopes = draw(rng, 1, 1, N_OUT)
    noise = 0.5 * draw(rng, 1, draws, N_OUT)
    alpha = mean_voltage(layer, v) + noise
    seen = LocalTransition(voltage=v.expand(-1, draws, -1), alpha=alpha, noise=noise, noise_variance=0.25)
    broadcast = Broadcast(advantage=(noise * slopes).sum(dim=-1, keepdim=True))
    _, found = rule.direction(rule.init(layer, rngs([0])), layer, seen, broadcast)
    expected = slopes * (1 - mean_voltage(layer, v) ** 2)
    each = rule.local_error(None, layer, seen, broadcast)
    error = each.std(dim=1, keepdim=True) / draws**0.5
    assert ((found - expected).abs() < 5 * error).all()
    assert (expected.abs() > 5 * error).any()


@pytest.mark.parametrize("kind", ["residual", "correlation"])
def test_learned_feedback_by_plain_loops(kind):
    """The weights step by the feedback as it was before this update; the residual rule hears ρ in place of Δz."""
    rng, rule = np.random.default_rng(9), make_rule("learned_feedback", feedback_rule=kind, feedback_rate=0.1)
    hidden, last = make_layer("tanh", rng), make_layer("tanh", rng, last=True)
    seen, broadcast = received(rule, make_transition(rng, hidden), make_broadcast(rng))
    state = rule.init(hidden, rngs())
    assert not state.weight.any()
    state.weight.copy_(draw(rng, *state.weight.shape))
    before, errors = state.weight.clone().numpy(), np.zeros((SEEDS, BATCH, N_OUT))
    expected = before.copy()
    shrink = 1 + (sum(rule.hidden) + 1) / BATCH
    for s, n, i, b in np.ndindex(SEEDS, N_OUT, 3, BATCH):
        xi, dz = float(seen.noise[s, b, n]), float(broadcast.deviation[s, b, i])
        step = dz * xi / shrink if kind == "residual" else (dz - before[s, i, n] * xi) * xi
        expected[s, i, n] += 0.1 / 0.09 * step / BATCH
    clean = (seen.alpha - seen.noise).numpy()
    for s, b, n in np.ndindex(SEEDS, BATCH, N_OUT):
        errors[s, b, n] = broadcast.feedback[s, b].numpy() @ before[s, :, n] * (1 - clean[s, b, n] ** 2)
    weight = hidden.weight + ACTOR_RATE * seen.voltage.mT @ torch.from_numpy(errors) / BATCH
    rule.update(state, hidden, seen, broadcast)
    close(state.weight, expected)
    close(hidden.weight, weight)
    assert torch.equal(rule.local_error(state, last, seen, broadcast), broadcast.feedback)


def test_feedback_alignment_is_backpropagation_with_other_weights_and_exact_at_the_output():
    rng, rule = np.random.default_rng(8), make_rule("feedback_alignment")
    hidden, last = make_layer("tanh", rng), make_layer("tanh", rng, last=True)
    rule = replace(rule, action_size=N_OUT)
    seen, broadcast = received(rule, make_transition(rng, hidden), make_broadcast(rng, actions=N_OUT))
    for layer in (hidden, last):
        state = rule.init(layer, rngs())
        back = torch.eye(N_OUT, dtype=torch.float64) if layer.last else state.weight
        weight = layer.weight.clone().requires_grad_()
        action = SIGMA["tanh"](seen.voltage @ weight + layer.bias) @ back.mT
        (action * broadcast.feedback).sum(dim=-1).mean(dim=1).sum().backward()
        close(rule.direction(state, layer, seen, broadcast)[0], weight.grad)
        before = state.weight.clone()
        rule.update(state, layer, seen, broadcast)
        assert torch.equal(state.weight, before), "the feedback is fixed"


def test_a_random_direction_moves_every_neuron_by_its_rate_and_looking_does_not_change_it():
    rng, rule = np.random.default_rng(9), make_rule("random_direction")
    layer = make_layer("tanh", rng)
    state, before = rule.init(layer, rngs()), torch.cat((layer.weight, layer.bias), dim=1)
    seen_direction = torch.cat(rule.direction(state, layer, LocalTransition()), dim=1).clone()
    rule.update(state, layer, LocalTransition())
    step = torch.cat((layer.weight, layer.bias), dim=1) - before
    close(step, ACTOR_RATE * seen_direction)
    close(step.norm(dim=1), np.full((SEEDS, N_OUT), ACTOR_RATE))
    assert not torch.equal(torch.cat(rule.direction(state, layer, LocalTransition()), dim=1), seen_direction)


# What holds for every rule, whatever it is.
OF_ALL_RULES = (
    test_a_rule_reads_what_it_says_it_receives_and_nothing_else,
    test_a_broadcast_is_one_scalar_unless_the_rule_is_named_after_its_feedback,
    test_a_seed_learns_the_same_alone_or_beside_another,
    test_adam_steps_are_torchs_adam_on_the_rules_own_directions,
)


@pytest.mark.parametrize("kind", ["layer", "neuron"])
def test_the_slope_twin_reads_the_gradient_of_the_same_critic_by_autograd(kind):
    rng = np.random.default_rng(12)
    rule = make_rule("coagent", own_critic=kind, own_critic_hidden=(4, 3), reads="slope")
    layer = make_layer("tanh", rng)
    state = rule.init(layer, rngs())
    seen = make_transition(rng, layer)
    h = mean_voltage(layer, seen.voltage)
    flat = state.network.online.flat
    weights = [w.clone().requires_grad_() for w in state.network.spec.views(flat).weights]
    alpha = h.clone().requires_grad_()
    stacked = alpha.mT.flatten(0, 1).unsqueeze(-1) if kind == "neuron" else alpha
    times = N_OUT if kind == "neuron" else 1
    x = torch.cat((seen.voltage.repeat_interleave(times, dim=0), stacked), dim=-1)
    for weight, bias in zip(weights, state.network.online.biases, strict=True):
        x = x @ weight + bias
        x = torch.relu(x) if weight is not weights[-1] else x
    x.sum().backward()
    close(rule.local_error(state, layer, seen), alpha.grad * (1 - h**2))
