"""Reading a profile, with errors that name the field, what was given and what would be right."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from subcritic.config.profile import Profile
from subcritic.config.sections import ConfigError, Section, hint


def parse(data: Any, source: str = "config", *, recorded: bool = False) -> Profile:
    """Validate `data`; every problem becomes one line `source: field = value: what would be right`.

    recorded: the profile of runs that are over; its methods are `RecordedMethod`s, and no rule is imported for them.
    """
    try:
        return Profile.model_validate(data, context={"recorded": recorded})
    except ValidationError as error:
        # A list whose entries are all wrong counts as empty besides; once is enough.
        items = [item for item in error.errors() if not (item["type"] == "too_short" and item["input"])]
        lines = [_explain(source, item) for item in items]
        raise ConfigError("\n".join(lines)) from None


def load(path: Path | str, *, recorded: bool = False) -> Profile:
    """Read and validate a YAML profile, see `parse`. Raises ConfigError naming the file and the field."""
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from None
    return parse(data, str(path), recorded=recorded)


def dump(section: BaseModel) -> dict[str, Any]:
    """A section as plain JSON-able data, all defaults written out."""
    return section.model_dump(mode="json")


def digest(data: Any) -> str:
    """Twelve hex digits that identify JSON-able data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]


def _explain(source: str, item: ErrorDetails) -> str:
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
    if item["type"] == "extra_forbidden":
        message = f"unknown key{_closest(item['loc'])}"
    return f"{source}: {field or 'profile'}{shown}: {message[0].lower() + message[1:]}"


def _closest(location: tuple[int | str, ...]) -> str:
    """A hint: the known key of any section of this package that is most like the unknown one."""
    sections = [model for model in _all_sections(Section) if model.__module__.startswith("subcritic.config.")]
    return hint(str(location[-1]), {name for model in sections for name in model.model_fields})


def _all_sections(model: type[Section]) -> list[type[Section]]:
    return [child for sub in model.__subclasses__() for child in (sub, *_all_sections(sub))]
