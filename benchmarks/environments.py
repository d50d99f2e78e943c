"""Speed of the suite on this machine, in steps per CPU-second:  python -m benchmarks.environments [--pixels]"""

from __future__ import annotations

import argparse
import time

import gymnasium as gym

from subcritic.envs.pixels import Pixels
from subcritic.envs.suite import TASKS


def main() -> None:
    parser = argparse.ArgumentParser(description="Steps per CPU-second of every task, with random actions.")
    parser.add_argument("--seconds", type=float, default=0.5, help="of CPU time for each task")
    parser.add_argument(
        "--pixels", action="store_true", help="observations of pixels instead, three frames each"
    )
    options = parser.parse_args()
    print("| task | per CPU-second |\n|---|---|")
    for task in TASKS.values():
        environment = gym.make(task.id)
        environment = Pixels(environment) if options.pixels else environment
        print(f"| {task.id} | {speed(environment, options.seconds):,.0f} |", flush=True)
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
