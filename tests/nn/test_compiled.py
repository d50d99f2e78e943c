"""Compiled functions give the numbers of the readable code, and a seed's do not depend on its neighbours."""

import contextlib
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from subcritic import seeding
from subcritic.agents import make_agent
from subcritic.agents.protocol import perturbed_forward
from subcritic.config import parse_method
from subcritic.nn import MLP, backprop, compiled
from subcritic.nn.activations import ACTIVATIONS
from subcritic.nn.adam import Adam
from subcritic.nn.mlp import PackedVoltages

# Rounding of float32 in sums of up to some hundred numbers; absolutely, in terms of the largest number.
NEAR = 2e-6


def assert_near(one, other, near=NEAR):
    torch.testing.assert_close(one, other, rtol=2e-5, atol=near * max(1.0, other.abs().max().item()))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("sizes", "joins"),
    [
        (sizes, joins)
        for sizes in [(3, 1), (17, 50, 1), (5, 64, 40, 9), (2, 1, 33, 16, 3)]
        for joins in [None, 1, 2]
        if joins is None or joins < len(sizes)
    ],
)
def test_passes_give_the_numbers_of_the_readable_code(sizes, joins, activation):
    spec = MLP(sizes, activation, activation, side=None if joins is None else (joins, 6))
    for seeds, rows in [(1, 1), (2, 7), (3, 64)]:
        params = spec.views(normal(*spec.parameters(seeds).flat.shape) / 3)
        # Columns of packed rows, as a replay gives them.
        x = normal(seeds, rows, sizes[0] + 9, seed=1)[..., 4 : 4 + sizes[0]]
        side = None if joins is None else normal(seeds, rows, 8, seed=2)[..., 1:7]
        upstream = normal(seeds, rows, sizes[-1], seed=3)
        found = everything(spec, params, x, side, upstream)
        with compiled.off():
            expected = everything(spec, params, x, side, upstream)
        for one, other in zip(found, expected, strict=True):
            assert_near(one, other)


@pytest.mark.parametrize("noisy", ["all", "action", "hidden", "none"])
def test_perturbed_passes_give_the_numbers_of_the_readable_code(noisy):
    spec = MLP((5, 40, 33, 2), "relu", "tanh", side=(2, 3))
    params = spec.views(normal(*spec.parameters(2).flat.shape) / 3)
    x, side = normal(2, 9, 5), normal(2, 9, 3)
    here = {"all": (1, 1, 1), "action": (0, 0, 1), "hidden": (1, 1, 0), "none": (0, 0, 0)}[noisy]
    noise = [normal(2, 9, n) if there else None for n, there in zip((40, 33, 2), here, strict=True)]
    numbers = []
    for context in (contextlib.nullcontext(), compiled.off()):
        with context:
            voltages = spec.forward(params, x, side, perturbation=noise)
            into = spec.parameters(2)
            backprop.gradients(spec, params, voltages, normal(2, 9, 2), into)
            numbers.append([*voltages.h, *voltages.inputs, *voltages.activations, into.flat, voltages.output])
    for one, other in zip(*numbers, strict=True):
        assert_near(one, other)


def everything(spec, params, x, side, upstream):
    """All that a forward and a backward pass give."""
    voltages = spec.forward(params, x, side)
    assert isinstance(voltages, PackedVoltages) == compiled.allowed()
    into = spec.parameters(len(x))
    backprop.gradients(spec, params, voltages, upstream, into)
    found = [voltages.output, *voltages.h, *voltages.inputs, *voltages.activations, into.flat]
    return [
        *found,
        *([] if side is None else [backprop.side_gradient(spec, params, voltages, upstream)]),
    ]


def test_larger_layers_other_types_and_what_autograd_follows_are_left_to_torch():
    x = normal(1, 4, 3)
    cases = [
        (MLP((3, 300, 300, 1)), torch.float32, x),
        (MLP((3, 8, 1)), torch.float64, x.double()),
        (MLP((3, 8, 1)), torch.float32, x.clone().requires_grad_()),
    ]
    for spec, dtype, given in cases:
        params = spec.init(seeding.generators([0], "x"), dtype)
        assert not isinstance(spec.forward(params, given), PackedVoltages)


