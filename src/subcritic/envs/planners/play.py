"""Playing episodes with a planner, or with uniform random actions."""

from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym

from subcritic import seeding
from subcritic.envs.planners.protocol import Planner


def episode(
    environment: gym.Env,
    seed: int,
    planner: Planner | None = None,
    watch: Callable[[gym.Env], None] | None = None,
) -> tuple[float, int]:
    """Undiscounted return and number of steps of one episode; without a planner, actions are uniform in [-1, 1].

    Start state and actions depend on `seed` alone. `watch` is called with the environment before every step.
    """
    environment.reset(seed=int(seeding.generator(seed, "reference start").integers(2**31)))
    rng = seeding.generator(seed, f"reference {planner.name if planner else 'random'}")
    if planner:
        planner.reset(rng)
    total, steps, over = 0.0, 0, False
    while not over:
        if watch:
            watch(environment)
        action = planner.plan() if planner else rng.uniform(-1, 1, environment.action_space.shape)
        _, reward, terminated, truncated, _ = environment.step(action)
        total, steps, over = total + float(reward), steps + 1, terminated or truncated
    return total, steps
