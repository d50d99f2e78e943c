"""All that an agent does on a GPU, on fake tensors: no operation mixes devices, and nothing asks for a value."""

from functools import partial

import numpy as np
import pytest
import torch
from fake_gpu import GPU, fake_gpu, transfers
from methods import METHODS, method

from subcritic import envs
from subcritic.agents import make_agent
from subcritic.config import Runtime
from subcritic.measuring.diagnostics import diagnostics
from subcritic.measuring.probe import PolicyGradientProbe
from subcritic.nn import devices
from subcritic.training.device_replay import DeviceReplay
from subcritic.training.on_device import DeviceTrainer

SEEDS = [0, 1, 2]


def tensors(found):
    """All tensors in nested data."""
    if isinstance(found, torch.Tensor):
        yield found
    elif isinstance(found, dict):
        for value in found.values():
            yield from tensors(value)
    elif isinstance(found, (list, tuple)):
        for value in found:
            yield from tensors(value)


def test_the_fake_gpu_refuses_what_a_gpu_refuses_and_what_would_make_the_cpu_wait():
    with fake_gpu():
        there = torch.zeros(3, device=GPU)
        for wrong in (
            lambda: there + torch.zeros(3),
            lambda: there.numpy(),
            lambda: np.asarray(there),
            lambda: there.sum().item(),
            lambda: there.tolist(),
            lambda: float(there.sum()),
            lambda: bool(there.any()),
            lambda: there.cpu(),
            lambda: there.to("cpu"),
            lambda: torch.zeros(3).to(GPU),
            lambda: there.copy_(torch.zeros(3)),
            lambda: torch.zeros(3).copy_(there),
        ):
            with pytest.raises(Exception, match=r"(?s)."):
                wrong()
        assert not transfers


@pytest.mark.parametrize("name", METHODS)
def test_an_agent_stays_on_its_device(name):
    with fake_gpu():
        settings = method(name)
        agent = make_agent(settings, 5, 2, SEEDS, device=GPU)
        replay = DeviceReplay(len(SEEDS), 50, agent.columns, GPU)
        observation = torch.zeros(len(SEEDS), 1, 5, device=GPU)
        noise = [torch.zeros(len(SEEDS), 1, n, device=GPU) for n in agent.actor.sizes[1:]]
        for _ in range(20):
            voltages = agent.act(observation, noise)
            reward = torch.zeros(len(SEEDS), 1, device=GPU)
            replay.add(agent.transition(voltages, reward, reward, observation[:, 0]))
        rngs = [np.random.default_rng(s) for s in SEEDS]
        for number in range(2):
            batch = replay.sample(settings.batch_size, rngs, agent.consecutive)
            if agent.newest:
                rows = replay.sample(settings.batch_size, rngs, agent.consecutive, agent.newest)
                batch |= {f"newest/{key}": value for key, value in rows.items()}
            drawn = agent.draw()
            assert {key: value.shape[1:] for key, value in drawn.items()} == agent.drawn_shapes()
            sent = {key: devices.to_device(value, GPU) for key, value in drawn.items()}
            transfers.clear()
            agent.learn(batch | sent)
            # What stays the same is moved in the first update; later the rule that draws within an update alone moves any.
            assert number == 0 or bool(transfers) == (settings.algorithm == "random_direction")
        looked_at = [
            agent.metrics(),
            diagnostics(agent, batch),
            agent.local_errors(batch),
            agent.directions(batch),
            agent.directions(batch, rngs),
            agent.predictions(observation),
            agent.finite(),
            agent.value_magnitude(),
            agent.state_dict(),
            replay.state_dict(),
            batch,
        ]
        agent.load_state_dict(agent.state_dict())
        replay.load_state_dict(replay.state_dict())
        found = list(tensors(looked_at))
        assert len(found) > 20 and {tensor.device for tensor in found} == {GPU}


@pytest.mark.parametrize("name", METHODS)
def test_a_step_of_training_has_one_transfer_each_way(name):
    with fake_gpu():
        settings = method(name)
        make = partial(envs.make, "Pendulum-v1")
        agent = make_agent(settings, 3, 1, SEEDS, device=GPU)
        trainer = DeviceTrainer(agent, make, SEEDS, 60, 10.0)
        trainer.advance()
        for _ in range(40):
            transfers.clear()
            trainer.advance()
            if settings.algorithm != "random_direction" and trainer.step > settings.learning_starts:
                assert transfers == {"to the device": 1, "to the host": 1}
        trainer.load_state_dict(trainer.state_dict())
        trainer.advance()
        assert {tensor.device for tensor in tensors([trainer.batch, trainer.replay.rows])} == {GPU}
        assert isinstance(devices.to_host(trainer.agent.finite()), np.ndarray)
        played = trainer.policy()(torch.zeros(len(SEEDS), 4, 3))
        assert played.shape == (len(SEEDS), 4, 1) and played.is_cpu
        assert all(value.is_cpu for value in trainer.predictions(torch.zeros(len(SEEDS), 4, 3)).values())


@pytest.mark.parametrize("name", ["ddpg", "linear", "learned_feedback"])
def test_the_probe_beside_an_agent_is_where_the_agent_is(name):
    with fake_gpu():
        settings = method(name)
        agent = make_agent(settings, 3, 1, SEEDS, device=GPU)
        trainer = DeviceTrainer(agent, partial(envs.make, "Pendulum-v1"), SEEDS, 60, 10.0)
        probe = PolicyGradientProbe(lambda *_: None, Runtime(log_every=1), agent, SEEDS)
        while trainer.batch is None:
            trainer.advance()
        if probe.probe_critic:
            probe.probe_critic.learn(trainer.batch)
        assert {tensor.device for tensor in tensors([probe.cosines(trainer.batch), probe.state_dict()])} == {
            GPU
        }
