"""Settings that all agents of the training loop share."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from subcritic.config.encoder import EncoderSettings, Trained
from subcritic.config.sections import LONGEST_NAME, Activation, Count, Fraction, Rate, Section, Sizes

Scale = Annotated[float, Field(ge=0)]
Role = Literal["local", "backpropagation", "control"]


class AgentSettings(Section):
    """What every agent has. A subclass adds its own fields, and says what fits together in `conflicts` and `unused`."""

    # How convolutions can be trained in front of it; none: it reads no pictures.
    encoders: ClassVar[frozenset[Trained]] = frozenset()
    # What a comparison uses the agent as: a local rule, learning by backpropagation, or a control; see `role`.
    kind: ClassVar[Role] = "local"

    algorithm: str = Field(
        description="Which agent or local rule: a name in subcritic.config.methods.AGENTS or subcritic.rules.RULES, or a "
        'class of another package as "package.module:Class".',
    )
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=LONGEST_NAME)] = Field(
        "",
        description="What files, tables and figures call the method; unique in a list. Default: from `algorithm`.",
    )
    hidden: Sizes = Field(
        (64, 64), description="Neurons of each hidden layer of the actor, first layer first."
    )
    activation: Activation = Field(
        "tanh",
        description="Activation of the actor's hidden neurons; its output is tanh. The same for all agents unless given, so "
        "that they are compared on equal actors.",
    )
    last_layer_init: Rate | None = Field(
        None, description="Last layers start uniform in ± this; None: in ±1/√fan-in, as the other layers do."
    )
    frozen_hidden: bool = Field(
        False,
        description="A control: the actor's hidden layers stay as they start, and only the action's neurons learn.",
    )
    discount: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.99, description="γ, the weight of the next step's value."
    )
    polyak: Fraction = Field(
        0.005, description="τ, the share by which target copies move towards the learned weights per update."
    )
    batch_size: Count = Field(128, description="Transitions in a minibatch, per seed.")
    replay_size: Count = Field(
        1_000_000, description="Transitions that the replay holds; the oldest go first."
    )
    update_every: Count = Field(1, description="Environment steps between two updates.")
    learning_starts: Count = Field(
        1_000, description="Environment steps with uniform random actions before the first update."
    )
    exploration: Literal["action", "neuron", "subset"] = Field(
        "action",
        description="Where noise is added while acting: to the action, to the voltage of every neuron, or to a random "
        "subset of the neurons, drawn anew at every step.",
    )
    noise: Literal["gaussian", "ornstein_uhlenbeck"] = Field(
        "gaussian",
        description="Noise that is drawn afresh at every step, or noise that is correlated in time (Lillicrap et al. 2016).",
    )
    noise_scale: Scale | Annotated[tuple[Scale, ...], Field(min_length=1)] = Field(
        0.1,
        description="Standard deviation of a step's fresh noise, in units of a voltage: one number for all layers, or one "
        "per layer with the output layer's last.",
    )
    noisy_fraction: Fraction = Field(
        0.1, description="Probability that a neuron is noisy at a step, with exploration subset."
    )

    # Left out of the data of methods without one, so that these keep their digests.
    encoder: Annotated[EncoderSettings | None, Field(exclude_if=lambda encoder: encoder is None)] = Field(
        None,
        description="Convolutions that read pictures; None: an observation is read as it is, as one vector.",
    )

    @property
    def role(self) -> Role:
        """The agent's `kind`, or 'control' with frozen hidden layers."""
        return "control" if self.frozen_hidden else type(self).kind

    @classmethod
    def defaults(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Defaults that depend on what is given; `given` is what the config says, not yet validated."""
        return {"name": default_name(given["algorithm"])} if isinstance(given.get("algorithm"), str) else {}

    def conflicts(self) -> list[tuple[bool, str]]:
        """(whether it is so, message) for everything that cannot be run."""
        return []

    def unused(self) -> dict[str, tuple[bool, str]]:
        """Fields that may have no effect: field → (whether it has one, with which settings it would)."""
        return {}

    def _check_encoder(self) -> None:
        known = type(self).encoders
        if self.encoder is not None and self.encoder.trained not in known:
            allowed = (
                f"encoder.trained must be {' or '.join(sorted(known))}" if known else "it takes no encoder"
            )
            raise ValueError(
                f"{self.algorithm} cannot have an encoder that is trained {self.encoder.trained}: {allowed}"
            )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        return cls.defaults(data) | data if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _fits_together(self) -> AgentSettings:
        check_scales("noise_scale", self.noise_scale, self.hidden)
        self._check_encoder()
        for wrong, message in self.conflicts():
            if wrong:
                raise ValueError(message)
        for field, (matters, needed) in self.unused().items():
            if not matters and getattr(self, field) != type(self).model_fields[field].default:
                raise ValueError(f"{field} has a meaning only with {needed}")
        return self


def default_name(algorithm: str) -> str:
    """A valid method name: 'node_perturbation' → 'node-perturbation', 'my_package.rules:MyRule' → 'my-rule'."""
    chosen = algorithm.rpartition(":")[2]
    words = "".join(
        f"-{c}" if c.isupper() and i and not chosen[i - 1].isupper() else c for i, c in enumerate(chosen)
    )
    return words.lower().replace("_", "-").strip("-")


def check_scales(field: str, given: float | tuple[float, ...], hidden: tuple[int, ...]) -> None:
    """Raise ValueError unless `given` is one number, or one per layer."""
    layers = len(hidden) + 1
    if isinstance(given, tuple) and len(given) != layers:
        raise ValueError(
            f"{field} has {len(given)} numbers: must be one number, or {layers}, one per layer with the output's last"
        )


def need(who: str, agent: AgentSettings, needed: dict[str, Any]) -> None:
    """Raise ValueError unless the agent's settings have the values `needed`, as far as it has such settings."""
    for field, value in needed.items():
        if (given := getattr(agent, field, value)) != value:
            raise ValueError(f"{who} needs {field} {value}, not {given}")
