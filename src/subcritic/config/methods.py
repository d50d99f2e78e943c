"""A method of a profile: settings whose class is found by the method's `algorithm`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    SerializeAsAny,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

# Names alone: no rule is imported.
from subcritic import rules
from subcritic.config.agents import AgentSettings, Role
from subcritic.config.encoder import Trained
from subcritic.config.local import LocalSettings
from subcritic.config.sections import hint
from subcritic.importing import import_class

# Agents that do not learn by a local rule: name → "module:Class", imported when a method names them.
AGENTS: dict[str, str] = {
    "ddpg": "subcritic.agents.ddpg:DDPG",
    "ars": "subcritic.training.search:AugmentedRandomSearch",
    "stable_baselines3": "subcritic.training.stable_baselines:StableBaselines3",
}
# Those that only a study's own section can have, and no list of methods.
ELSEWHERE: dict[str, str] = {"graph": "subcritic.agents.graph:GraphLearner"}


class RecordedMethod(AgentSettings):
    """A method of a run that is over, as it was recorded: the fields all agents share, and whatever else it had.

    Reading one imports no rule, and asks nothing of settings that may have other names today.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    encoders: ClassVar[frozenset[Trained]] = frozenset(get_args(Trained))
    # Some agents have none.
    hidden: tuple[int, ...] = ()

    @property
    def role(self) -> Role:
        """By the kind of the algorithm's settings class, which is imported for it."""
        settings: type[AgentSettings] = load(self.algorithm).Settings
        return "control" if self.frozen_hidden else settings.kind


def load(algorithm: str) -> Any:
    """The class of an agent or of a local rule, by its name or as "package.module:Class"; it has a class `Settings`.

    Raises ValueError if there is none.
    """
    known = AGENTS | rules.RULES
    if algorithm not in known and ":" not in algorithm:
        close = hint(algorithm.replace("-", "_"), known)
        raise ValueError(f"must be {_allowed()}{close}")
    found = import_class(known.get(algorithm, algorithm))
    settings = getattr(found, "Settings", None)
    if not (isinstance(settings, type) and issubclass(settings, AgentSettings)):
        raise ValueError(
            f"the class {found.__name__} is no local rule and no agent: it has no class `Settings`"
        )
    return found


def refuses(settings: AgentSettings, device: str) -> str:
    """Why a method cannot be trained on a device; empty if it can. Its agent or rule names its `devices`, if not the CPU
    alone.
    """
    if device != "cpu" and settings.encoder is not None:
        return f"{settings.name}: an encoder trains on the CPU alone"
    devices = getattr(load(settings.algorithm), "devices", ("cpu",))
    if device in devices:
        return ""
    return f"{settings.name}: {settings.algorithm} trains on {' or '.join(devices)} alone, not on {device}"


def module(algorithm: str) -> str:
    """The module in which an agent or a rule is written, by name; nothing is imported for it."""
    return (AGENTS | ELSEWHERE | rules.RULES).get(algorithm, algorithm).partition(":")[0]


def _parse(data: Any, info: ValidationInfo) -> Any:
    if not isinstance(data, dict):
        return data
    if not isinstance(data.get("algorithm"), str):
        raise _error("algorithm", data.get("algorithm"), f"must be given: {_allowed()}")
    if (info.context or {}).get("recorded"):
        return RecordedMethod.model_validate(data)
    algorithm = data["algorithm"]
    try:
        found = load(algorithm)
    except ValueError as error:
        raise _error("algorithm", algorithm, str(error)) from None
    settings = found.Settings
    if unknown := [key for key in data if key not in settings.model_fields]:
        raise _errors([(key, data[key], _unknown(key, algorithm, settings)) for key in unknown])
    method = settings.model_validate(data)
    # Rules say whether they would be given what they read; agents need not.
    if hasattr(found, "check"):
        found.check(method)
    return method


def _allowed() -> str:
    return f'one of: {", ".join(AGENTS | rules.RULES)}; or a class of yours, as "package.module:Class"'


def _unknown(key: str, algorithm: str, settings: type[AgentSettings]) -> str:
    owners = [name for name in AGENTS | rules.RULES if key in load(name).Settings.model_fields]
    if owners:
        return f"is a setting of {', '.join(owners)}, not of {algorithm}"
    return f"unknown key of {algorithm}{hint(key, settings.model_fields)}"


def _error(field: str, given: Any, message: str) -> ValidationError:
    return _errors([(field, given, message)])


def _errors(found: list[tuple[str, Any, str]]) -> ValidationError:
    """found: fields, what was given, and what is wrong with it."""
    details = []
    for field, given, message in found:
        # A message may hold braces, which would be read as a template.
        kind = PydanticCustomError("method", "{message}", {"message": message})
        details.append(InitErrorDetails(type=kind, loc=(field,), input=given))
    return ValidationError.from_exception_data("method", details)


def _local(settings: AgentSettings) -> AgentSettings:
    if not isinstance(settings, (LocalSettings, RecordedMethod)):
        raise ValueError(f"must be a local rule, not {settings.algorithm}")
    return settings


Method = Annotated[SerializeAsAny[AgentSettings], BeforeValidator(_parse)]
# Of a study that runs local rules alone.
LocalMethod = Annotated[SerializeAsAny[AgentSettings], BeforeValidator(_parse), AfterValidator(_local)]
_METHOD: TypeAdapter[AgentSettings] = TypeAdapter(Method)


def parse_method(data: dict[str, Any]) -> Any:
    """Settings of the class that `data["algorithm"]` asks for. Raises pydantic's ValidationError."""
    return _METHOD.validate_python(data)
