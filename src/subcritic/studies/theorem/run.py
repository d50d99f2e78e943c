"""Theorem 2.2.4 on trained agents: where ∇_{K^n} Q^n is column n of ∇_K Q^μ, and where it is not (docs/theory.md).

Everything is measured at the last snapshot of Experiment 1, per layer, against the policy gradient by autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from subcritic import envs, seeding
from subcritic.agents.actor_critic import actor_critic_at
from subcritic.agents.ddpg import actor_spec, critic_spec
from subcritic.config import DDPGSettings
from subcritic.measuring.interventions import FUNCTIONS, oracle_gradient, value_from
from subcritic.measuring.judged import Judged, judge, weight_gradient
from subcritic.measuring.snapshots import load_snapshots
from subcritic.measuring.tables import paths, record, write_csv
from subcritic.nn.activations import slope
from subcritic.studies.theorem import STUDY
from subcritic.studies.theorem.settings import Config, Theorem
from subcritic.studies.theorem.trajectory import Trajectory, bellman_loss, play, values_of_data
from subcritic.study import Job

READINGS = ("do_float32", "do", "one_step", "delayed", "right_slope", "opposite_slope", "aliased")
Rows = Iterator[tuple[str, int, str, np.ndarray]]  # reading, layer, measure, values (S,)


def run(job: Job, results: Path) -> list[Path]:
    """Measure every reading on an environment's trained agents; writes and returns `theorem.csv`."""
    torch.set_num_threads(1)
    config = job.config
    assert isinstance(config, Config)
    saved = load_snapshots(results / job.profile / job.reads[0], config.snapshots, job.environment)
    task, last = config.snapshots.environment, saved["snapshots"][-1]
    make_environment = envs.maker(task)
    with torch.no_grad():
        table = measure(
            config.theorem, config.snapshots.experiment1.agent, saved["sizes"], last, make_environment
        )
    table.insert(0, "environment", job.environment)
    record(job, results, _metrics(table, last["step"]))
    return [write_csv(paths(job, STUDY, results)["theorem"], table)]


def measure(
    settings: Theorem,
    agent: DDPGSettings,
    sizes: tuple[int, ...],
    snapshot: dict[str, Any],
    make_environment: Callable[[], gym.Env],
) -> pd.DataFrame:
    """All rows of one snapshot: seed, reading, layer (from 1), measure, value. Call under `torch.no_grad`."""
    seeds = snapshot["seeds"]
    single, exact = (judged(agent, sizes, snapshot, dtype) for dtype in (torch.float32, torch.float64))
    trajectory = play(exact, make_environment, seeds, settings.trajectory_steps)
    followed = judge(
        trajectory.observation, exact.actor, exact.actor_params.flat, exact.critic, exact.critic_params.flat
    )
    found = [
        *interventional(single, "do_float32"),
        *interventional(exact, "do"),
        *delays(exact),
        *on_trajectory(followed, trajectory, agent.discount),
        *aliasing(exact, seeds, settings.aliases, settings.draws),
    ]
    rows = [
        {"seed": seed, "reading": reading, "layer": layer, "measure": name, "value": float(value)}
        for reading, layer, name, values in found
        for seed, value in zip(seeds, values, strict=True)
    ]
    return pd.DataFrame(rows)


def judged(
    settings: DDPGSettings, sizes: tuple[int, ...], snapshot: dict[str, Any], dtype: torch.dtype
) -> Judged:
    """Actor and critic of a snapshot at its states, in `dtype`."""
    actor, critic = (spec(settings, sizes[0], sizes[-1]) for spec in (actor_spec, critic_spec))
    flats = (snapshot["actor"].to(dtype), snapshot["critic"].to(dtype))
    return judge(snapshot["observations"].to(dtype), actor, flats[0], critic, flats[1])


# The two sides of (2.2.5), and their difference.


def policy_gradient(agent: Judged) -> list[np.ndarray]:
    """Right side: column n of ∇_{K_l} mean Q^μ(s, μ(s)) in row n, (S, n_l, n_{l-1}) per layer, by autograd of the whole."""
    with torch.enable_grad():
        leaf = agent.actor_params.flat.clone().requires_grad_()
        networks = (agent.actor, agent.actor.views(leaf), agent.critic, agent.critic_params)
        value_from(0, agent.observation, agent.observation, networks).mean(dim=1).sum().backward()
    return [weight.mT.numpy() for weight in agent.actor.views(leaf.grad).weights]


def local_gradient(agent: Judged, layer: int, voltage_gradient: Tensor) -> np.ndarray:
    """Left side: mean of ∂Q^n/∂α · σ'(z) v, (S, n_l, n_{l-1}); voltage_gradient (S, B, n_l): ∂Q^n/∂α of every neuron."""
    return weight_gradient(agent, layer, voltage_gradient, list(range(voltage_gradient.shape[-1])))


