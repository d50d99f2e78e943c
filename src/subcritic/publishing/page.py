"""docs/results.md, made from published files and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from subcritic.publishing import accumulated
from subcritic.publishing.reports import module_of
from subcritic.reporting.records import MissingResult
from subcritic.studies import STUDIES

ORDER = ("quick", "standard", "future-work", "suite", "peers", "gymnasium", "paper", "planners")
PAGE = "results.md"
# The format of facts.json.
FORMAT = 1
HEADER = """# Results

Made by `subcritic publish` from the files in [results/published]({published}), and from nothing else; do not edit it.
[reading.md](reading.md) says what the words mean, [paper-map.md](paper-map.md) which code made which number.
Sentences, intervals and settings of a profile are those of the code that published it, which
each profile names; [CHANGELOG.md](../CHANGELOG.md) says what has changed since.
"""


def page(published: Path, docs: Path) -> str:
    """The page of all published profiles that belong on it, with links relative to `docs`."""
    sections = [
        _section(folder, facts, os.path.relpath(folder, docs))
        for folder, facts in in_order(published)
        if facts["page"] == PAGE
    ]
    return "\n".join([HEADER.format(published=os.path.relpath(published, docs)), *sections])


def check(folder: Path) -> None:
    """Raise ConfigError where the config of a profile, published in `folder`, names what its section cannot show.

    What its section lacks otherwise may come later, from the publish.py of a study.
    """
    facts = _facts(folder)
    if facts["page"] == PAGE:
        with contextlib.suppress(MissingResult):
            _section(folder, facts, "")


def in_order(published: Path) -> list[tuple[Path, dict[str, Any]]]:
    """The folder of every published profile, and what was written of it, in the order in which they are shown."""
    folders = sorted(
        (path.parent for path in published.glob("*/facts.json")),
        key=lambda folder: (ORDER.index(folder.name) if folder.name in ORDER else len(ORDER), folder.name),
    )
    return [(folder, _facts(folder)) for folder in folders]


def _facts(folder: Path) -> dict[str, Any]:
    """What was written of a profile when it was published. Raises MissingResult for a format that is not known here."""
    found = json.loads((folder / "facts.json").read_text())
    if found.get("format") != FORMAT:
        raise MissingResult(
            f"{folder / 'facts.json'}: has format {found.get('format')!r}, this version reads {FORMAT}; publish it again"
        )
    return found


def _section(folder: Path, facts: dict[str, Any], link: str) -> str:
    """One profile: what was run, then what each of its studies found."""
    made = json.loads((folder / "provenance.json").read_text())
    blocks = [f"## Profile {facts['profile']}\n", _measured(facts, made, folder, link)]
    for name, study in STUDIES.items():
        if name in facts["studies"]:
            try:
                found = module_of(study).section(folder, link)
            except (FileNotFoundError, KeyError) as error:
                raise MissingResult(
                    f"{folder}: was published by an older version, publish it again: no page can be made of it ({error})"
                ) from error
            blocks += [f"### {study.question}\n", *found]
    return "\n".join(blocks)


def _measured(facts: dict[str, Any], made: dict[str, Any], folder: Path, link: str) -> str:
    """What was trained, on what, with which code."""
    seeds, machine = facts["seeds"], made["machine"]
    where = (
        f"{machine['cores']} cores of {machine['processor']}"
        if made["made_on_this_machine"]
        else "another machine"
    )
    over = f"Seeds {seeds[0]} to {seeds[-1]}; intervals are over these {len(seeds)} seeds."
    over = over if len(seeds) > 1 else f"One seed ({seeds[0]}): no intervals."
    return "\n".join([
        *(f"- {line}" for line in facts["described"]),
        # A profile that only measures has no seeds of trainings.
        *([f"- {over}"] if made["run_commits"] else []),
        f"- {_origin(made)} Machine: {where}.",
        *_verified(folder, link),
        f"- Everything a number depends on: [config.yaml]({link}/config.yaml), [provenance.json]({link}/provenance.json).",
        "",
    ])  # fmt: skip


def _origin(made: dict[str, Any]) -> str:
    """Which code made the runs, and in which time; of a profile without recorded runs, the code that published it."""
    commits = ", ".join(commit[:12] + commit[40:] for commit in made["run_commits"] or [made["commit"]])
    if (took := time_of(made)) is None:
        return f"Code: {commits}."
    return (
        f"Code: {commits}; {took}; logging took "
        f"{100 * made['share_of_time_spent_logging']:.1f} % of the runs' time."
    )


def time_of(made: dict[str, Any]) -> str | None:
    """How long the runs took, in words, from the provenance; None where it is not known."""
    minutes = made["minutes_from_first_start_to_last_end"]
    # What was published before sittings were told apart has this alone.
    if made.get("sittings", 1) > 1:
        return f"{made['minutes_of_sittings']} minutes in {made['sittings']} sittings"
    return None if minutes is None else f"{minutes} minutes from the first start to the last end"


def _verified(folder: Path, link: str) -> list[str]:
    """How many published runs are of earlier code that was repeated in part, by whom and how far; nothing if none is."""
    runs, found = accumulated.verified(folder)
    if not found:
        return []
    parts = []
    for text, count in found.items():
        commit, _, rest = text.partition(" ")
        parts.append(f"{count} by {commit[:12]}{commit[40:]} {rest}")
    return [
        f"- Of the {runs} runs in [runs.csv]({link}/runs.csv), {sum(found.values())} are of earlier code, of which later "
        f"code has repeated the beginning with the same evaluations to the last digit: {', '.join(parts)}."
    ]
