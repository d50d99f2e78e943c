"""Settings of the learners: what a method of a profile may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from subcritic.config.sections import Activation, Count, Fraction, Rate, Section, Sizes

Scale = Annotated[float, Field(ge=0)]


class AgentSettings(Section):
    """What every learner of the training loop shares.

    exploration: noise on the 'action', on every 'neuron', or on a random 'subset' of them, each neuron with probability
    `noisy_fraction`, drawn anew every step. noise_scale: one for all, or one per layer, the output's last.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    hidden: Sizes = (64, 64)
    discount: Annotated[float, Field(gt=0, lt=1)] = 0.99
    polyak: Fraction = 0.005
    batch_size: Count = 128
    replay_size: Count = 1_000_000
    learning_starts: Count = 1_000
    exploration: Literal["action", "neuron", "subset"] = "action"
    noise: Literal["gaussian", "ornstein_uhlenbeck"] = "gaussian"
    noise_scale: Scale | Annotated[tuple[Scale, ...], Field(min_length=1)] = 0.1
    noisy_fraction: Fraction = 0.1

    @model_validator(mode="after")
    def _one_scale_per_layer(self) -> AgentSettings:
        _check_scales("noise_scale", self.noise_scale, self.hidden)
        return self


DDPG_PRESETS: dict[str, dict[str, Any]] = {
    # Lillicrap et al. 2016 (arXiv 1509.02971), section 7; batch normalisation is not part of it yet.
    "lillicrap2016": {
        "hidden": (400, 300),
        "polyak": 0.001,
        "batch_size": 64,
        "replay_size": 1_000_000,
        "noise": "ornstein_uhlenbeck",
        "noise_scale": 0.2,
        "actor_rate": 1e-4,
        "critic_rate": 1e-3,
        "critic_weight_decay": 1e-2,
        "action_layer": 2,
        "last_layer_init": 3e-3,
    },
    "modern": {
        "hidden": (256, 256),
        "polyak": 0.005,
        "batch_size": 256,
        "noise": "gaussian",
        "noise_scale": 0.1,
        "actor_rate": 1e-3,
        "critic_rate": 1e-3,
        "critic_weight_decay": 0.0,
        "action_layer": 1,
        "last_layer_init": None,
    },
}


class DDPGSettings(AgentSettings):
    """DDPG (Lillicrap et al. 2016). `action_layer` is the critic's layer whose input the action joins."""

    algorithm: Literal["ddpg"]
    preset: Literal["lillicrap2016", "modern"]
    activation: Activation = "relu"
    actor_rate: Rate
    critic_rate: Rate
    critic_weight_decay: Annotated[float, Field(ge=0)]
    action_layer: Count
    last_layer_init: Rate | None

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, data: Any) -> Any:
        if isinstance(data, dict):
            preset = data.get("preset", "modern")
            known = DDPG_PRESETS.get(preset) if isinstance(preset, str) else None
            data = {"name": "ddpg", "preset": preset, **(known or DDPG_PRESETS["modern"]), **data}
        return data

    @model_validator(mode="after")
    def _action_layer_exists(self) -> DDPGSettings:
        if self.action_layer > len(self.hidden) + 1:
            raise ValueError(
                f"action_layer must be at most {len(self.hidden) + 1}, the critic's number of layers"
            )
        return self


Algorithm = Literal[
    "linear",
    "bilinear",
    "compatible",
    "mlp",
    "node_perturbation",
    "feedback_alignment",
    "learned_feedback",
    "random_direction",
]

# Where a rule's choices differ from the drafts': these cannot learn from a neuron's own TD error.
RULE_DEFAULTS: dict[str, dict[str, Any]] = {
    "node_perturbation": {"replay": "imagined"},
    "learned_feedback": {"replay": "imagined"},
    "feedback_alignment": {"replay": "recomputed", "target": "global_q"},
}


# Rules that read a neuron's own noise, and so can learn from imagined noise.
IMAGINING = ("node_perturbation", "compatible", "learned_feedback")