def relative(local: np.ndarray, true: np.ndarray) -> np.ndarray:
    """‖local − true‖ / ‖true‖ over all axes but the first, (S,); NaN where the true gradient is zero."""
    local, true = local.reshape(len(local), -1), true.reshape(len(true), -1)
    size = np.linalg.norm(true, axis=1)
    return np.divide(
        np.linalg.norm(local - true, axis=1), size, out=np.full(len(size), np.nan), where=size > 0
    )


def relative_per_state(
    agent: Judged, layer: int, voltage_gradient: Tensor, true_gradient: Tensor
) -> np.ndarray:
    """The same over the gradients of single states, (S,): both are a scalar times σ'(z) v, and are not averaged first."""
    weight = slope(agent.h[layer], agent.actor.activation(layer)) * agent.h[layer - 1].norm(
        dim=-1, keepdim=True
    )
    return relative((voltage_gradient * weight).numpy(), (true_gradient * weight).numpy())


# Readings of Q^n.


def interventional(agent: Judged, reading: str) -> Rows:
    """Q^n(v, α) = Q^μ(s, μ(s; do(h_l[n] := α))), Proposition 1: no difference but rounding."""
    for layer, true in enumerate(policy_gradient(agent), 1):
        voltage_gradient = oracle_gradient(layer, agent.h[layer], agent.observation, agent.networks)
        yield (
            reading,
            layer,
            "relative_difference",
            relative(local_gradient(agent, layer, voltage_gradient), true),
        )
        per_state = relative_per_state(agent, layer, voltage_gradient, agent.voltage_gradients[layer - 1])
        yield reading, layer, "relative_difference_per_state", per_state


def delays(agent: Judged) -> Rows:
    """α set by T^n of (2.2.3), then the action of the same step (`one_step`) or of L − l steps later (`delayed`)."""
    depth = agent.actor.depth
    for layer, true in enumerate(policy_gradient(agent), 1):
        for reading, waiting in (("one_step", 0), ("delayed", depth - layer)):
            voltage_gradient = delayed_gradient(agent, layer, waiting)
            yield (
                reading,
                layer,
                "relative_difference",
                relative(local_gradient(agent, layer, voltage_gradient), true),
            )
            per_state = relative_per_state(agent, layer, voltage_gradient, agent.voltage_gradients[layer - 1])
            yield reading, layer, "relative_difference_per_state", per_state


def delayed_gradient(agent: Judged, layer: int, waiting: int) -> Tensor:
    """∂/∂α of Q^μ(s, δ(D^waiting(T^n(v, α)))) at α = μ^n(v), for every neuron of the layer: (S, B, n_l).

    v holds the voltages of all layers, settled on s, and s is encoded anew at every step (2.2.1, 2.2.3). Neurons of one
    layer are set together: at α = μ^n(v) the partial derivatives are the same as one neuron at a time.
    """
    with torch.enable_grad():
        alpha = agent.h[layer].detach().clone().requires_grad_()
        voltages = dynamics(agent, agent.h)
        voltages[layer] = alpha
        for _ in range(waiting):
            voltages = dynamics(agent, voltages)
        depth = agent.actor.depth
        value = value_from(depth, voltages[depth], agent.observation, agent.networks).sum()
        if not value.requires_grad:
            return torch.zeros_like(alpha)
        value.backward()
    return alpha.grad


def dynamics(agent: Judged, voltages: list[Tensor]) -> list[Tensor]:
    """D(v) + ε(s) (2.2.1) for a layered K: every layer at once reads what the layer below held, h_0 is the state."""
    found = [agent.observation]
    for layer in range(1, agent.actor.depth + 1):
        z = voltages[layer - 1] @ agent.actor_params.weights[layer - 1] + agent.actor_params.biases[layer - 1]
        found.append(FUNCTIONS[agent.actor.activation(layer)](z))
    return found


def on_trajectory(agent: Judged, trajectory: Trajectory, discount: float) -> Rows:
    """q±(v, α) = V(v) ± (α − μ^n(v)) p, Proposition 3: the same on the data, opposite in slope.

    V solves the Bellman equation of the data and p is the true ∂Q^μ/∂h_l[n], so that q+ has the right gradient, and q−
    its opposite. `agent` is judged at the trajectory's states. Losses are in units of the mean squared reward.
    """
    after = agent.actor.forward(agent.actor_params, trajectory.next_observation).h
    for layer, true in enumerate(policy_gradient(agent), 1):
        v, v_next = agent.h[layer - 1], after[layer - 1]
        value, value_next = values_of_data(v, v_next, trajectory, discount)
        acts = partial(_neurons, agent, layer)
        off_graph, off_graph_next = agent.h[layer] - acts(v), after[layer] - acts(v_next)
        voltage_gradient = agent.voltage_gradients[layer - 1]
        for reading, sign in (("right_slope", 1), ("opposite_slope", -1)):
            q = value[..., None] + sign * off_graph * voltage_gradient
            # The slope at v' does not matter: off_graph_next is zero.
            q_next = value_next[..., None] + sign * off_graph_next
            loss = bellman_loss(q, q_next, trajectory, discount)
            gradient = local_gradient(agent, layer, sign * voltage_gradient)
            yield reading, layer, "bellman_loss", loss
            yield reading, layer, "relative_difference", relative(gradient, true)
            yield reading, layer, "cosine", _cosine(gradient, true)


