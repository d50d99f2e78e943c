"""Predicted against realised return: do critics reach the values of their task?"""

from __future__ import annotations

import numpy as np

from subcritic.training.evaluation import JUDGE_EVERY, Episodes

# A state counts if its episode terminates, or if at most this share of the discounted future lies beyond the time limit.
BEYOND = 0.5


def predicted_and_realised(episodes: Episodes, discount: float) -> dict[str, np.ndarray]:
    """Of noise-free episodes, means over visited states, (S,) each: `realised`, and `predicted/<critic>` of every critic.

    Of a state at step t of an episode of T steps, realised is Σ_{k=t}^{T−1} γ^{k−t} r_k. Predicted is what the critic says
    of the same steps, Q(s_t) − γ^{T−t} Q(s_T), without the second term if s_T is terminal. So a right critic predicts what
    is realised also where a time limit ends the episode. There, states with γ^{T−t} > BEYOND do not count. NaN where none
    counts.
    """
    steps = np.arange(0, len(episodes.reward), JUDGE_EVERY)
    realised = _to_go(episodes.reward, discount)[steps]
    left = episodes.length - steps[:, None, None]
    beyond = np.where(episodes.terminated, 0.0, discount ** np.maximum(left, 0))
    counts = (left > 0) & (beyond <= BEYOND)
    found = {"realised": _mean(realised, counts)}
    # Values of seeds that diverged may be infinite.
    with np.errstate(invalid="ignore"):
        for critic, values in episodes.judged.items():
            found[f"predicted/{critic}"] = _mean(values - beyond * episodes.judged_last[critic], counts)
    return found


def furthest_off(found: dict[str, float]) -> tuple[str | None, float]:
    """Of one seed's means, the critic whose ratio predicted / realised is furthest from 1, and the ratio.

    None and NaN where there is no critic, no state that counts, or a realised return of 0.
    """
    realised = found.get("realised", np.nan)
    if np.isnan(realised) or realised == 0:
        return None, np.nan
    predicted = {name.partition("/")[2]: value for name, value in found.items() if name != "realised"}
    ratios = {critic: value / realised for critic, value in predicted.items() if not np.isnan(value)}
    worst = max(ratios, key=lambda critic: abs(ratios[critic] - 1), default=None)
    return worst, ratios.get(worst, np.nan)


def _to_go(reward: np.ndarray, discount: float) -> np.ndarray:
    """G_t = r_t + γ G_{t+1}, (T, S, E)."""
    found = np.zeros_like(reward)
    after = np.zeros(reward.shape[1:])
    for t in reversed(range(len(reward))):
        after = found[t] = reward[t] + discount * after
    return found


def _mean(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Over the steps and episodes (·, S, E) that count, (S,)."""
    number = counts.sum(axis=(0, 2))
    total = np.where(counts, values, 0.0).sum(axis=(0, 2))
    return np.divide(total, number, out=np.full(number.shape, np.nan), where=number > 0)
