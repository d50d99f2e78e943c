"""The critic of agents that remember: its step by loops and autograd, its slopes by autograd and by differences."""

import numpy as np
import pytest
import torch

from subcritic.agents.history_critic import HistoryCritic
from subcritic.agents.sequences import Sequences
from subcritic.config.graph import GraphSettings

SEEDS, B, T, N_OBS, N_ACT, TAUS = 2, 5, 4, 3, 2, (2.0, 8.0)
TRACES = len(TAUS) * (N_OBS + N_ACT)


def settings(**changes):
    given = {
        "trace_steps": TAUS,
        "critic_hidden": (7, 6),
        "critic_rate": 0.01,
        "discount": 0.9,
        "polyak": 0.1,
    }
    return GraphSettings(**given | changes)


def critic_and_rows():
    """A critic whose target copy lags, and sequences, some of which end early, by termination or by the time limit."""
    rng = np.random.default_rng(0)
    critic = HistoryCritic(settings(), N_OBS, N_ACT, range(SEEDS), torch.float64)
    critic.network.target.flat += 0.3 * torch.from_numpy(rng.normal(size=critic.network.target.flat.shape))
    terminated, valid = np.zeros((SEEDS, B, T, 1)), np.ones((SEEDS, B, T, 1))
    terminated[:, 0, 1], valid[:, 0, 2:] = 1, 0
    valid[:, 1, 3:] = 0
    terminated[:, 2, 3] = 1
    rows = Sequences(
        observation=rng.normal(size=(SEEDS, B, T + 1, N_OBS)),
        action=rng.uniform(-1, 1, size=(SEEDS, B, T, N_ACT)),
        reward=rng.normal(size=(SEEDS, B, T, 1)),
        terminated=terminated,
        valid=valid,
        voltages=np.zeros((SEEDS, B, 1)),
        traces=rng.normal(size=(SEEDS, B, T, TRACES)),
    )
    return critic, rows, rng.uniform(-1, 1, size=(SEEDS, B, T + 1, N_ACT))


def one_value(params, s, observation, traces, action):
    """Q(s, φ, a) of one seed in one row, by torch's functions."""
    x = torch.cat([torch.as_tensor(part) for part in (observation, traces, action)])
    for number in range(3):
        x = x @ params.weights[number][s] + params.biases[number][s][0]
        x = torch.relu(x) if number < 2 else x
    return x[0]


def traces_after(rows, at):
    """φ′ = λ φ + √(1 − λ²) [s′, a] of the row `at` = (s, b, t), one time constant at a time."""
    s, b, t = at
    seen = np.concatenate([rows.observation[s, b, t + 1], rows.action[s, b, t]])
    kept = np.split(rows.traces[at], len(TAUS))
    decays = [np.exp(-1 / tau) for tau in TAUS]
    return np.concatenate(
        [decay * trace + np.sqrt(1 - decay**2) * seen for decay, trace in zip(decays, kept, strict=True)]
    )


def test_a_step_follows_autograd_over_all_valid_rows():
    critic, rows, action = critic_and_rows()
    network = critic.network
    before, target_before = network.online.flat.clone(), network.target.flat.clone()
    leaf = before.clone().requires_grad_()
    online, residuals = network.spec.views(leaf), torch.zeros(SEEDS, B, T, dtype=torch.float64)
    loss, values = 0.0, torch.zeros(SEEDS, B, T, dtype=torch.float64)
    for at in np.ndindex(SEEDS, B, T):
        s, b, t = at
        value = one_value(online, s, rows.observation[at], rows.traces[at], rows.action[at])
        values[at] = value.detach()
        if not rows.valid[at][0]:
            continue
        later = one_value(
            network.target, s, rows.observation[s, b, t + 1], traces_after(rows, at), action[s, b, t + 1]
        )
        aim = rows.reward[at][0] + 0.9 * (1 - rows.terminated[at][0]) * later
        residual = aim - value
        loss, residuals[at] = loss + residual.square() / (B * T), residual.detach()
    loss.backward()

    value, residual = critic.fit(rows, critic.states(rows), action)

    exact = {"rtol": 0, "atol": 1e-10}
    torch.testing.assert_close(value.view(SEEDS, B, T), values, **exact)
    torch.testing.assert_close(residual.view(SEEDS, B, T), residuals, **exact)
    torch.testing.assert_close(network.gradient.flat, leaf.grad, **exact)
    step = -0.01 * leaf.grad / (leaf.grad.abs() + 1e-8)
    torch.testing.assert_close(network.online.flat, before + step, **exact)
    followed = target_before + 0.1 * (network.online.flat - target_before)
    torch.testing.assert_close(network.target.flat, followed, **exact)


@pytest.mark.parametrize("found", ["gradient", "differences"])
def test_slopes_are_those_of_each_rows_value(found):
    critic, rows, _ = critic_and_rows()
    # With a small step no ReLU's kink lies between the two sides.
    critic.settings = settings(perturbation_scale=1e-6)
    now, action = critic.states(rows)[0], critic.flat(rows.action)
    slopes = getattr(critic, found)(now, action).view(SEEDS, B, T, N_ACT)
    for s, b, t in np.ndindex(SEEDS, B, T):
        leaf = torch.from_numpy(rows.action[s, b, t]).requires_grad_()
        one_value(critic.network.online, s, rows.observation[s, b, t], rows.traces[s, b, t], leaf).backward()
        torch.testing.assert_close(slopes[s, b, t], leaf.grad, rtol=0, atol=1e-8)


def test_differences_stay_within_the_actions_that_there_are():
    critic, rows, _ = critic_and_rows()
    critic.settings = settings(perturbation_scale=0.5)
    now = critic.states(rows)[0]
    action = torch.full((SEEDS, B * T, N_ACT), 0.8, dtype=torch.float64)
    found = critic.differences(now, action)
    for n in range(N_ACT):
        above, below = action.clone(), action.clone()
        above[..., n], below[..., n] = 1.0, 0.3
        values = [critic.network.forward(now, side).output[..., 0] for side in (above, below)]
        torch.testing.assert_close(found[..., n], (values[0] - values[1]) / 0.7, rtol=0, atol=1e-10)
