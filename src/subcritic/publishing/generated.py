"""Parts of the documents that are made from the code: the graph of studies, the page of settings, that of environments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from subcritic import profiles
from subcritic.config import Environment, Reference, Section
from subcritic.config.encoder import EncoderSettings
from subcritic.config.graph import GraphSettings
from subcritic.config.methods import AGENTS, load
from subcritic.reporting import documents
from subcritic.rules import RULES
from subcritic.studies import STUDIES

GRAPH = "<!-- graph: made by subcritic docs -->", "<!-- end of graph -->"
FILES = "<!-- files: made by subcritic docs -->", "<!-- end of files -->"
HEADER = """# Settings

Every setting of a profile, with its default. Made by `subcritic docs` from the code; do not edit it. What a profile is:
[profiles.md](profiles.md).
"""


def write(root: Path) -> list[Path]:
    """Write the generated parts of docs/ below `root`; returns the files."""
    from subcritic.envs.suite import describe

    return [
        _between(root / "docs" / "architecture.md", GRAPH, graph()),
        _between(root / "docs" / "architecture.md", FILES, files()),
        documents.write(root / "docs" / "settings.md", settings()),
        documents.write(root / "docs" / "environments.md", describe.page()),
    ]


def _between(path: Path, markers: tuple[str, str], made: str) -> Path:
    """Put `made` between two markers of a page."""
    pattern = re.compile(f"{re.escape(markers[0])}.*{re.escape(markers[1])}", re.DOTALL)
    return documents.write(path, pattern.sub(lambda _: marked(markers, made), path.read_text()))


def marked(markers: tuple[str, str], made: str) -> str:
    """A generated part of a page, as it stands there."""
    return f"{markers[0]}\n\n{made}\n{markers[1]}"


def files() -> str:
    """Every file that a study writes below results/<profile>/."""
    lines = ["```", "results/<profile>/"]
    for study in STUDIES.values():
        lines.append(f"  {study.name}: {study.question}")
        for recorded in study.records.values():
            words = [",".join(recorded.columns), f"({recorded.about})" if recorded.about else ""]
            path = recorded.path.replace("{", "<").replace("}", ">")
            lines.append(f"    {path:<44}  {' '.join(filter(None, words))}".rstrip())
        for shown in study.shown.values():
            suffixes = [*shown.suffixes, *(["html"] if shown.page else [])]
            lines.append(f"    {shown.path}{''.join(f' .{suffix}' for suffix in suffixes)}")
    return "\n".join([*lines, "```", ""])


def graph() -> str:
    """Which study's files which study reads, as a Mermaid flowchart."""
    arrows = [f"    {other} --> {name}" for name, others in read_by_study().items() for other in others]
    summarised = [f"    {name} --> summary" for name, study in STUDIES.items() if study.shown]
    return "\n".join(["```mermaid", "flowchart LR", *arrows, *summarised, "```", ""])


def read_by_study() -> dict[str, list[str]]:
    """The studies whose files each study's jobs or its report read."""
    profile = profiles.parse(
        {
            "profile": "all",
            # A task of the suite, since some studies run on nothing else.
            "environments": ["subcritic/CartRest-v0"],
            "methods": [{"algorithm": "ddpg"}],
            "references": {"source": "measured"},
        }
    )
    jobs = {name: list(study.jobs(profile)) for name, study in STUDIES.items()}
    written = {
        name: {job.path(file.path) for job in jobs[name] for file in study.records.values()}
        for name, study in STUDIES.items()
    }
    read = {name: {path for job in jobs[name] for path in job.reads} for name in STUDIES}
    return {
        name: [
            other
            for other in STUDIES
            if other in (*study.reads, *study.reads_shown) or read[name] & written[other]
        ]
        for name, study in STUDIES.items()
    }


def settings() -> str:
    """docs/settings.md."""
    own = {name for name, study in STUDIES.items() if study.settings}
    shared = {name: field for name, field in profiles.Profile.model_fields.items() if name not in own}
    blocks = [HEADER, "## A profile\n", _table(shared.items())]
    for name in ("training", "runtime", "statistics"):
        blocks += [f"## `{name}`\n", *_section(_kind(shared[name]))]
    blocks += ["## An entry of `environments`\n", *_section(Environment), *_named("reference", Reference)]
    blocks += ["## Studies\n"]
    for name in STUDIES:
        if name in own:
            blocks += [
                f"### `{name}`\n",
                *_section(STUDIES[name].settings),
                *_entries(STUDIES[name].settings),
            ]
    blocks += ["## An entry of `methods`\n", "Which settings a method has depends on its `algorithm`.\n"]
    blocks += _named("encoder", EncoderSettings)
    seen: dict[str, FieldInfo] = {}
    kinds = {algorithm: load(algorithm).Settings for algorithm in (*AGENTS, *RULES)}
    for algorithm, kind in {**kinds, "graph": GraphSettings}.items():
        fields = kind.model_fields
        mine = {name: field for name, field in fields.items() if name not in seen}
        seen |= mine
        only = (
            ""
            if algorithm in kinds
            else "In no list of methods: the agent of the studies `recurrent` and `clocks`.\n"
        )
        blocks += [f"### `{algorithm}`\n", only, _also(fields, mine), _table(mine.items())]
    return "\n".join(block for block in blocks if block)


def _entries(kind: Any) -> Iterator[str]:
    """What entries of a study's tasks have beside those of `environments`."""
    for name, field in kind.model_fields.items():
        for entry in _kinds(field.annotation):
            if issubclass(entry, Environment) and entry is not Environment:
                own = [item for item in entry.model_fields.items() if item[0] not in Environment.model_fields]
                yield f"An entry of its `{name}` is one of [environments](#an-entry-of-environments) that also has:\n"
                yield _table(own)


def _also(fields: dict[str, FieldInfo], mine: dict[str, FieldInfo]) -> str:
    others = [f"`{name}`" for name in fields if name not in mine]
    return f"Described above: {', '.join(others)}.\n" if others else ""


def _named(name: str, kind: type[Section]) -> list[str]:
    return [f"### `{name}`\n", *_section(kind)]


def _section(kind: Any) -> list[str]:
    text = " ".join((kind.__doc__ or "").split())
    return [f"{text}\n", _table(kind.model_fields.items())]


def _table(fields: Any) -> str:
    import pandas as pd

    rows = [{"setting": f"`{name}`", "default": _default(name, field), "what it is": field.description or ""}
            for name, field in fields]  # fmt: skip
    return documents.markdown(pd.DataFrame(rows)) if rows else "Nothing of its own.\n"


def _default(name: str, field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "made from the id or the algorithm" if name == "name" else "required"
    if isinstance(value, BaseModel) or (isinstance(value, dict) and value and _kind(field)):
        return "see below" if _kind(field) else "–"
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], (BaseModel, dict)):
        return f"{len(value)} entries"
    return f"`{_shown(value)}`"


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)


def _kind(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a field holds, if it holds one."""
    return next((kind for kind in _kinds(field.annotation) if issubclass(kind, BaseModel)), None)


def _kinds(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type):
        yield annotation
    for part in get_args(annotation):
        yield from _kinds(part)
