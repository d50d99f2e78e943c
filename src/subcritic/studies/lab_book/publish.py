"""Put the attempts into the page on local rules."""

from __future__ import annotations

import os
import re
from pathlib import Path

from subcritic.config import Profile
from subcritic.reporting import documents
from subcritic.reporting.records import MissingResult
from subcritic.studies.lab_book import STUDY

BEGIN, END = "<!-- attempts: made by `subcritic publish`, do not edit -->", "<!-- end of attempts -->"


def section(folder: Path, link: str) -> str:
    """The generated part of the page: the published table, and the figures."""
    table = (folder / "lab_book.md").read_text()
    figures = "".join(f"![{name}]({link}/{name}.png)\n\n" for name in ("ablation", "diagnostics"))
    return f"{BEGIN}\n\n{table}\n{figures}{END}"


def publish(profile: Profile, results: Path, folder: Path, docs: Path) -> list[Path]:
    """Put the published attempts of `folder` between the markers of docs/local-rules.md; returns the page.

    Raises:
        MissingResult: the page, or one of its markers, is not there.
    """
    path = docs / STUDY.page
    text = path.read_text() if path.is_file() else ""
    if BEGIN not in text or END not in text:
        raise MissingResult(f"{path}: must hold the lines {BEGIN!r} and {END!r}")
    made = section(folder, os.path.relpath(folder, docs))
    pattern = f"{re.escape(BEGIN)}.*{re.escape(END)}"
    return [documents.write(path, re.sub(pattern, lambda _: made, text, flags=re.DOTALL))]