@pytest.mark.parametrize("shapes", [((2, 4, 4), (2, 4, 1)), ((2, 4, 3), (2, 5, 1)), ((3, 4, 3), (3, 4, 1))])
def test_arguments_that_do_not_fit_are_refused(shapes):
    spec = MLP((3, 8, 1), side=(1, 1))
    params = spec.init(seeding.generators([0, 1], "x"))
    with pytest.raises(RuntimeError):
        spec.forward(params, *(normal(*shape) for shape in shapes))


def test_tanh_is_as_exact_as_torchs():
    z = np.concatenate([np.linspace(-12, 12, 200_001), [0.0, 1e-8, -1e-20, np.inf, -np.inf, np.nan]])
    kernels = compiled.kernels("nn.kernels")
    with np.errstate(invalid="ignore"):
        found = z.astype(np.float32).reshape(-1, 1)
        kernels.activate(found, kernels.TANH)
    np.testing.assert_allclose(found[:, 0], np.tanh(z.astype(np.float32).astype(float)), rtol=5e-7)


def test_adam_gives_the_numbers_of_torch():
    start = normal(3, 40)
    numbers = []
    for allowed in (True, False):
        parameters, gradient = start.clone(), torch.zeros(3, 40)
        adam = Adam(parameters, gradient, rate=1e-2, weight_decay=0.01)
        for step in range(50):
            gradient.copy_(normal(3, 40, seed=step))
            if allowed:
                adam.step()
            else:
                with compiled.off():
                    adam.step()
        numbers.append([parameters, *adam.state_dict().values()])
    for one, other in zip(*numbers, strict=True):
        assert_near(one, other)


SIZE = {"hidden": (32, 33), "batch_size": 20, "noise_scale": 0.1}
AGENTS = {
    "ddpg": {"algorithm": "ddpg"},
    "ddpg, lillicrap2016": {
        "algorithm": "ddpg",
        "preset": "lillicrap2016",
        "activation": "tanh",
        "batch_normalisation": False,
    },
    "ddpg, normalised": {"algorithm": "ddpg", "batch_normalisation": True},
    "linear": {"algorithm": "linear"},
    "linear, sigmoid": {"algorithm": "linear", "activation": "sigmoid", "frozen_hidden": True},
    "linear, adam": {"algorithm": "linear", "optimiser": "adam"},
    "coagent": {"algorithm": "coagent"},
    "coagent of neurons": {"algorithm": "coagent", "own_critic": "neuron"},
    "node_perturbation": {"algorithm": "node_perturbation", "optimiser": "adam"},
    "learned_feedback": {"algorithm": "learned_feedback", "optimiser": "adam"},
    "learned_feedback, gradient": {"algorithm": "learned_feedback", "action_error": "gradient"},
    "learned_feedback, coins, correlation": {
        "algorithm": "learned_feedback",
        "action_error": "coins",
        "feedback_rule": "correlation",
    },
    "mlp": {"algorithm": "mlp"},
}


def minibatch(agent, seeds, number):
    """Rows of a replay, drawn by each seed's own generator."""
    widths = list(agent.columns.values())
    rows = np.stack(
        [rng.uniform(-1, 1, (20, sum(widths))) for rng in seeding.generators(seeds, f"rows {number}")]
    )
    parts = torch.from_numpy(rows.astype(np.float32)).split(widths, dim=-1)
    return dict(zip(agent.columns, parts, strict=True)) | {"terminated": (parts[0][..., :1] > 0.8).float()}


@torch.no_grad()
def learned(method, seeds, updates=4):
    """Agent after some updates."""
    agent = make_agent(parse_method(SIZE | AGENTS[method]), 5, 2, seeds)
    for number in range(updates):
        agent.learn(minibatch(agent, seeds, number))
    return agent


def numbers_of(agent):
    """All tensors of an agent's state, and its metrics."""
    found = list(agent.metrics().values())
    waiting = [agent.state_dict()]
    while waiting:
        part = waiting.pop()
        if isinstance(part, torch.Tensor):
            found.append(part)
        elif isinstance(part, dict):
            waiting += [part[name] for name in sorted(part) if "rng" not in name]
        elif isinstance(part, list):
            waiting += part
    return found


