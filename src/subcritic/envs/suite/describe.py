"""docs/environments.md, from the tasks themselves:  python -m subcritic.envs.suite.describe"""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path

from subcritic.envs.suite import TASKS, Task, table2
from subcritic.envs.suite.environment import BOUND

INTRODUCTION = f"""# Environments

The 26 tasks of Lillicrap et al. 2016, *Continuous control with deep reinforcement learning*, Table 2. The paper's models
were never published. These models follow its descriptions and have the same state and action dimensions; observations,
rewards and episode lengths are our choice, as described here. This page is generated from the code
(`subcritic.envs.suite`), where each task is a short declaration.

- **Actions** are in [-1, 1] for every motor, and are held for one step. *Effort* below is the mean of their squares.
- **Observations** are divided by the unit given, so that they stay within about 10; they are clipped at ±{BOUND:g}.
- **Rewards** depend on sensors and action alone, so that planners can compute them for many plans at once. They are about
  0 to 1 per step. Ending an episode early by a fall costs the rewards of the remaining steps, or a penalty.
- **Sensors** after a step belong to the new state. Only sensors of forces or accelerations (such as touch) belong to the
  last substep before it; rewards here use none.
- **Ends**: an episode is truncated after its number of steps. It is terminated as stated for each task below, and when the
  simulation becomes unstable. The balance tasks end when a pole leans too far, which is a choice of ours.
- **MuJoCo** is pinned to one version: trajectories with contacts, and so scores, differ between versions.
- **Pictures**: `render_mode="rgb_array"`. Without a display MuJoCo draws by EGL or OSMesa; import `subcritic.envs` before
  `mujoco`, or set `MUJOCO_GL`. Targets are green, objects orange, robots blue, teal and dark.
- **Pixels**: with the kwargs `pixels: true` in a config, the observation of any of these tasks is three 64 × 64 frames, one
  after each of three steps with the same action (`subcritic.envs.pixels`).

Any Gymnasium id with continuous actions can stand beside these in a config, see
[profiles](profiles.md#an-environment-of-your-own).
"""


def page() -> str:
    """The whole page, Markdown."""
    rows = [row["environment"] for row in table2()]
    sections = [_section(TASKS[name]) for name in rows]
    return "\n".join([INTRODUCTION, _overview(rows), *sections])


def _overview(names: list[str]) -> str:
    lines = [
        "| paper | registered as | task | state | actions | observations | step | steps |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in names:
        task = TASKS[name]
        model = task.model().compile()
        lines.append(
            f"| {name} | `{task.id}` | {task.summary} | {model.nq + model.nv} | {model.nu} "
            f"| {sum(component.size for component in task.components)} | {task.control_seconds:g} s | {task.episode_steps} |"
        )
    note = "*state*: positions and velocities of the physics, as Table 2 counts them. *step*: how long an action is held."
    return "\n".join([*lines, "", note, ""])


def _section(task: Task) -> str:
    lines = [
        f"## {task.name}",
        "",
        f"{task.paper}: {task.summary}. Reward: {_reward(task)}. Terminated: {task.ending}.",
        "",
        "| observed | numbers | unit |",
        "|---|---|---|",
    ]
    lines += [f"| {part.name} | {part.size} | {part.unit} |" for part in task.components]
    return "\n".join([*lines, ""])


def _reward(task: Task) -> str:
    """The docstring of the reward function, as a part of a sentence."""
    function = task.reward.func if isinstance(task.reward, partial) else task.reward
    words = " ".join((inspect.getdoc(function) or "").split()).rstrip(".")
    return words[:1].lower() + words[1:]


if __name__ == "__main__":
    (Path("docs") / "environments.md").write_text(page())
