"""The loop for devices, on the CPU: it gives the numbers of the ordinary loop bit for bit, captured or not."""

from functools import partial

import fake_graph
import numpy as np
import pytest
import torch
from methods import METHODS, method

from subcritic import envs
from subcritic.agents import make_agent
from subcritic.measuring import policies
from subcritic.nn import compiled
from subcritic.nn.devices import CPU, Parcel
from subcritic.training import Evaluator, Trainer, checkpoint
from subcritic.training.captured import Captured
from subcritic.training.on_device import DeviceTrainer

MAKE = partial(envs.make, "Pendulum-v1")
SEEDS = [0, 1]


def trainer(kind, name, steps=230):
    agent = make_agent(method(name), 3, 1, SEEDS)
    return kind(agent, MAKE, SEEDS, steps, 10.0)


def same(one, other):
    """All that two trainings depend on from here on."""
    assert one.step == other.step and one.finished_returns == other.finished_returns
    assert one.watch.diverged_at == other.watch.diverged_at
    assert torch.equal(one.replay.rows, other.replay.rows)
    mine, theirs = flat(one.agent.state_dict()), flat(other.agent.state_dict())
    assert mine.keys() == theirs.keys()
    for key, value in mine.items():
        assert equal(value, theirs[key]), key


def equal(one, other):
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else np.all(one == other)


def flat(found, prefix=""):
    if isinstance(found, dict):
        return {
            key: value
            for name, part in found.items()
            for key, value in flat(part, f"{prefix}.{name}").items()
        }
    if isinstance(found, (list, tuple)):
        return {
            key: value for i, part in enumerate(found) for key, value in flat(part, f"{prefix}[{i}]").items()
        }
    return {prefix: found}


@pytest.mark.parametrize("name", METHODS)
def test_it_gives_the_numbers_of_the_ordinary_loop(name):
    plain, device = trainer(Trainer, name), trainer(DeviceTrainer, name)
    plain.run()
    device.run()
    same(device, plain)
    for mine, theirs in zip(device.batch.values(), plain.batch.values(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("name", METHODS)
def test_an_update_that_is_replayed_without_python_gives_the_same_numbers(name, monkeypatch):
    graphs = []
    with compiled.off():
        plain, device = trainer(Trainer, name, 60), trainer(DeviceTrainer, name, 60)
        plain.run()
        fake_graph.install(monkeypatch, graphs)
        device.update.reason = device.agent.not_captured()
        device.run()
    same(device, plain)
    metrics = device.agent.metrics()
    assert metrics.keys() == plain.agent.metrics().keys() and metrics
    assert all(torch.equal(metrics[key], value) for key, value in plain.agent.metrics().items())
    assert torch.equal(device.agent.value_magnitude(), plain.agent.value_magnitude())
    left_out = (
        method(name).algorithm == "random_direction" or method(name).layers_in_turn
        if "ddpg" not in name
        else False
    )
    assert bool(device.update.reason) == bool(left_out)
    if not left_out:
        updates = (60 - 20) // device.agent.settings.update_every + 1
        assert [graph.replays for graph in graphs] == [updates - Captured.WARM_UP]


@pytest.mark.parametrize("stop", [0, 7, 45])
@pytest.mark.parametrize(
    "name", ["ddpg", "ddpg, lillicrap2016", "learned_feedback throughout", "linear, newest"]
)
def test_a_resumed_training_ends_bit_for_bit_as_one_that_was_not_stopped(name, stop, tmp_path):
    whole, stopped, resumed = (trainer(DeviceTrainer, name, 80) for _ in range(3))
    whole.run()
    while stopped.step < stop:
        stopped.advance()
    checkpoint.save(tmp_path / "c.pt", "key", stopped.state_dict())
    resumed.load_state_dict(checkpoint.load(tmp_path / "c.pt", "key"))
    resumed.run()
    same(resumed, whole)


def test_evaluations_predictions_and_policies_are_those_of_the_ordinary_loop():
    plain, device = trainer(Trainer, "learned_feedback", 40), trainer(DeviceTrainer, "learned_feedback", 40)
    found = []
    for run in (plain, device):
        run.run()
        with Evaluator(MAKE, SEEDS, 2) as evaluator:
            found.append(evaluator.play(run.policy(), 40, judge=run.predictions))
    assert np.array_equal(found[0].returns, found[1].returns)
    assert found[0].judged.keys() == found[1].judged.keys() and found[0].judged
    assert all(np.array_equal(value, found[1].judged[name]) for name, value in found[0].judged.items())
    for one, other in zip(policies.of(plain), policies.of(device), strict=True):
        assert torch.equal(one["parameters"], other["parameters"])


def test_a_failed_capture_is_said_once_and_the_function_called_as_it_is(monkeypatch, capsys):
    graphs, calls = [], []
    fake_graph.install(monkeypatch, graphs)
    total = torch.zeros(())

    def asks_for_a_value():
        calls.append(float(total))
        total.add_(1)
        return total

    captured = Captured(asks_for_a_value)
    for _ in range(6):
        assert captured() is total
    assert total == 6 and calls == [0, 1, 2, 3, 4, 5]
    assert "not permitted when stream is capturing" in captured.reason
    assert capsys.readouterr().err.count("updates are not a CUDA graph: the capture failed") == 1


def test_what_is_captured_runs_once_for_every_call(monkeypatch):
    graphs, calls = [], []
    fake_graph.install(monkeypatch, graphs)
    given, total = torch.zeros(2), torch.zeros(2)

    def function():
        calls.append(1)
        total.add_(given)
        return total * 2

    captured = Captured(function)
    for number in range(1, 11):
        given.fill_(number)
        assert torch.equal(captured(), torch.full((2,), float(number * (number + 1))))
    assert len(calls) == 4 and graphs[0].replays == 7 and not captured.reason


def test_a_parcel_arrives_whole_and_stays_where_it_is():
    parcel = Parcel({"a": ((2, 3), np.float32), "slots": ((5,), np.int64), "b": ((1,), np.float32)}, CPU)
    places = {name: tensor.data_ptr() for name, tensor in parcel.tensors.items()}
    parcel.arrays["a"][:] = np.arange(6).reshape(2, 3)
    parcel.arrays["slots"][:] = 2**40 + np.arange(5)
    parcel.arrays["b"][:] = -1
    assert not any(tensor.any() for tensor in parcel.tensors.values())
    parcel.send()
    assert parcel.tensors["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert parcel.tensors["slots"].tolist() == [2**40 + k for k in range(5)]
    assert parcel.tensors["b"].tolist() == [-1]
    assert places == {name: tensor.data_ptr() for name, tensor in parcel.tensors.items()}
