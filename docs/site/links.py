"""Where a link of a document leads on the site.

On GitHub a document links to a file of the repository. On the site the same link leads to the page that is made from the
file: a document, a study, a module of the API, or else a page that shows the file. Other files are copied.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import api
import contents

# [text](link), ![text](link), and a figure that has its caption.
LINK = re.compile(r"(\]\(|^```\{figure\} )([^)\s]+)", re.MULTILINE)
# How files that are shown as text are coloured.
LANGUAGES = {
    ".py": "python", ".yaml": "yaml", ".yml": "yaml", ".sh": "bash", ".json": "json", ".smk": "python",
    ".cff": "yaml", ".toml": "toml", ".rst": "rst", "": "none",
}  # fmt: skip


@dataclass
class Shown:
    """The pages of a site, and the files that links of theirs lead to.

    study: the page of the study that a path belongs to, if it does.
    """

    root: Path
    documents: set[Path]
    modules: list[str]
    study: Callable[[Path], Path | None]
    copied: set[Path] = field(default_factory=set)
    shown: set[Path] = field(default_factory=set)

    def turned(self, page: Path, text: str) -> str:
        """The text of a page, its links turned to where they lead on the site."""
        return LINK.sub(lambda found: found[1] + self._link(page, found[2]), text)

    def files(self) -> dict[Path, str]:
        """The pages that show files, after all others have been turned."""
        made = {_file_page(path): self._content(path) for path in self.shown}
        return {page: self.turned(page, text) for page, text in made.items()}

    def _link(self, page: Path, link: str) -> str:
        target, mark, heading = link.partition("#")
        if "://" in link or not target:
            return link
        path = Path(os.path.normpath(page.parent / target))
        return os.path.relpath(self._leads_to(path), page.parent) + mark + heading

    def _leads_to(self, path: Path) -> Path:
        """The page of the site, or the copied file, that stands for a file or a folder of the repository."""
        if path == Path("README.md"):
            return contents.START
        if path in self.documents:
            return path
        if (study := self.study(path)) is not None:
            return study
        if (module := api.name(path)) in self.modules:
            return api.path(module)
        if not (self.root / path).exists():
            # Sphinx says which page has this link.
            return path
        if (self.root / path).is_dir() or path.suffix in (*LANGUAGES, ".md"):
            self.shown.add(path)
            return _file_page(path)
        self.copied.add(path)
        return path

    def _content(self, path: Path) -> str:
        head = f"---\norphan: true\nnosearch: true\n---\n\n# `{path}`\n\n"
        full = self.root / path
        if full.is_dir():
            return head + "".join(
                f"- {self._entry(path / name)}\n" for name in sorted(each.name for each in full.iterdir())
            )
        if path.suffix == ".md":
            return head + full.read_text()
        fence = "`" * 6
        return f"{head}{fence}{LANGUAGES[path.suffix]}\n{full.read_text().rstrip()}\n{fence}\n"

    def _entry(self, path: Path) -> str:
        """What a folder holds; a link where the site shows or has it."""
        known = path in self.shown | self.copied | self.documents or api.name(path) in self.modules
        to = os.path.relpath(path, _file_page(path.parent).parent)
        return f"[`{path.name}`]({to})" if known else f"`{path.name}`"


def _file_page(path: Path) -> Path:
    """The page that shows a file or lists a folder. Its ending is kept, since files differ in nothing else."""
    return Path("files") / f"{path}.md"
