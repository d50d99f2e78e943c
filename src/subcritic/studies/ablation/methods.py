"""A method in a reader's words: the rule, where noise enters, what its critics regress on, what crosses layers."""

from __future__ import annotations

from subcritic.config import DDPGSettings, Method
from subcritic.rules import load

# A vector is as wide as the action.
NOTHING, SCALAR, VECTOR, ERROR = "nothing", "1 scalar", "a vector", "full error"
CROSSES = (NOTHING, SCALAR, VECTOR, ERROR)
TARGETS = {
    "own_td": "own TD",
    "global_td": "global TD",
    "global_q": "global Q",
    "global_advantage": "global advantage",
}
CRITICS = {
    "backprop": "backpropagated",
    "learned_feedback": "learned feedback",
    "local_heads": "local heads",
    "random_features": "random features",
}
NONE = "–"


def crosses(method: Method) -> str:
    """What reaches a neuron of the actor from beyond its own layer, besides the reward: one of CROSSES."""
    if isinstance(method, DDPGSettings):
        return ERROR
    # How wide the action is does not change what a rule receives.
    receives = load(method.algorithm).from_settings(method, action_size=1).receives
    if receives & {"feedback", "deviation"}:
        return VECTOR
    return SCALAR if receives & {"target", "advantage"} else NOTHING


def describe(method: Method) -> dict[str, str]:
    """Columns rule, exploration, target, global critic, crosses layers."""
    if isinstance(method, DDPGSettings):
        words = ("backpropagation, Adam", method.exploration, "global TD", CRITICS["backprop"])
    else:
        blind = method.algorithm == "random_direction"
        critic = CRITICS[method.critic] if method.needs_global_critic else NONE
        words = (_rule(method), _exploration(method), NONE if blind else TARGETS[method.target], critic)
    return dict(zip(("rule", "exploration", "target", "global critic"), words, strict=True)) | {
        "crosses layers": crosses(method)
    }


def _rule(method: Method) -> str:
    parts = [method.algorithm.replace("_", " ")]
    parts += ["natural step"] if getattr(method, "natural", False) else []
    parts += [f"λ {trace:g}"] if (trace := getattr(method, "trace", 0)) else []
    parts += ["layers in turn"] if method.layers_in_turn else []
    return ", ".join([*parts, "Adam" if method.optimiser == "adam" else "SGD"])


def _exploration(method: Method) -> str:
    if method.replay == "imagined":
        return f"{method.exploration}, imagined ×{method.draws}"
    return method.exploration + (", recomputed" if method.replay == "recomputed" else "")
