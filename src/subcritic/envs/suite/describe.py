"""docs/environments.md, from the tasks themselves:  python -m subcritic.envs.suite.describe"""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path

from subcritic.envs import view
from subcritic.envs.make import LONGEST
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
- **Pixels**: see [below](#pixels-and-held-actions).

Any Gymnasium id with continuous actions can stand beside these in a config, see
[profiles](profiles.md#an-environment-of-your-own).
"""


PIXELS = f"""## Pixels and held actions

Two keys of an environment's `kwargs` are not handed to Gymnasium. They hold for any environment, also for others than these:

    kwargs: {{pixels: true}}                     # size {view.PIXELS["size"]}, repeat {view.PIXELS["repeat"]}
    kwargs: {{pixels: {{size: 48, repeat: 3}}}}
    kwargs: {{repeat: 3}}                        # what the environment itself observes, with actions held as long

- An action is held for `repeat` steps, whose rewards are added. With pixels the frame after each of them is observed:
  (size, size, 3 · repeat) numbers from 0 to 1, red, green and blue of the oldest frame first. The first observation of an
  episode is one frame `repeat` times. If an episode ends within an action, its last frame is repeated.
- **Time limits** count steps of the environment, not actions: an episode of 200 steps has 67 actions of three, the last of
  which is held for two. Returns are therefore comparable with and without `repeat`.
- **Where frames come from.** What MuJoCo simulates is drawn at this size without shadows and antialiasing: the tasks of this
  page, and those of Gymnasium through their camera `track` if they have it. A game of Atari shows its screen, any other
  environment what it draws by itself (`render_mode="rgb_array"`); both are reduced to a square, whatever their shape. A
  pixel is then the mean over the area that it covers.
- **Atari** (`ALE/…`, the extra `atari`): continuous actions, a direction and a distance of the joystick and the button. As
  registered, a step is four frames of the console (1/15 s), and in each frame the console keeps its last action with
  probability 0.25 (sticky actions); `repeat` counts such steps. With pixels a step is one frame (`frameskip: 1`), so that
  the frames that are observed follow each other: `pixels: {{repeat: 4}}` holds an action as long as one step from RAM.
  Actions stay sticky frame by frame. `frameskip` and `repeat_action_probability` among the kwargs say otherwise.
  Games have no registered time limit, so that {LONGEST:,} steps hold unless the entry has a `max_episode_steps`; from
  pixels these are frames.
- **An environment without pictures** is refused before anything runs, and so is drawing without EGL or OSMesa.
- **Speed**: [benchmarks](../benchmarks/README.md#environments).
"""


def page() -> str:
    """The whole page, Markdown."""
    rows = [row["environment"] for row in table2()]
    sections = [_section(TASKS[name]) for name in rows]
    return "\n".join([INTRODUCTION, _overview(rows), PIXELS, *sections])


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