@pytest.mark.parametrize("method", AGENTS)
def test_an_agent_learns_the_same_by_the_readable_code(method):
    found = numbers_of(learned(method, [0, 1]))
    with compiled.off():
        expected = numbers_of(learned(method, [0, 1]))
    for one, other in zip(found, expected, strict=True):
        # Adam's first steps have the sign of the gradient, of which rounding decides where it is 0.
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", AGENTS)
def test_a_seed_learns_the_same_bits_beside_others(method):
    alone, among = learned(method, [2]), learned(method, [0, 1, 2, 3, 4])
    if method in ("node_perturbation", "learned_feedback", "ddpg, normalised"):
        # They also use operations of torch whose last bit depends on how many seeds there are.
        assert_near(alone.policy().flat[0], among.policy().flat[2])
        return
    assert torch.equal(alone.policy().flat[0], among.policy().flat[2])
    assert torch.equal(alone.target_policy().flat[0], among.target_policy().flat[2])


@pytest.mark.parametrize(("method", "wrong"), list(itertools.product(["ddpg", "linear"], [np.nan, np.inf])))
def test_what_is_not_finite_is_found(method, wrong):
    agent = make_agent(parse_method(SIZE | AGENTS[method]), 5, 2, [0, 1, 2])
    batch = minibatch(agent, [0, 1, 2], 0)
    batch["reward"] = batch["reward"].clone()
    batch["reward"][1, 3] = wrong
    with torch.no_grad():
        for _ in range(2):
            agent.learn(batch)
    assert agent.finite().tolist() == [True, False, True]


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_numba_is_loaded_by_the_first_update_not_by_the_command_line():
    code = "import sys, subcritic.commands, subcritic.agents; print('numba' in sys.modules)"
    assert run(code) == ["False"]


COUNT = """
import sys
from subcritic.nn import compiled
made = compiled.kernels("nn.kernels").move_towards
print(sum(made.stats.cache_hits.values()), sum(made.stats.cache_misses.values()))
"""


def test_a_second_process_compiles_nothing_and_concurrent_ones_compile_once(tmp_path):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", COUNT],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
        )
        for _ in range(2)
    ]
    counted = sorted(process.communicate()[0].split() for process in started)
    assert counted == [["0", "1"], ["1", "0"]]
    assert run(COUNT, NUMBA_CACHE_DIR=str(tmp_path)) == ["1", "0"]


def test_without_a_cache_that_can_be_written_functions_are_compiled_all_the_same(tmp_path, monkeypatch):
    occupied = tmp_path / "file"
    occupied.touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(occupied))
    assert compiled.cache_folder() is None
    monkeypatch.setattr(compiled, "_folder", None)
    assert compiled.entry("i8(i8)")(abs_plus_one)(-3) == 4


def abs_plus_one(x):
    return abs(x) + 1


def test_the_environment_switches_compiled_functions_off():
    code = "from subcritic.nn import compiled; print(compiled.allowed())"
    assert run(code) == ["True"]
    assert run(code, SUBCRITIC_COMPILED="0") == ["False"]


@pytest.mark.parametrize("asked_before", [True, False])
@pytest.mark.parametrize("quiet", [True, False])
def test_acting_with_noise_is_the_pass_with_it_and_the_action_clipped(quiet, asked_before):
    """With noise of the action alone it is a pass without any; what the pass left behind is the same."""
    actor = MLP((3, 8, 5, 2), "tanh", "tanh")
    params = actor.views(normal(*actor.parameters(2).flat.shape))
    x, noise = normal(2, 1, 3, seed=1), [normal(2, 1, width, seed=width) for width in (8, 5, 2)]
    if quiet:
        noise[:2] = [None, None]
    with compiled.off():
        expected = actor.forward(params, x, perturbation=noise)
    found = perturbed_forward(actor, params, x, noise)
    action = expected.output.clamp(-1, 1)
    assert not torch.equal(action, expected.output)
    if asked_before:
        assert len(found.h) == 4
    for voltages, output in ((found, action), (found, torch.zeros_like(action))):
        if output is not action:
            voltages.replace_output(output)
        assert torch.equal(voltages.input, x)
        assert_near(voltages.output, output)
        for mine, theirs in zip(
            [*voltages.h, *voltages.inputs, *voltages.activations],
            [*expected.h[:-1], output, *expected.inputs, *expected.activations],
            strict=True,
        ):
            assert_near(mine, theirs)
