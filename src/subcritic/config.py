"""The configuration schema: what a profile may say, its defaults, and clear errors for what it may not say.

A profile is a YAML file of one `Profile`. `load` reads, validates and resolves it: presets are expanded, so that the
resolved config is the whole truth about a run.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

STAGES = (
    "experiment1",
    "gradients",
    "experiment2",
    "table",
    "throughput",
    "theorem",
    "asynchronous",
    "recurrent",
)

Rate = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Sizes = Annotated[tuple[Count, ...], Field(min_length=1)]
Activation = Literal["relu", "tanh", "sigmoid"]


class ConfigError(ValueError):
    """A config that cannot be run; the message names the field, what was given and what would be right."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Reference(Section):
    """The return that scores 1 on an environment without a planner, and where it comes from."""

    mean_return: float
    source: Annotated[str, Field(min_length=1)]


class Environment(Section):
    """A Gymnasium environment with Box observations and actions."""

    id: str
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    kwargs: dict[str, Any] = {}
    steps: Count | None = None
    reference: Reference | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_from_id(cls, data: Any) -> Any:
        if isinstance(data, str):
            data = {"id": data}
        if isinstance(data, dict) and isinstance(data.get("id"), str):
            data = {"name": data["id"].replace("/", "-"), **data}
        return data

    def task(self) -> dict[str, Any]:
        """What training on it depends on; a reference return, for one, does not matter."""
        return {"id": self.id, "name": self.name, "kwargs": self.kwargs}


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


class Training(Section):
    steps: Count = 10_000
    evaluate_every: Count = 1_000
    evaluation_episodes: Count = 5
    final_episodes: Count = 20
    log_every: Count = 250
    checkpoint_seconds: Rate = 20.0
    divergence_factor: Rate = 10.0


class Experiment1(Section):
    agent: DDPGSettings = DDPGSettings(algorithm="ddpg", hidden=(64, 64), batch_size=128)
    steps: Count = 10_000
    neurons_per_layer: Count = 8
    subcritic_hidden: Annotated[tuple[Count, Count], Field()] = (32, 32)
    subcritic_rate: Rate = 1e-3
    subcritic_batch: Count = 64
    update_every: Count = 1
    phase2_critic: Literal["frozen", "finetune"] = "frozen"
    held_out_states: Annotated[int, Field(ge=16)] = 256
    record_every: Count = 500
    window: Count = 5
    snapshots: Count = 5
    snapshot_states: Annotated[int, Field(ge=16)] = 512


class Anchors(Section):
    random_episodes: Annotated[int, Field(ge=10)] = 20


class Statistics(Section):
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    resamples: Annotated[int, Field(ge=100)] = 2_000


class Throughput(Section):
    hidden: tuple[Sizes, ...] = ((64, 64), (256, 256), (400, 300))
    batches: tuple[Count, ...] = (64, 256)
    rounds: Annotated[int, Field(ge=3)] = 11
    seconds: Rate = 0.1


class Theorem(Section):
    """Theorem 2.2.4 on trained agents: steps on the trajectory, states that share one v, draws of them."""

    trajectory_steps: Annotated[int, Field(ge=16)] = 512
    aliases: Annotated[int, Field(ge=2)] = 32
    draws: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 4, 16, 64, 256, 1024)


class Asynchronous(Section):
    """Learning in threads: trained both ways on `environments`; `speed` says at which sizes updates are counted."""

    environments: Annotated[tuple[Environment, ...], Field(min_length=1)] = (
        Environment(id="Pendulum-v1"),
        Environment(id="subcritic/Cart-v0", name="Cart-v0"),
    )
    agent: LinearSettings = LinearSettings(
        algorithm="linear",
        critic_rate=1e-2,
        actor_rate=1e-2,
        noise="ornstein_uhlenbeck",
        noise_scale=0.3,
    )
    threads: Count = 2
    lag: Count = 64
    training: Training = Training(steps=6_000)
    speed: Throughput = Throughput()


