"""Settings that all local rules share; a rule's own settings stand in its own file, see `subcritic.rules`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from subcritic.config.agents import AgentSettings, check_scales
from subcritic.config.encoder import Trained
from subcritic.config.sections import Count, Fraction, Rate, Sizes

FeedbackRule = Literal["residual", "correlation"]
ActionError = Literal["coins", "control_variate", "one_by_one", "gradient"]


class LocalSettings(AgentSettings):
    """A policy whose neurons learn by a local rule (Experiment 2); the defaults are the drafts' choices."""

    # No error reaches convolutions through an actor whose neurons learn by themselves.
    encoders: ClassVar[frozenset[Trained]] = frozenset({"by_critic", "never"})

    critic_rate: Rate = Field(1e-3, description="Step size η_Q of the neurons' own critics.")
    actor_rate: Rate = Field(1e-4, description="Step size η_A of the neurons' weights.")
    optimiser: Literal["sgd", "adam"] = Field(
        "sgd", description="How critics and weights step: plain gradient steps, or Adam."
    )
    target: Literal["own_td", "global_td", "global_q", "global_advantage"] = Field(
        "own_td",
        description="What the neurons' critics regress on: own_td, the neuron's own r + γ Q^n'; from a global critic Q^μ, "
        "global_td r + γ Q^μ', global_q Q^μ(s, a), global_advantage Q^μ(s, a) − Q^μ(s, μ(s)).",
    )
    replay: Literal["stored", "recomputed", "imagined"] = Field(
        "stored",
        description="Where voltages come from: stored as acted; recomputed by today's weights with the noise of that time; "
        "or imagined, with fresh noise ±ξ at replayed observations, scored by a global critic.",
    )
    critic: Literal["backprop", "learned_feedback", "local_heads", "random_features"] = Field(
        "backprop",
        description="The global critic, where one is needed: backprop is DDPG's; learned_feedback learns as the rule of "
        "that name does; local_heads passes no error between layers; random_features has one fixed random layer.",
    )
    global_critic_rate: Rate = Field(1e-3, description="Adam's step size for the global critic.")
    critic_hidden: Sizes | None = Field(
        None, description="Neurons of each hidden layer of the global critic; None: as `hidden`."
    )
    random_features: Count = Field(1024, description="Neurons of the fixed layer of critic random_features.")
    feedback_rule: FeedbackRule = Field(
        "residual",
        description="How feedback is learned: residual, from what all neurons' expectations together leave unexplained; "
        "correlation, from the whole effect of all noise.",
    )
    feedback_rate: Fraction = Field(
        0.3,
        description="Step size of learned feedback: a share of the fastest one with feedback_rule residual (default "
        "0.3), the share by which it follows its newest estimate with correlation (default 0.1).",
    )
    newest: Count | None = Field(
        None,
        description="From so many of the newest rows of the replay the neurons' weights learn, while critics "
        "learn from all of it, each from a minibatch of their own; None: both learn from the same one.",
    )
    # Left out of the data of methods without it, so that these keep their digests.
    normalisation: Annotated[Literal["none", "running"], Field(exclude_if=lambda kind: kind == "none")] = (
        Field(
            "none",
            description="running: every hidden neuron divides its net input by the running standard deviation of it, after "
            "taking away the running mean; they are its own, and constants of its update.",
        )
    )
    layers_in_turn: Count | None = Field(
        None,
        description="So many updates of the weights of one layer, then of the next; None: all layers at every update. "
        "Critics always learn.",
    )
    probe: bool = Field(
        True,
        description="Whether the updates are compared with the true policy gradient, by a critic that learns beside the "
        "agent if it has no backpropagated one of its own.",
    )

    @classmethod
    def defaults(cls, given: dict[str, Any]) -> dict[str, Any]:
        rate = {"feedback_rate": 0.1} if given.get("feedback_rule") == "correlation" else {}
        return rate | super().defaults(given)

    @property
    def needs_global_critic(self) -> bool:
        return self.target != "own_td" or self.replay == "imagined"

    @property
    def learns_feedback(self) -> bool:
        """Whether the actor or the global critic learns feedback, at `feedback_rate`."""
        return self.critic == "learned_feedback"

    def conflicts(self) -> list[tuple[bool, str]]:
        imagined = self.replay == "imagined" and not isinstance(self, ImaginingSettings)
        by_critic = self.encoder is not None and self.encoder.trained == "by_critic"
        judged = self.needs_global_critic and self.critic == "backprop"
        return [
            *super().conflicts(),
            (
                by_critic and not judged,
                "encoder.trained by_critic needs a global critic that learns by backpropagation: replay imagined or a "
                "target other than own_td, and critic backprop",
            ),
            (
                self.encoder is not None and (self.replay == "stored" or self.newest is not None),
                "an encoder needs pictures in the replay: replay must be recomputed or imagined, and newest None",
            ),
            (imagined, f"replay imagined needs a rule that reads noise, which {self.algorithm} does not"),
            (
                self.frozen_hidden and self.normalisation != "none",
                "frozen_hidden leaves hidden layers as they start: normalisation must be none, "
                f"not {self.normalisation}",
            ),
        ]

    def unused(self) -> dict[str, tuple[bool, str]]:
        global_critic = (
            self.needs_global_critic,
            "a global critic: replay imagined, or a target other than own_td",
        )
        return {
            **super().unused(),
            "newest": (self.replay != "imagined", "replay stored or recomputed"),
            "noisy_fraction": (self.exploration == "subset", "exploration subset"),
            "critic": global_critic,
            "critic_hidden": global_critic,
            "random_features": (self.critic == "random_features", "critic random_features"),
            "feedback_rule": (self.learns_feedback, "algorithm or critic learned_feedback"),
            "feedback_rate": (self.learns_feedback, "algorithm or critic learned_feedback"),
        }


class ImaginingSettings(LocalSettings):
    """What rules add that read a neuron's own noise, and so can learn from imagined noise."""

    draws: Count = Field(
        1, description="Draws of imagined noise per replayed observation: pairs ±ξ where a critic scores it."
    )
    perturbation_scale: Rate | Annotated[tuple[Rate, ...], Field(min_length=1)] = Field(
        0.1,
        description="Standard deviation of imagined noise, in units of a voltage: one number for all layers, or one per "
        "layer with the output layer's last.",
    )

    @classmethod
    def defaults(cls, given: dict[str, Any]) -> dict[str, Any]:
        replay = given.get("replay", cls.model_fields["replay"].default)
        return super().defaults(given) | ({"target": "global_q"} if replay == "imagined" else {})

    def conflicts(self) -> list[tuple[bool, str]]:
        check_scales("perturbation_scale", self.perturbation_scale, self.hidden)
        imagined = self.replay == "imagined"
        return [
            *super().conflicts(),
            (
                imagined and self.target not in ("global_q", "global_advantage"),
                f"replay imagined compares a global critic's values: target must be global_q, not {self.target}",
            ),
        ]

    def unused(self) -> dict[str, tuple[bool, str]]:
        imagined = (self.replay == "imagined", "replay imagined")
        return {**super().unused(), "draws": imagined, "perturbation_scale": imagined}
