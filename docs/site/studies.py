"""A page for every study: what it declares, and what is published of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from links import LINK
from subcritic.publishing import generated, page
from subcritic.publishing.reports import module_of
from subcritic.reporting.pages import image
from subcritic.studies import STUDIES
from subcritic.study import Recorded, Study

FOLDER = Path("studies")
INDEX = FOLDER / "index.md"
CODE = Path("src/subcritic/studies")
RESULTS = Path("docs") / page.PAGE


def pages(root: Path) -> dict[Path, str]:
    """The list of studies, and a page for each."""
    found = {FOLDER / f"{name}.md": _page(study, root) for name, study in STUDIES.items()}
    return {INDEX: _index(), **found}


def of(path: Path) -> Path | None:
    """The page of the study to which a file or a folder of the repository belongs; of what all share, the list."""
    if path in (CODE, CODE / "__init__.py"):
        return INDEX
    if path.parent == CODE and path.name in STUDIES:
        return FOLDER / f"{path.name}.md"
    return None


def _index() -> str:
    rows = [
        f"| [{study.title}]({name}.md) | {study.question} | {', '.join(_linked(other) for other in _read()[study.name])} |"
        for name, study in STUDIES.items()
    ]
    return "\n".join([
        "# Studies\n",
        "A study is one question with its measurements, tables and figures. The pages are made from what each declares and "
        "from the files that were published of it.\n",
        "| study | question | reads files of |", "|---|---|---|", *rows, "",
    ])  # fmt: skip


def _page(study: Study, root: Path) -> str:
    return "\n".join([
        f"# {study.title}\n",
        f"**{study.question}**\n",
        *_about(study, of_metrics=False),
        *_facts(study),
        *_published(study, root),
        *_files(study),
        *_about(study, of_metrics=True),
    ])  # fmt: skip


def _about(study: Study, of_metrics: bool) -> Iterator[str]:
    """What MLflow says of it: what it measures, or which of the metrics there to look at."""
    if study.view:
        paragraphs = study.view.about.split("\n\n")
        first = next(index for index, text in enumerate(paragraphs) if text.startswith("*"))
        if of_metrics:
            yield "## In MLflow\n"
        yield from (f"{text}\n" for text in (paragraphs[first:] if of_metrics else paragraphs[:first]))


def _facts(study: Study) -> Iterator[str]:
    if study.measures:
        options = {"environment": " --env ENVIRONMENT", "method": " --method METHOD"}
        over = "".join(options[kind] for kind in study.over)
        yield f"- Its command: `subcritic {study.name} --config configs/PROFILE.yaml{over}`."
    if study.shown:
        yield f"- Its tables and figures again: `subcritic report {study.name} --config configs/PROFILE.yaml`."
    if study.settings:
        yield f"- [Its settings](../docs/settings.md#{study.name})."
    if others := _read()[study.name]:
        yield f"- It reads files of {', '.join(map(_linked, others))}."
    if readers := [name for name in STUDIES if study.name in _read()[name]]:
        yield f"- Its files are read by {', '.join(map(_linked, readers))}."
    if study.page != page.PAGE:
        yield f"- Published in [{study.page}](../docs/{study.page})."
    yield f"- Its code: [src/subcritic/studies/{study.name}](../{CODE / study.name / '__init__.py'}).\n"


def _published(study: Study, root: Path) -> Iterator[str]:
    """What the page of results says of it, profile by profile, and the figures that are not there."""
    captions = _captions(study, root)
    for folder, facts in page.in_order(root / "results" / "published"):
        if study.name in facts["studies"] and study.page == page.PAGE:
            link = os.path.relpath(folder, root / RESULTS.parent)
            text = "\n".join(module_of(study).section(folder, link))
            figures = [Path(shown.path).stem for shown in study.shown.values() if shown.path.endswith(".png")]
            text += "".join(image(folder, link, name) for name in figures if f"/{name}.png" not in text)
            text = LINK.sub(lambda found: found[1] + _moved(found[2]), text)
            yield f"## Profile {facts['profile']}\n"
            yield re.sub(r"^#(?=#{3})", "", _captioned(text, captions), flags=re.MULTILINE)


def _moved(link: str) -> str:
    """A link of the page of results, as it is on a page of a study."""
    path, mark, heading = link.partition("#")
    target = os.path.normpath(RESULTS.parent / path) if path else RESULTS
    return link if "://" in link else os.path.relpath(target, FOLDER) + mark + heading


def _captions(study: Study, root: Path) -> dict[str, str]:
    """The caption of every figure, by the name of its file."""
    folder = root / CODE / study.name
    return {
        Path(shown.path).stem: (folder / f"{shown.caption}.rst").read_text().strip()
        for shown in study.shown.values()
        if shown.caption and shown.path.endswith(".png")
    }


def _captioned(text: str, captions: dict[str, str]) -> str:
    """A page whose figures have their captions."""

    def figure(found: re.Match[str]) -> str:
        name, link = found.groups()
        return f"```{{figure}} {link}\n:alt: {name}\n\n{captions.get(Path(link).stem, '')}\n```"

    return re.sub(r"^!\[(.*?)\]\((\S+)\)$", figure, text, flags=re.MULTILINE)


def _files(study: Study) -> Iterator[str]:
    yield "## Files\n"
    yield "What its jobs and its report write, below `results/<profile>/`.\n"
    yield from ["| file | holds |", "|---|---|"]
    for recorded in study.records.values():
        yield f"| `{recorded.path.replace('{', '<').replace('}', '>')}` | {_holds(recorded)} |"
    for shown in study.shown.values():
        endings = "".join(f", .{suffix}" for suffix in shown.suffixes)
        yield f"| `{shown.path}`{endings} | {shown.about} |"
    yield ""


def _holds(recorded: Recorded) -> str:
    columns = ", ".join(f"`{column}`" for column in recorded.columns)
    return "; ".join(filter(None, (columns, recorded.about)))


@cache
def _read() -> dict[str, list[str]]:
    return generated.read_by_study()


def _linked(name: str) -> str:
    return f"[{STUDIES[name].title}]({name}.md)"
