"""Tasks that take memory, registered with Gymnasium when `subcritic.envs` is imported.

`subcritic/HiddenVelocityCartpoleBalance-v0` and `subcritic/HiddenVelocityCartpoleSwingUp-v0` are tasks of the suite whose
observations leave out all velocities. `subcritic/TMaze-v0` shows a cue at its start that its end asks for.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box


class TMaze(gym.Env):
    """A corridor of `length` steps to a junction; a cue that is shown only at the start says which way is right there.

    Observation (2,): the cue, −1 or 1 at the start and 0 afterwards, unless `reminds`, which shows it at every step; and
    whether this is the junction, 1 or 0. Action (1,) in [-1, 1]: the direction; it matters at the junction alone, where the
    reward is cue · action and the episode ends (terminated). So the best return is 1, and 0 without a memory of `length`
    steps. After Bakker 2002, whose corridor is walked by actions. Raises ValueError for a length below 1.
    """

    def __init__(self, length: int = 5, reminds: bool = False) -> None:
        if length < 1:
            raise ValueError(f"length = {length}: the junction must be at least 1 step away")
        self.observation_space = Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = Box(-1.0, 1.0, (1,), np.float32)
        self.length, self.reminds = length, reminds
        self.cue, self.position = 1.0, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.cue, self.position = float(self.np_random.choice([-1.0, 1.0])), 0
        return self._observation(), {}

    def step(self, action: np.ndarray):
        ends = self.position == self.length
        reward = self.cue * float(np.clip(action[0], -1, 1)) if ends else 0.0
        self.position += 1
        return self._observation(), reward, ends, False, {}

    def _observation(self) -> np.ndarray:
        shown = self.cue if self.position == 0 or self.reminds else 0.0
        return np.array([shown, float(self.position == self.length)], np.float32)


gym.register("subcritic/TMaze-v0", entry_point=f"{__name__}:TMaze", max_episode_steps=1000)
for _name, _swing_up in (("Balance", False), ("SwingUp", True)):
    gym.register(
        f"subcritic/HiddenVelocityCartpole{_name}-v0",
        # By name: its module, and with it the suite, is imported when it is used.
        entry_point="subcritic.envs.hidden_velocity:cartpole",
        max_episode_steps=200,
        kwargs={"swing_up": _swing_up},
    )