class Recurrent(Section):
    """Learning without unrolling: recurrent networks, a feed-forward one of the same size, DDPG as the control."""

    environments: Annotated[tuple[Environment, ...], Field(min_length=1)] = (
        Environment(id="Pendulum-v1"),
        Environment(id="subcritic/HiddenVelocityPendulum-v0", name="HiddenVelocityPendulum-v0"),
        Environment(id="subcritic/Cart-v0", name="Cart-v0"),
    )
    agent: LinearSettings = LinearSettings(
        algorithm="linear",
        hidden=(32, 32),
        critic_rate=1e-2,
        actor_rate=1e-2,
        exploration="neuron",
        noise="ornstein_uhlenbeck",
        noise_scale=0.3,
    )
    control: DDPGSettings = DDPGSettings(
        algorithm="ddpg", hidden=(32, 32), batch_size=128, noise="ornstein_uhlenbeck", noise_scale=0.3
    )
    leak: Fraction = 0.2
    training: Training = Training(steps=10_000)


class Profile(Section):
    profile: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seeds: Count = 3
    first_seed: Annotated[int, Field(ge=0)] = 0
    environments: Annotated[tuple[Environment, ...], Field(min_length=1)]
    methods: Annotated[tuple[Method, ...], Field(min_length=1)]
    training: Training = Training()
    experiment1: Experiment1 = Experiment1()
    anchors: Anchors = Anchors()
    statistics: Statistics = Statistics()
    throughput: Throughput = Throughput()
    theorem: Theorem = Theorem()
    asynchronous: Asynchronous = Asynchronous()
    recurrent: Recurrent = Recurrent()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Profile:
        for field in ("environments", "methods"):
            names = [entry.name for entry in getattr(self, field)]
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise ValueError(f"{field}: the name {repeated[0]!r} is used twice; give each its own `name`")
        return self

    def environment(self, name: str) -> Environment:
        """The environment called `name`; raises ConfigError, listing the known ones, when there is none."""
        return _named(self.environments, name, "environment")

    def method(self, name: str) -> DDPGSettings | LinearSettings:
        """The method called `name`; raises ConfigError, listing the known ones, when there is none."""
        return _named(self.methods, name, "method")

    def seed_list(self) -> list[int]:
        return list(range(self.first_seed, self.first_seed + self.seeds))

    def steps_for(self, environment: Environment) -> int:
        return environment.steps or self.training.steps


def _named(entries: tuple, name: str, kind: str):
    for entry in entries:
        if entry.name == name:
            return entry
    raise ConfigError(f"{kind} {name!r} is not in the config; known: {', '.join(e.name for e in entries)}")


def parse(data: Any, source: str = "config") -> Profile:
    """Validate `data`; every problem becomes one line `source: field = value: what would be right`."""
    try:
        return Profile.model_validate(data)
    except ValidationError as error:
        # A list whose entries are all wrong counts as empty besides; once is enough.
        items = [item for item in error.errors() if not (item["type"] == "too_short" and item["input"])]
        lines = [_explain(source, item) for item in items]
        raise ConfigError("\n".join(lines)) from None


def load(path: Path | str) -> Profile:
    """Read and validate a YAML profile. Raises ConfigError naming the file and the field."""
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from None
    return parse(data, str(path))


def dump(section: BaseModel) -> dict[str, Any]:
    """A section as plain JSON-able data, all defaults written out."""
    return section.model_dump(mode="json")


def digest(data: Any) -> str:
    """Twelve hex digits that identify JSON-able data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]


def _explain(source: str, item: dict[str, Any]) -> str:
    field = ""
    for part in item["loc"]:
        if isinstance(part, int):
            field += f"[{part}]"
        elif part not in ("ddpg", "linear") or not field.startswith("methods["):
            field += f".{part}" if field else str(part)
    given = item["input"]
    shown = (
        f" = {given!r}" if not isinstance(given, (dict, list)) and item["type"] != "extra_forbidden" else ""
    )
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = f"unknown key{_closest(item['loc'])}"
    elif item["type"].startswith("union_tag"):
        message = "algorithm must be one of: ddpg, linear"
    return f"{source}: {field or 'profile'}{shown}: {message[0].lower() + message[1:]}"


def _closest(location: tuple) -> str:
    """A hint: the known key of any section that is most like the unknown one."""
    import difflib

    known = {name for model in _all_sections(Section) for name in model.model_fields}
    match = difflib.get_close_matches(str(location[-1]), sorted(known), n=1)
    return f"; did you mean {match[0]!r}?" if match else ""


def _all_sections(model: type[Section]) -> list[type[Section]]:
    return [child for sub in model.__subclasses__() for child in (sub, *_all_sections(sub))]
