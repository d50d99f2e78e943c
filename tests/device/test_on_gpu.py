"""The study of updates on a GPU, by the same code on the CPU; and what needs a GPU, which is skipped without one."""

import fake_graph
import pytest
import torch
from methods import METHODS, method
from test_device_trainer import MAKE, SEEDS, same, trainer

from subcritic.agents import make_agent
from subcritic.agents.streams import StreamedLearner
from subcritic.nn import compiled, devices
from subcritic.nn.devices import CPU
from subcritic.nn.streams import side_by_side
from subcritic.studies.throughput import on_gpu, report
from subcritic.studies.throughput.settings import Throughput
from subcritic.training import Trainer
from subcritic.training.captured import Captured
from subcritic.training.on_device import DeviceTrainer

needs_gpu = pytest.mark.skipif(not devices.available(), reason=devices.missing("cuda"))
GPU = torch.device("cuda")


def measured():
    settings = Throughput(rounds=3, seconds=0.002)
    return on_gpu.measure(settings, CPU, seeds=(1, 3), hidden=((8, 6),), batches=(4,))


def test_every_learner_is_measured_with_every_number_of_seeds():
    found = measured()
    assert list(found.columns) == on_gpu.COLUMNS
    assert (found["updates_per_second"] > 0).all() and not found["captured"].any()
    learners = {"ddpg", "linear", "learned-feedback", "linear, streams", "learned-feedback, streams"}
    expected = {
        (name, seeds, part) for name in learners for seeds in (1, 3) for part in ("update", "prepared")
    }
    for _, here in found.groupby("round"):
        assert set(zip(here["learner"], here["seeds"], here["part"], strict=True)) == expected


def test_what_is_prepared_is_new_for_every_update():
    timed = on_gpu.Timed(make_agent, method("learned_feedback"), 2, CPU)
    seen = []
    learn = timed.agent.learn

    def spy(batch):
        seen.append({name: column.clone() for name, column in batch.items()})
        learn(batch)

    timed.agent.learn = spy
    timed.updates(2)
    timed.prepared(2)
    for name in ("observation", "drawn/imagined"):
        assert torch.equal(seen[0][name], seen[1][name])
        assert not torch.equal(seen[1][name], seen[2][name]) and not torch.equal(seen[2][name], seen[3][name])


def test_ratios_are_taken_within_a_round():
    found = measured()
    speeds = {"ddpg": 100.0, "linear": 200.0}
    found = found[found["learner"].isin(speeds)]
    slow = found["round"].map({1: 1, 2: 10, 3: 1}) * found["seeds"].map({1: 1.0, 3: 1.2})
    found["updates_per_second"] = found["learner"].map(speeds) / slow
    table = report.gpu_table(found).set_index(["learner", "seeds", "part"])
    assert table.loc[("linear", 3, "update"), "seeds_ratio"] == pytest.approx(1.2)
    assert table.loc[("linear", 3, "update"), "ddpg_ratio"] == pytest.approx(2)
    assert table.loc[("ddpg", 1, "prepared"), "milliseconds"] == pytest.approx(10)
    assert "| linear" in report.gpu_markdown(found)


def test_without_a_gpu_the_page_says_why_nothing_is_there():
    assert "Not measured: there was no GPU" in report.gpu_markdown(on_gpu.nothing())


class Stream(fake_graph.Stream):
    """Writes down who waits for whom."""

    log: list

    def __init__(self, name="side"):
        self.name = name

    def wait_stream(self, other):
        self.log.append((self.name, "waits for", other.name))


def test_streams_begin_after_what_was_before_and_later_work_waits_for_all(monkeypatch):
    Stream.log = log = []
    graphs = []
    fake_graph.install(monkeypatch, graphs)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: Stream("main"))
    found = side_by_side([lambda k=k: log.append(k) or k for k in (1, 2)], GPU)
    side = ("side", "waits for", "main")
    assert found == [1, 2] and log == [side, 1, side, 2, *2 * [("main", "waits for", "side")]]
    log.clear()
    assert side_by_side([lambda: 3, lambda: 4], CPU) == [3, 4] and not log


@pytest.mark.parametrize("name", ["linear", "linear, adam", "learned_feedback", "coagent, neuron"])
def test_layers_in_streams_learn_the_same(name, monkeypatch):
    def streamed(backwards):
        agent = StreamedLearner(method(name), 3, 1, SEEDS)
        if backwards:
            pieces = lambda found, device: [piece() for piece in found[::-1]][::-1]  # noqa: E731
            monkeypatch.setattr("subcritic.agents.streams.side_by_side", pieces)
        run = Trainer(agent, MAKE, SEEDS, 60, 10.0)
        run.run()
        return run

    plain = trainer(Trainer, name, 60)
    plain.run()
    same(streamed(False), plain)
    # In any order: no layer reads what another one changes.
    same(streamed(True), plain)


@needs_gpu
@pytest.mark.parametrize("name", METHODS)
def test_a_gpu_gives_the_numbers_of_the_cpu_but_for_rounding(name):
    found = []
    with compiled.off():
        for device in (CPU, GPU):
            agent = make_agent(method(name), 3, 1, SEEDS, device=device)
            run = (Trainer if device == CPU else DeviceTrainer)(agent, MAKE, SEEDS, 30, 10.0)
            run.run()
            found.append(run)
    # Adam makes a step of its full size of a gradient that is hardly more than rounding.
    for key in ("policy", "target_policy"):
        mine, theirs = (getattr(run.agent, key)().flat.cpu() for run in found)
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=2e-3)


@needs_gpu
@pytest.mark.parametrize("name", METHODS)
def test_a_captured_update_gives_the_numbers_of_one_that_is_not(name):
    runs = []
    for captured in (True, False):
        run = DeviceTrainer(make_agent(method(name), 3, 1, SEEDS, device=GPU), MAKE, SEEDS, 60, 10.0)
        if not captured:
            run.update.reason = "for comparison"
        run.run()
        runs.append(run)
    assert (runs[0].update.graph is not None) == (not runs[0].agent.not_captured())
    assert runs[0].update.calls > Captured.WARM_UP
    torch.testing.assert_close(runs[0].agent.policy().flat, runs[1].agent.policy().flat, rtol=1e-4, atol=1e-5)