class LocalSettings(AgentSettings):
    """A policy whose neurons learn by a local rule, Experiment 2; the defaults are the drafts' choices.

    algorithm: the rule, see `subcritic.rules`. critic_rate and actor_rate are the neurons' own.
    target: what local critics regress on, y: 'own_td' r + γ Q^n'; from a global critic 'global_td' r + γ Q^μ',
    'global_q' Q^μ(s, a), 'global_advantage' Q^μ(s, a) − Q^μ(s, μ(s)).
    replay: voltages 'stored' as acted; 'recomputed' by today's weights with the noise of that time; 'imagined': fresh noise
    ±ξ of `perturbation_scale` at replayed observations, `draws` pairs each, judged by a global critic.
    critic: the global critic, if one is needed: 'backprop' as DDPG's, 'learned_feedback' (as the rule), 'local_heads' (no
    error crosses a layer), or 'random_features' (a fixed random layer, a linear readout). critic_hidden: None: as `hidden`.
    natural: the compatible rule steps along w. feedback_rate: how fast learned feedback follows, per update.
    layers_in_turn: so many updates of one layer's neurons, then of the next's.
    trace: λ of the compatible rule's λ-return over `trace_length` consecutive rows.
    """

    algorithm: Algorithm
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    activation: Activation = "tanh"
    critic_rate: Rate = 1e-3
    actor_rate: Rate = 1e-4
    optimiser: Literal["sgd", "adam"] = "sgd"
    target: Literal["own_td", "global_td", "global_q", "global_advantage"] = "own_td"
    replay: Literal["stored", "recomputed", "imagined"] = "stored"
    draws: Count = 1
    perturbation_scale: Rate | Annotated[tuple[Rate, ...], Field(min_length=1)] = 0.1
    critic: Literal["backprop", "learned_feedback", "local_heads", "random_features"] = "backprop"
    global_critic_rate: Rate = 1e-3
    critic_hidden: Sizes | None = None
    random_features: Count = 1024
    natural: bool = False
    feedback_rate: Fraction = 0.1
    layers_in_turn: Count | None = None
    trace: Annotated[float, Field(ge=0, lt=1)] = 0.0
    trace_length: Count = 8
    probe: bool = True

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("algorithm"), str):
            return data
        algorithm = data["algorithm"]
        data = {"name": algorithm.replace("_", "-"), **RULE_DEFAULTS.get(algorithm, {}), **data}
        if data.get("replay") == "imagined":
            data.setdefault("target", "global_q")
        elif algorithm == "node_perturbation":
            data.setdefault("target", "global_advantage")
        return data

    @model_validator(mode="after")
    def _fits_together(self) -> LocalSettings:
        _check_scales("perturbation_scale", self.perturbation_scale, self.hidden)
        for wrong, message in (*self._conflicts(), *self._idle()):
            if wrong:
                raise ValueError(message)
        return self

    def _conflicts(self) -> list[tuple[bool, str]]:
        rule, imagined = self.algorithm, self.replay == "imagined"
        node, quiet = rule == "node_perturbation", self.exploration == "action"
        own_td, with_trace = self.target == "own_td", self.trace > 0
        return [
            (
                imagined and rule not in IMAGINING,
                f"replay imagined needs a rule that reads noise, {', '.join(IMAGINING)}, not {rule}",
            ),
            (
                rule == "learned_feedback" and not imagined,
                f"learned_feedback learns from imagined noise: replay must be imagined, not {self.replay}",
            ),
            (
                imagined and self.target not in ("global_q", "global_advantage"),
                f"replay imagined compares a global critic's values: target must be global_q, not {self.target}",
            ),
            (
                node and self.replay == "stored",
                "node_perturbation needs replay imagined, or recomputed: stored rows do not keep the noise",
            ),
            (
                node and not imagined and self.target not in ("global_td", "global_advantage"),
                f"node_perturbation needs a baseline: target must be global_td or global_advantage, not {self.target}",
            ),
            (
                node and not imagined and (quiet or self._silent_layer()),
                "node_perturbation from replayed noise needs exploration neuron or subset, with noise_scale above 0",
            ),
            (
                rule == "feedback_alignment" and self.target != "global_q",
                f"feedback_alignment follows the global critic's ∂Q/∂a: target must be global_q, not {self.target}",
            ),
            (
                rule == "feedback_alignment" and self.critic in ("local_heads", "learned_feedback"),
                f"feedback_alignment needs ∂Q/∂a: critic must be backprop or random_features, not {self.critic}",
            ),
            (
                rule == "random_direction" and not own_td,
                f"random_direction learns from nothing: target must be left at own_td, not {self.target}",
            ),
            (
                self.natural and rule != "compatible",
                f"natural is a step of the compatible rule, not of {rule}",
            ),
            (
                with_trace and not (rule == "compatible" and own_td and not imagined),
                "trace needs algorithm compatible, target own_td and replay stored or recomputed",
            ),
        ]

    def _idle(self) -> list[tuple[bool, str]]:
        """Settings that were changed, and would change nothing."""
        judged = (self.needs_global_critic, "a global critic: replay imagined, or a target other than own_td")
        fed_back = "learned_feedback" in (self.algorithm, self.critic)
        used = {
            "draws": (self.replay == "imagined", "replay imagined"),
            "perturbation_scale": (self.replay == "imagined", "replay imagined"),
            "noisy_fraction": (self.exploration == "subset", "exploration subset"),
            "critic": judged,
            "critic_hidden": judged,
            "random_features": (self.critic == "random_features", "critic random_features"),
            "feedback_rate": (fed_back, "algorithm or critic learned_feedback"),
            "trace_length": (self.trace > 0, "trace above 0"),
        }
        return [
            (
                not matters and getattr(self, field) != type(self).model_fields[field].default,
                f"{field} has a meaning only with {needed}",
            )
            for field, (matters, needed) in used.items()
        ]

    def _silent_layer(self) -> bool:
        return 0 in (self.noise_scale if isinstance(self.noise_scale, tuple) else (self.noise_scale,))

    @property
    def needs_global_critic(self) -> bool:
        return self.target != "own_td" or self.replay == "imagined"


def _check_scales(field: str, given: float | tuple[float, ...], hidden: tuple[int, ...]) -> None:
    layers = len(hidden) + 1
    if isinstance(given, tuple) and len(given) != layers:
        raise ValueError(
            f"{field} has {len(given)} numbers: must be one number, or {layers}, one per layer with the output's last"
        )


Method = Annotated[DDPGSettings | LocalSettings, Field(discriminator="algorithm")]
ALGORITHMS = ("ddpg", *get_args(Algorithm))


def need(who: str, agent: AgentSettings, needed: dict[str, Any]) -> None:
    """Raise ValueError unless the agent's settings have the values `needed`, as far as it has such settings."""
    for field, value in needed.items():
        if (given := getattr(agent, field, value)) != value:
            raise ValueError(f"{who} needs {field} {value}, not {given}")
