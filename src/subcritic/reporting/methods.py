"""A method in a reader's words: the rule, its noise, what its critics regress on, what crosses layers."""

from __future__ import annotations

from typing import Any

# What a training records of its method: role, receives, settings, defaults (see measuring/method.py).
Facts = dict[str, Any]

# A vector is as wide as the action.
NOTHING, OBSERVATION, SCALAR, VECTOR, ERROR = (
    "nothing",
    "observation",
    "1 scalar",
    "a vector",
    "full error",
)
CROSSES = (NOTHING, OBSERVATION, SCALAR, VECTOR, ERROR)
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
CONVOLUTIONS = {
    "separately": "convolutions by backpropagation, actor's and critic's own",
    "by_critic": "convolutions by the critic's backpropagated error alone",
    "never": "convolutions random and fixed",
}
PLACES = {"action": "action", "neuron": "all neurons", "subset": "some neurons"}
NONE = "–"


def crosses(facts: Facts) -> str:
    """What reaches hidden neurons from beyond their own layer, besides the reward: of CROSSES, or NONE if frozen."""
    if facts["settings"].get("frozen_hidden"):
        return NONE
    receives = set(facts["receives"])
    if "error" in receives:
        return ERROR
    if receives & {"feedback", "deviation"}:
        return VECTOR
    if receives & {"target", "advantage", "return"}:
        return SCALAR
    return OBSERVATION if "observation" in receives else NOTHING


def convolutions(facts: Facts) -> str:
    """What trains the convolutions through which a method reads pictures; empty without any."""
    encoder = facts["settings"].get("encoder")
    return CONVOLUTIONS[encoder["trained"]] if encoder else ""


def describe(facts: Facts) -> dict[str, str]:
    """Columns rule, activation, noise, target, global critic, crosses layers; from what was recorded of a method."""
    given = facts["settings"]
    backpropagated = "error" in facts["receives"]
    if "return" in facts["receives"]:
        words = {
            "rule": _bare(given),
            "activation": given["activation"],
            "noise": "on weights",
            "target": "return",
        }
        return words | {"global critic": NONE, "crosses layers": crosses(facts)}
    if backpropagated:
        known = given["algorithm"] == "ddpg"
        target, critic = ("global TD" if known else NONE), CRITICS["backprop"]
    else:
        which, replay = given.get("target", "own_td"), given.get("replay", "stored")
        judged = which != "own_td" or replay == "imagined"
        target = TARGETS[which] if facts["receives"] else NONE
        critic = CRITICS[given["critic"]] if judged and "critic" in given else NONE
    return {
        "rule": _backpropagation(given) if backpropagated else _rule(given),
        "activation": given.get("activation", NONE),
        "noise": _noise(given),
        "target": target,
        "global critic": critic,
        "crosses layers": crosses(facts),
    }


def _bare(given: dict[str, Any]) -> str:
    name: str = given["algorithm"].rpartition(":")[2].replace("_", " ")
    return name


def _backpropagation(given: dict[str, Any]) -> str:
    name = _bare(given)
    more = f"{name} {given['learner']}" if "learner" in given else "Adam" if name == "ddpg" else name
    return ", ".join([f"backpropagation, {more}", *_frozen(given)])


def _rule(given: dict[str, Any]) -> str:
    parts = [_bare(given)]
    parts += [f"action's error {given['action_error'].replace('_', ' ')}"] if "action_error" in given else []
    if "own_critic" in given and given["target"] == "own_td":
        of_state = " of the observation" if given.get("critic_reads") == "observation" else ""
        parts += [f"{given['reads']} of own critic {given['own_critic'].replace('_', ' ')}{of_state}"]
    parts += ["natural step"] if given.get("natural") else []
    parts += [f"λ {given['trace']:g}"] if given.get("trace") else []
    parts += ["layers in turn"] if given.get("layers_in_turn") else []
    return ", ".join([*parts, "Adam" if given.get("optimiser") == "adam" else "SGD", *_frozen(given)])


def _frozen(given: dict[str, Any]) -> list[str]:
    return ["hidden layers frozen"] if given.get("frozen_hidden") else []


def _noise(given: dict[str, Any]) -> str:
    """The noise that a rule learns from: imagined, or executed and where."""
    if given.get("replay") == "imagined":
        return f"imagined ×{given['draws']}"
    executed = f"executed, {PLACES[given['exploration']]}"
    return executed + ("; recomputed" if given.get("replay") == "recomputed" else "")