def aliasing(agent: Judged, seeds: list[int], aliases: int, draws: tuple[int, ...]) -> Rows:
    """v does not determine s, Proposition 4: the same in expectation over s given v, not in single states.

    The world is (o, u), the actor sees o and the critic o + u; u is one of `aliases` equally likely offsets, as wide as
    the states themselves, so that E[· | v] is a finite mean. `relative_difference_of_mean/m` takes m draws of u at
    every v, in units of the local gradient; without /m, all of them.
    """
    offsets = _offsets(agent, seeds, aliases)
    state = agent.observation[:, :, None] + offsets[:, None]
    for layer in range(1, agent.actor.depth + 1):
        local = expected_gradient(agent, layer, state)
        true = _voltage_gradients(agent, layer, state)
        spread = local[:, :, None].expand_as(true)
        per_state = relative_per_state(
            _repeated(agent, aliases), layer, spread.flatten(1, 2), true.flatten(1, 2)
        )
        yield "aliased", layer, "relative_difference_per_state", per_state
        whole = relative(local_gradient(agent, layer, local), local_gradient(agent, layer, true.mean(dim=2)))
        yield "aliased", layer, "relative_difference", whole
        yield (
            "aliased",
            layer,
            "relative_difference_of_mean",
            relative_per_state(agent, layer, true.mean(dim=2), local),
        )
        for m in draws:
            drawn = _mean_of_draws(true, seeds, m)
            yield (
                "aliased",
                layer,
                f"relative_difference_of_mean/{m}",
                relative_per_state(agent, layer, drawn, local),
            )


def expected_gradient(agent: Judged, layer: int, state: Tensor) -> Tensor:
    """∂/∂α of Q^n(v, α) = E[Q^μ(s, μ(s; do(h_l[n] := α))) | v], (S, B, n_l); `state` (S, B, U, n_0) are the s of each v."""
    with torch.enable_grad():
        alpha = agent.h[layer].detach().clone().requires_grad_()
        shared = alpha[:, :, None].expand(-1, -1, state.shape[2], -1)
        value = value_from(layer, shared.flatten(1, 2), state.flatten(1, 2), agent.networks)
        value.unflatten(1, state.shape[1:3]).mean(dim=2).sum().backward()
    return alpha.grad


def _neurons(agent: Judged, layer: int, v: Tensor) -> Tensor:
    """μ^n(v) = σ(K^n·v + b) of every neuron of the layer, one state at a time as a neuron would; (S, B, n_l)."""
    weight, bias = agent.actor_params.weights[layer - 1], agent.actor_params.biases[layer - 1]
    return FUNCTIONS[agent.actor.activation(layer)](torch.einsum("sbi,sin->sbn", v, weight) + bias)


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide((a * b).sum(axis=1), size, out=np.full(len(size), np.nan), where=size > 0)


def _offsets(agent: Judged, seeds: list[int], aliases: int) -> Tensor:
    """u, (S, aliases, n_0): normal, of mean zero and the standard deviation of the states in every component."""
    size = agent.observation.shape[-1]
    drawn = [seeding.generator(seed, "aliases").standard_normal((aliases, size)) for seed in seeds]
    return torch.from_numpy(np.stack(drawn)) * agent.observation.std(dim=1, keepdim=True)


def _repeated(agent: Judged, times: int) -> Judged:
    """The same agent with every state `times` times in a row."""
    h = [voltage.repeat_interleave(times, dim=1) for voltage in agent.h]
    return Judged(h[0], *agent.networks, h, [])


def _voltage_gradients(agent: Judged, layer: int, state: Tensor) -> Tensor:
    """∂Q^μ/∂h_l at every state of every v by backpropagation, (S, B, U, n_l); `state` (S, B, U, n_0)."""
    actor, actor_params, critic, critic_params = agent.networks
    observation = agent.observation.repeat_interleave(state.shape[2], dim=1)
    at = actor_critic_at(actor, actor_params, critic, critic_params, observation, state=state.flatten(1, 2))
    return at.voltage_gradients()[layer - 1].unflatten(1, state.shape[1:3])


def _mean_of_draws(true: Tensor, seeds: list[int], m: int) -> Tensor:
    """Mean over m independent draws of u at every v: (S, B, U, n) -> (S, B, n)."""
    states, aliases = true.shape[1:3]
    counts = [
        seeding.generator(seed, "alias draws", m).multinomial(m, np.full(aliases, 1 / aliases), states)
        for seed in seeds
    ]
    return torch.einsum("sbun,sbu->sbn", true, torch.from_numpy(np.stack(counts) / m))


def _metrics(table: pd.DataFrame, step: int) -> pd.DataFrame:
    """Columns seed, step, metric, value; metrics `theorem/<reading>/layer_<l>/<measure>`."""
    names = "theorem/" + table.reading + "/layer_" + table.layer.astype(str) + "/" + table.measure
    return table[["seed", "value"]].assign(step=step, metric=names)
