"""Settings of actors on a graph of neurons, which may be recurrent, with a common clock or one for each neuron."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from subcritic.config.agents import AgentSettings, Role
from subcritic.config.sections import Count, Fraction, Rate, Sizes

# Of a sequence: one row says nothing of what comes later.
Length = Annotated[int, Field(ge=2)]
# In environment steps.
Time = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Learns = Literal["learned_feedback", "backpropagation", "action_only"]


class GraphSettings(AgentSettings):
    """A policy whose neurons form a graph, learned from short sequences of the replay."""

    algorithm: Literal["graph"] = Field("graph", description="graph.")
    hidden: Sizes = Field((64,), description="Neurons of each hidden layer.")
    connections: Literal["recurrent", "feedforward", "random"] = Field(
        "recurrent",
        description="Besides those from layer to layer: recurrent, all within each hidden layer; feedforward, none; random, "
        "in place of layers, half of all possible connections.",
    )
    learns: Learns = Field(
        "learned_feedback",
        description="How: learned_feedback, every neuron from its own noise, nothing unrolled; backpropagation, through all "
        "ticks of a sequence (truncated backpropagation through time); action_only, a control: only the action's neurons.",
    )
    ticks: Count = Field(
        2, description="ℓ: how often a neuron updates in an environment step; with own clocks, on average."
    )
    clocks: Literal["common", "own"] = Field(
        "common",
        description="Whether all neurons update together, or each at a rate and with a phase of its own.",
    )
    time_constants: tuple[Time, Time] | None = Field(
        None,
        description="Of the hidden neurons, in environment steps: from the first to the second, equal ratios apart; None: "
        "neurons take on a new voltage at once. In the order of neurons, the first layer's first.",
    )
    sequence: Length = Field(8, description="Environment steps of a replayed sequence.")
    lags: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="For learned_feedback: up to how many environment steps later a neuron's effect on the action counts; "
        "None: to the end of the sequence, sequence − 1.",
    )
    batch_size: Count = Field(16, description="Sequences in a minibatch, per seed.")
    trace_steps: tuple[Time, ...] = Field(
        (2.0, 8.0),
        description="What the critic remembers: for each of these time constants, in environment steps, a decaying sum of "
        "the observations and actions so far.",
    )
    critic_hidden: Sizes = Field((64, 64), description="Neurons of each hidden layer of the critic.")
    actor_rate: Rate = Field(1e-3, description="Adam's step size for the actor.")
    critic_rate: Rate = Field(1e-3, description="Adam's step size for the critic.")
    perturbation_scale: Rate = Field(
        0.1, description="Standard deviation of imagined noise, in units of a voltage."
    )
    feedback_rate: Fraction = Field(
        0.3, description="Step size of learned feedback, a share of the fastest one."
    )

    kind: ClassVar[Role] = "local"

    @property
    def role(self) -> Role:
        """By `learns`."""
        roles: dict[str, Role] = {"backpropagation": "backpropagation", "action_only": "control"}
        return roles.get(self.learns, "local")

    @property
    def effective_lags(self) -> int:
        """`lags`, or sequence − 1."""
        return self.sequence - 1 if self.lags is None else self.lags

    def conflicts(self) -> list[tuple[bool, str]]:
        low, high = self.time_constants or (1.0, 1.0)
        return [
            *super().conflicts(),
            (
                self.effective_lags >= self.sequence,
                f"lags must be below sequence, {self.sequence}: later actions are not replayed",
            ),
            (self.exploration != "action", "exploration must be action"),
            (self.frozen_hidden, "frozen_hidden: say learns action_only instead"),
            (low > high, "time_constants must name the shortest first"),
            (
                isinstance(self.noise_scale, tuple),
                "noise_scale must be one number, since noise is added to the action",
            ),
            (
                self.last_layer_init is not None,
                "last_layer_init must be None: connections start as in a random graph",
            ),
        ]

    def unused(self) -> dict[str, tuple[bool, str]]:
        feedback = (self.learns == "learned_feedback", "learns learned_feedback")
        names = ("lags", "feedback_rate", "perturbation_scale")
        return {**super().unused(), **dict.fromkeys(names, feedback)}

    @classmethod
    def defaults(cls, given: dict[str, Any]) -> dict[str, Any]:
        return super().defaults({"algorithm": "graph", **given})
