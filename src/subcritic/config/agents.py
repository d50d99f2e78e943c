"""Settings of the learners: what a method of a profile may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from subcritic.config.sections import Activation, Count, Fraction, Rate, Section, Sizes


class AgentSettings(Section):
    """What every learner of the training loop shares."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    hidden: Sizes = (64, 64)
    discount: Annotated[float, Field(gt=0, lt=1)] = 0.99
    polyak: Fraction = 0.005
    batch_size: Count = 128
    replay_size: Count = 1_000_000
    learning_starts: Count = 1_000
    exploration: Literal["action", "neuron"] = "action"
    noise: Literal["gaussian", "ornstein_uhlenbeck"] = "gaussian"
    noise_scale: Annotated[float, Field(ge=0)] = 0.1


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


class LinearSettings(AgentSettings):
    """The drafts' rule of Experiment 2: each neuron its own linear actor-critic, plain gradient steps."""

    algorithm: Literal["linear"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = "linear"
    activation: Activation = "tanh"
    critic_rate: Rate = 1e-3
    actor_rate: Rate = 1e-4
    probe: bool = True


Method = Annotated[DDPGSettings | LinearSettings, Field(discriminator="algorithm")]
