"""A method in a reader's words: the rule, where noise enters, what its critics regress on, what crosses layers."""

from __future__ import annotations

from typing import Any

# What a training records of its method: role, receives, settings, defaults (see measuring/method.py).
Facts = dict[str, Any]

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


def crosses(facts: Facts) -> str:
    """What reaches a neuron of the actor from beyond its own layer, besides the reward: one of CROSSES."""
    receives = set(facts["receives"])
    if "error" in receives:
        return ERROR
    if receives & {"feedback", "deviation"}:
        return VECTOR
    return SCALAR if receives & {"target", "advantage"} else NOTHING


def describe(facts: Facts) -> dict[str, str]:
    """Columns rule, exploration, target, global critic, crosses layers; from what was recorded of a method."""
    given = facts["settings"]
    if facts["role"] == "backpropagation":
        name = given["algorithm"].rpartition(":")[2]
        known = name == "ddpg"
        words = (
            "backpropagation, Adam" if known else f"backpropagation, {name}",
            given["exploration"],
            "global TD" if known else NONE,
            CRITICS["backprop"],
        )
    else:
        target, replay = given.get("target", "own_td"), given.get("replay", "stored")
        judged = target != "own_td" or replay == "imagined"
        critic = CRITICS[given["critic"]] if judged and "critic" in given else NONE
        words = (_rule(given), _exploration(given), TARGETS[target] if facts["receives"] else NONE, critic)
    return dict(zip(("rule", "exploration", "target", "global critic"), words, strict=True)) | {
        "crosses layers": crosses(facts)
    }


def _rule(given: dict[str, Any]) -> str:
    parts = [given["algorithm"].rpartition(":")[2].replace("_", " ")]
    parts += ["natural step"] if given.get("natural") else []
    parts += [f"λ {given['trace']:g}"] if given.get("trace") else []
    parts += ["layers in turn"] if given.get("layers_in_turn") else []
    return ", ".join([*parts, "Adam" if given.get("optimiser") == "adam" else "SGD"])


def _exploration(given: dict[str, Any]) -> str:
    if given.get("replay") == "imagined":
        return f"{given['exploration']}, imagined ×{given['draws']}"
    return given["exploration"] + (", recomputed" if given.get("replay") == "recomputed" else "")
