"""Arms of the suite: where they start, and that they earn for what they are asked to do, and not for tricks."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import gymnasium as gym
import mujoco
import numpy as np
import pytest

from subcritic.envs.suite import arms
from subcritic.envs.suite.arm_models import PALM_TO_HAND, build
from subcritic.envs.suite.arm_tasks import Start, carry, hit, reach, start

each_task = pytest.mark.parametrize("task", arms.TASKS, ids=lambda task: task.name)
STILL = np.zeros(3)


def made(task):
    return gym.make(task.id, disable_env_checker=True).unwrapped


def grasp(hand, payload, target=(0.4, 0.4), axis=(1, 0)):
    """Readings of a planar gripper."""
    places = {"hand": hand, "payload": payload, "target": target, "hand axis": axis}
    return {name: np.array([*place, 0.0]) for name, place in places.items()}


@each_task
def test_observation_is_what_the_components_say(task):
    environment = made(task)
    observation, _ = environment.reset(seed=0)
    assert observation.shape == (sum(component.size for component in task.components),)
    assert all(component.name and component.unit for component in task.components)


@each_task
def test_reward_of_a_batch_is_the_reward_of_each(task):
    rng = np.random.default_rng(0)
    environment = made(task)
    rows, actions, rewards = [], rng.uniform(-1, 1, (6, environment.model.nu)), []
    environment.reset(seed=0)
    for action in actions:
        rewards.append(environment.step(action)[1])
        rows.append(environment.data.sensordata.copy())
    batch = environment.layout.readings(np.reshape(rows, (2, 3, -1)))
    np.testing.assert_allclose(task.reward(batch, actions.reshape(2, 3, -1)).ravel(), rewards, rtol=1e-12)


@each_task
def test_nothing_moves_the_target(task):
    environment = made(task)
    environment.reset(seed=1)
    before = environment.data.site("target").xpos.copy()
    for action in np.random.default_rng(1).uniform(-1, 1, (100, environment.model.nu)):
        environment.step(action)
    np.testing.assert_allclose(environment.data.site("target").xpos, before, atol=1e-6)


@each_task
def test_motors_carry_the_arms_own_weight(task):
    environment = made(task)
    environment.reset(seed=1)
    before = environment.data.site("hand").xpos.copy()
    for _ in range(20):
        environment.step(np.zeros(environment.model.nu))
    np.testing.assert_allclose(environment.data.site("hand").xpos, before, atol=5e-3)


@each_task
def test_random_starts_differ_and_nothing_touches(task):
    environment = made(task)
    starts = [(environment.reset(seed=seed)[0], environment.data.ncon) for seed in range(10)]
    assert len({observation.tobytes() for observation, _ in starts}) == 10
    assert all(contacts == 0 for _, contacts in starts)


@pytest.mark.parametrize("name", ["ReacherOneRandom", "ReacherThreeRandom", "ArmReachRandom"])
def test_random_targets_are_where_the_hand_can_be(name):
    """A place drawn for the target is that of the hand in the pose drawn with the same seed."""
    task = next(task for task in arms.TASKS if task.name == name)
    environment = made(task)
    for seed in range(20):
        environment.reset(seed=seed)
        target = environment.data.site("target").xpos.copy()
        rng = np.random.default_rng(seed)
        hinges = [environment.model.joint(f"hinge {i}") for i in range(environment.model.nu)]
        for hinge in hinges:
            low, high = hinge.range if environment.model.jnt_limited[hinge.id] else (-np.pi, np.pi)
            environment.data.qpos[hinge.qposadr] = rng.uniform(low, high)
        mujoco.mj_kinematics(environment.model, environment.data)
        np.testing.assert_allclose(environment.data.site("hand").xpos, target, atol=1e-9)


def test_a_start_that_always_touches_is_an_error():
    inside = Start(angles=(0.0, 0.0, 0.0), spread=0.0, payload=arms.at(0.63, 0.0), target=arms.at(0.2, 0.2))
    model = build(arms.GRIPPER).compile()
    with pytest.raises(RuntimeError, match="1000 random starts all have contacts"):
        start(arms.GRIPPER, inside, model, np.random.default_rng(0))


def test_reach_grows_all_the_way_to_the_target_and_effort_costs():
    miss = np.linspace(0, 2, 50)
    readings = {"hand": np.zeros((50, 3)), "target": miss[:, None] * [1.0, 0.0, 0.0]}
    rewards = reach(readings, np.zeros((50, 2)))
    assert rewards[0] == 1 and (np.diff(rewards) < 0).all()
    np.testing.assert_allclose(reach(readings, np.ones((50, 2))), rewards - 0.05)


def test_carrying_earns_more_than_hovering_pushing_and_throwing():
    away, beside = (0.1, 0.0), 0.075
    hovering = carry(grasp(hand=away, payload=away), STILL)
    half_way = carry(grasp(hand=(0.3, 0.2), payload=(0.3, 0.2)), STILL)
    there = carry(grasp(hand=(0.4, 0.4), payload=(0.4, 0.4)), STILL)
    pushed_there = carry(grasp(hand=(0.4, 0.4 - beside), payload=(0.4, 0.4)), STILL)
    thrown_there = carry(grasp(hand=away, payload=(0.4, 0.4)), STILL)
    assert there == pytest.approx(1, abs=0.01) and there > half_way > hovering
    assert pushed_there < hovering and thrown_there < hovering


def test_a_hand_earns_more_when_it_faces_the_payload():
    payload = (0.3, 0.0)
    facing = carry(grasp(hand=(0.2, 0.0), payload=payload, axis=(1, 0)), STILL)
    aside = carry(grasp(hand=(0.2, 0.0), payload=payload, axis=(0, 1)), STILL)
    assert facing > aside + 0.02


def test_the_blade_earns_most_behind_the_puck_and_the_puck_more_than_the_blade():
    def earned(hand, puck, target=(0.6, 0.0, 0.0)):
        return hit({"hand": np.array(hand), "payload": np.array(puck), "target": np.array(target)}, STILL)

    puck = (0.3, 0.0, 0.0)
    behind, before = earned((0.23, 0, 0), puck), earned((0.37, 0, 0), puck)
    assert behind > before
    assert earned((0.37, 0, 0), (0.4, 0.0, 0.0)) > behind


def test_an_open_gripper_closes_on_the_ball_and_carries_it_along():
    """Played by hand: close, then turn the shoulder; the ball stays between the fingers."""
    held = replace(arms.GRIPPER, target_slides="")
    model = build(held).compile()
    data = mujoco.MjData(model)
    hand = 0.3 + 0.25 + 0.08 + PALM_TO_HAND
    data.joint("payload x").qpos[:] = hand
    for step in range(300):
        data.ctrl[:] = [0.3 if step > 100 else 0.0, 0, 0, 1, 1]
        mujoco.mj_step(model, data)
    moved = data.site("payload").xpos
    assert np.linalg.norm(moved - [hand, 0, 0]) > 0.2
    assert np.linalg.norm(moved - data.site("hand").xpos) < 0.03


def test_tasks_build_their_models_anew():
    task = next(task for task in arms.TASKS if task.name == "BlockLift")
    assert isinstance(task.model, partial)
    assert task.model().compile().opt.timestep == pytest.approx(0.005)
