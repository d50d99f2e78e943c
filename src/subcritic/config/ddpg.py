"""Settings of DDPG, with two presets."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from subcritic.config.agents import AgentSettings, Role
from subcritic.config.encoder import Trained
from subcritic.config.sections import Activation, Count, Rate

DDPG_PRESETS: dict[str, dict[str, Any]] = {
    # Lillicrap et al. 2016 (arXiv 1509.02971), section 7; batch normalisation: section 3.
    "lillicrap2016": {
        "hidden": (400, 300),
        "activation": "relu",
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
        "batch_normalisation": True,
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
    """DDPG (Lillicrap et al. 2016); what is not given is the preset's."""

    kind: ClassVar[Role] = "backpropagation"
    encoders: ClassVar[frozenset[Trained]] = frozenset({"separately", "by_critic", "never"})

    algorithm: Literal["ddpg"] = Field(description="ddpg.")
    preset: Literal["lillicrap2016", "modern"] = Field(
        "modern",
        description="Where the other settings come from: the paper's, or those of today's implementations.",
    )
    critic_activation: Activation = Field("relu", description="Activation of the critic's hidden neurons.")
    actor_rate: Rate = Field(1e-3, description="Adam's step size for the actor.")
    critic_rate: Rate = Field(1e-3, description="Adam's step size for the critic.")
    critic_weight_decay: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Factor of an L2 term in the critic's gradient."
    )
    action_layer: Count = Field(
        1,
        description="The critic's layer whose input the action joins, counted from 1; at most hidden layers + 1.",
    )
    batch_normalisation: bool = Field(
        False,
        description="Whether updates normalise over their minibatch, and acting by running statistics: the state and all "
        "layers of the actor; of the critic the state and the layers before the action.",
    )

    @classmethod
    def defaults(cls, given: dict[str, Any]) -> dict[str, Any]:
        preset = given.get("preset", "modern")
        known = DDPG_PRESETS.get(preset) if isinstance(preset, str) else None
        return super().defaults(given) | {"preset": preset} | (known or DDPG_PRESETS["modern"])

    def conflicts(self) -> list[tuple[bool, str]]:
        layers = len(self.hidden) + 1
        return [
            (
                self.action_layer > layers,
                f"action_layer must be at most {layers}, the critic's number of layers",
            ),
            (
                self.batch_normalisation and self.batch_size < 2,
                "batch_normalisation: a batch of one has no variance: batch_size must be at least 2",
            ),
            (
                self.frozen_hidden and self.encoder is not None and self.encoder.trained == "separately",
                "frozen_hidden leaves all but the action's neurons as they start: encoder.trained must be by_critic or "
                "never, not separately, which trains filters of the actor's own",
            ),
        ]

    @model_serializer(mode="wrap")
    def _without_what_is_off(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """No batch normalisation where neither the settings nor the preset have it, so that these keep their digests."""
        data: dict[str, Any] = dump(self)
        if not (self.batch_normalisation or "batch_normalisation" in DDPG_PRESETS[self.preset]):
            data.pop("batch_normalisation", None)
        return data
