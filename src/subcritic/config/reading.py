"""Reading configs, with errors that name the field, what was given and what would be right."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from subcritic.config.agents import AgentSettings
from subcritic.config.sections import ConfigError, Section, hint

Parsed = TypeVar("Parsed", bound=BaseModel)


def parse(model: type[Parsed], data: Any, source: str = "config", *, recorded: bool = False) -> Parsed:
    """Validate `data` as `model`; every problem becomes one line `source: field = value: what would be right`.

    recorded: `data` was written by `dump`: methods are taken as they stand, without importing what trains them.
    """
    if not isinstance(data, dict):
        given = "nothing" if data is None else f"a {type(data).__name__}"
        raise ConfigError(
            f"{source}: has {given}; must have fields and their values, such as `profile: mine`"
        )
    try:
        return model.model_validate(data, context={"recorded": recorded})
    except ValidationError as error:
        # A list whose entries are all wrong counts as empty besides; once is enough.
        items = [item for item in error.errors() if not (item["type"] == "too_short" and item["input"])]
        lines = [_explain(model, source, item) for item in items]
        raise ConfigError("\n".join(lines)) from None


def read_yaml(path: Path | str) -> Any:
    """The content of a YAML file. Raises ConfigError naming the file."""
    path = Path(path)
    try:
        # The loader in C, where PyYAML has it, is ten times as fast.
        return yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from None


def dump(section: BaseModel) -> dict[str, Any]:
    """A section as plain JSON-able data, all defaults written out."""
    return section.model_dump(mode="json")


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, section by section."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = merged(base[key], value) if both else value
    return result


def digest(data: Any) -> str:
    """Twelve hex digits that identify JSON-able data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]


def _explain(model: type[BaseModel], source: str, item: Any) -> str:
    field = ""
    for part in item["loc"]:
        if isinstance(part, int):
            field += f"[{part}]"
        else:
            field += f".{part}" if field else str(part)
    given = item["input"]
    shown = (
        f" = {given!r}" if not isinstance(given, (dict, list)) and item["type"] != "extra_forbidden" else ""
    )
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "int_parsing" and (whole := _whole(given)) is not None:
        # YAML reads 1e4 as text.
        message = f"must be a whole number; write {whole}"
    if item["type"] == "extra_forbidden":
        message = f"unknown key{_elsewhere(model, item['loc']) or _closest(item['loc'])}"
    return f"{source}: {field or 'profile'}{shown}: {message[0].lower() + message[1:]}"


def _whole(text: Any) -> int | None:
    """The whole number that a text such as 1e4 means, if it means one."""
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() else None


# Keys of earlier versions → what they are now.
MOVED = {
    "purpose": "studies, the list of what a profile runs",
    "film_seed": "gallery.seed",
    "film_seconds": "gallery.seconds",
    "film_frames": "gallery.frames",
}


def _elsewhere(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """A hint: the other sections of `model` that have a key of this name."""
    key, found = str(location[-1]), []
    if key in MOVED:
        return f"; it is now {MOVED[key]}"
    for name, field in model.model_fields.items():
        kind = field.annotation
        known = kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else ()
        if key in known and name != location[0]:
            found.append(f"{name}.{key}")
    return f"; did you mean {' or '.join(map(repr, found))}?" if found else ""


def _closest(location: tuple[int | str, ...]) -> str:
    """A hint: the known key of any section that is most like the unknown one; methods have hints of their own."""
    sections = [model for model in _all_sections(Section) if not issubclass(model, AgentSettings)]
    return hint(str(location[-1]), {name for model in sections for name in model.model_fields})


def _all_sections(model: type[Section]) -> list[type[Section]]:
    return [child for sub in model.__subclasses__() for child in (sub, *_all_sections(sub))]
