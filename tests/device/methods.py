"""Methods that together use every rule, every kind of replay, every global critic and every optimiser."""

from subcritic.config import parse_method
from subcritic.rules import RULES

SIZE = {"hidden": (9, 8), "batch_size": 12, "learning_starts": 20}
IMAGINING = {"algorithm": "node_perturbation", "optimiser": "adam"}
LEARNED = {"algorithm": "learned_feedback", "optimiser": "adam"}
COAGENT = {"algorithm": "coagent", "optimiser": "adam"}
METHODS = {
    **{name: {"algorithm": name} for name in RULES},
    **{f"{name}, adam": {"algorithm": name, "optimiser": "adam"} for name in RULES},
    "ddpg": {"algorithm": "ddpg"},
    "ddpg, lillicrap2016": {"algorithm": "ddpg", "preset": "lillicrap2016"},
    "ddpg, frozen": {"algorithm": "ddpg", "frozen_hidden": True, "exploration": "neuron"},
    "ddpg, batch normalisation": {"algorithm": "ddpg", "batch_normalisation": True, "noise": "ornstein_uhlenbeck"},
    "ddpg, only the last normalised": {"algorithm": "ddpg", "batch_normalisation": True, "frozen_hidden": True},
    "linear, running": {"algorithm": "linear", "normalisation": "running"},
    "learned_feedback, running": {**LEARNED, "normalisation": "running"},
    "linear, recomputed": {"algorithm": "linear", "replay": "recomputed", "exploration": "subset"},
    "linear, global_td": {"algorithm": "linear", "target": "global_td"},
    "linear, newest": {"algorithm": "linear", "newest": 20, "update_every": 2},
    "linear, in turn": {"algorithm": "linear", "layers_in_turn": 3, "optimiser": "adam"},
    "linear, sigmoid, frozen": {"algorithm": "linear", "activation": "sigmoid", "frozen_hidden": True},
    "bilinear, global_advantage": {"algorithm": "bilinear", "target": "global_advantage"},
    "compatible, trace": {"algorithm": "compatible", "trace": 0.5, "trace_length": 3},
    "compatible, imagined": {"algorithm": "compatible", "replay": "imagined", "natural": True},
    "mlp, told": {"algorithm": "mlp", "target": "global_q"},
    "coagent, neuron": {**COAGENT, "own_critic": "neuron"},
    "coagent, trace": {**COAGENT, "own_critic": "layer_value", "trace": 0.5, "trace_length": 3},
    "coagent, observation, slope": {**COAGENT, "critic_reads": "observation", "reads": "slope"},
    "coagent, global_advantage": {**COAGENT, "target": "global_advantage"},
    **{
        f"node_perturbation, {critic}": {**IMAGINING, "critic": critic, "draws": 2}
        for critic in ("learned_feedback", "local_heads", "random_features")
    },
    **{
        f"learned_feedback, {error}": {**LEARNED, "action_error": error}
        for error in ("coins", "control_variate", "gradient")
    },
    "learned_feedback, correlation": {**LEARNED, "feedback_rule": "correlation"},
    "learned_feedback, inputs": {**LEARNED, "feedback_inputs": True, "noise": "ornstein_uhlenbeck"},
    "learned_feedback, random_features": {
        **LEARNED, "critic": "random_features", "action_error": "gradient"
    },
    "learned_feedback throughout": {**LEARNED, "critic": "learned_feedback", "activation": "relu"},
}  # fmt: skip


def method(name):
    return parse_method(SIZE | METHODS[name])
