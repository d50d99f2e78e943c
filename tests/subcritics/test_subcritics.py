"""Sub-critics are batched over neurons, and do what one critic at a time would do."""

import pytest
import torch

from subcritic import seeding
from subcritic.nn import MLP
from subcritic.studies.experiment1.settings import Experiment1
from subcritic.subcritics import SubCritic, SubCriticFamily, chosen_neurons

SEEDS, BATCH, N_IN, N_OUT = 2, 7, 4, 5
NEURONS = [0, 2, 3]


def subcritic(kind):
    return SubCritic(
        kind,
        (N_IN, N_OUT),
        NEURONS,
        (6, 6),
        1e-2,
        0.9,
        0.1,
        seeding.generators(range(SEEDS), "t"),
        torch.float64,
    )


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def transition():
    torch.manual_seed(0)
    terminated = (torch.rand(SEEDS, BATCH, 1) < 0.3).double()
    v, alpha = draw(SEEDS, BATCH, N_IN), draw(SEEDS, BATCH, N_OUT)
    return v, alpha, draw(SEEDS, BATCH, 1), terminated, draw(SEEDS, BATCH, N_IN), draw(SEEDS, BATCH, N_OUT)


def one_critic(network, row, x):
    """The stacked network's `row`-th critic written with torch's functions: three layers, the last one linear."""
    h = x
    for layer in range(3):
        h = h @ network.online.weights[layer][row] + network.online.biases[layer][row, 0]
        h = torch.relu(h) if layer < 2 else h
    return h[..., 0]


@pytest.mark.parametrize("kind", ["layer", "neuron"])
def test_values_and_gradients_equal_one_critic_at_a_time(kind):
    critic, (v, alpha, *_) = subcritic(kind), transition()
    values, gradients = critic.values(v, alpha), critic.action_gradient(v, alpha)
    count = 1 if kind == "layer" else len(NEURONS)
    assert values.shape == (SEEDS, BATCH, count)
    assert gradients.shape == (SEEDS, BATCH, N_OUT if kind == "layer" else count)
    for s in range(SEEDS):
        for m in range(count):
            own = alpha[s] if kind == "layer" else alpha[s][:, [NEURONS[m]]]
            own = own.clone().requires_grad_()
            value = one_critic(critic.network, s * count + m, torch.cat((v[s], own), dim=-1))
            torch.testing.assert_close(values[s, :, m], value.detach(), rtol=0, atol=1e-12)
            value.sum().backward()
            ours = gradients[s] if kind == "layer" else gradients[s][:, [m]]
            torch.testing.assert_close(ours, own.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["layer", "neuron"])
def test_a_learning_step_follows_the_bellman_loss_by_autograd(kind):
    critic, seen = subcritic(kind), transition()
    v, alpha, reward, terminated, v_next, alpha_next = seen
    target = reward + 0.9 * (1 - terminated) * critic.values(v_next, alpha_next, target=True)
    flat = critic.network.online.flat
    leaf = flat.clone().requires_grad_()
    critic.network.online = critic.network.spec.views(leaf)
    count = target.shape[-1]
    loss = 0.0
    for s in range(SEEDS):
        for m in range(count):
            own = alpha[s] if kind == "layer" else alpha[s][:, [NEURONS[m]]]
            value = one_critic(critic.network, s * count + m, torch.cat((v[s], own), dim=-1))
            loss = loss + ((target[s, :, m] - value) ** 2).mean()
    loss.backward()
    critic.network.online = critic.network.spec.views(flat)
    critic.learn(*seen)
    torch.testing.assert_close(critic.network.gradient.flat, leaf.grad, rtol=1e-10, atol=1e-10)


def test_critics_of_one_layer_do_not_influence_each_other():
    seen = transition()
    together = subcritic("neuron")
    for _ in range(5):
        together.learn(*seen)
    alone = SubCritic(
        "neuron", (N_IN, N_OUT), NEURONS, (6, 6), 1e-2, 0.9, 0.1, seeding.generators([1], "t"), torch.float64
    )
    for _ in range(5):
        alone.learn(*(part[1:2] for part in seen))
    torch.testing.assert_close(
        together.values(seen[0], seen[1])[1:2], alone.values(seen[0][1:2], seen[1][1:2]), rtol=0, atol=1e-12
    )


def test_a_critic_learns_a_known_value():
    """With γ → 0 the value is the reward: here a function of the neuron's own voltage."""
    critic = SubCritic("neuron", (2, 3), [1], (32, 32), 3e-3, 1e-9, 0.1, seeding.generators([0], "t"))
    torch.manual_seed(0)
    for _ in range(1500):
        v, alpha = torch.rand(1, 64, 2), torch.rand(1, 64, 3)
        critic.learn(v, alpha, 2 * alpha[..., 1:2] - v[..., :1], torch.zeros(1, 64, 1), v, alpha)
    v, alpha = torch.rand(1, 500, 2), torch.rand(1, 500, 3)
    error = critic.values(v, alpha) - (2 * alpha[..., 1:2] - v[..., :1])
    assert error.abs().mean() < 0.05
    assert (critic.action_gradient(v, alpha) - 2).abs().mean() < 0.2


def test_every_layer_is_watched_and_the_output_fully():
    actor = MLP((3, 16, 9, 2), "relu", "tanh")
    family = SubCriticFamily(actor, Experiment1(neurons_per_layer=4), [0, 1], "phase1")
    assert [critic.neurons for critic in family.neurons] == [[0, 4, 8, 12], [0, 2, 4, 6], [0, 1]]
    assert [critic.count for critic in family.layers] == [1, 1, 1]
    h = actor.forward(actor.init(seeding.generators([0, 1], "a")), torch.randn(2, 5, 3)).h
    shapes = {name: tuple(values.shape) for name, values in family.values(h).items()}
    assert shapes["layer_1"] == (2, 5, 1)
    assert shapes["neurons_2"] == (2, 5, 4)
    assert shapes["neurons_3"] == (2, 5, 2)


def test_chosen_neurons_are_distinct_and_within_the_layer():
    for width in (1, 7, 8, 9, 300):
        chosen = chosen_neurons(width, 8)
        assert len(set(chosen)) == len(chosen) == min(width, 8)
        assert max(chosen) < width
