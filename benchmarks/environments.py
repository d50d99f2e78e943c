"""Speed of the suite on this machine, in steps per CPU-second:  python -m benchmarks.environments [--pixels [SIZE]]"""

from __future__ import annotations

import argparse
import time

import gymnasium as gym

from subcritic import envs
from subcritic.envs import view
from subcritic.envs.suite import TASKS

# Drawn beside the suite, with pixels only.
OTHERS = ("HalfCheetah-v5", "Pendulum-v1", "BipedalWalker-v3", "ALE/Pong-v5", "ALE/Breakout-v5")


def main() -> None:
    parser = argparse.ArgumentParser(description="Steps per CPU-second of every task, with random actions.")
    parser.add_argument("--seconds", type=float, default=0.5, help="of CPU time for each task")
    parser.add_argument(
        "--pixels",
        type=int,
        nargs="?",
        const=view.PIXELS["size"],
        help=f"frames of this size instead (default {view.PIXELS['size']}), three for an action; of other environments too",
    )
    options = parser.parse_args()
    kwargs = {"pixels": {"size": options.pixels, "repeat": 3}} if options.pixels else {}
    names = [task.id for task in TASKS.values()] + list(OTHERS if options.pixels else ())
    print("| environment | per CPU-second |\n|---|---|")
    for name in names:
        environment = envs.make(name, kwargs)
        steps = speed(environment, options.seconds)
        print(f"| {name} | {steps * (3 if options.pixels else 1):,.0f} |", flush=True)
        environment.close()


def speed(environment: gym.Env, seconds: float) -> float:
    """Steps per CPU-second, episodes' starts included."""
    environment.action_space.seed(0)
    environment.reset(seed=0)
    steps, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        _, _, terminated, truncated, _ = environment.step(environment.action_space.sample())
        steps += 1
        if terminated or truncated:
            environment.reset()
    return steps / (time.process_time() - start)


if __name__ == "__main__":
    main()
