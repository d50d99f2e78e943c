"""Build the site: `python docs/site/build.py [FOLDER]`, by default into build/site; warnings are errors.

Sphinx reads a temporary folder, where this script puts the documents as they are in the repository, in the same places, and
beside them what is made from the code: a page for every study, and the API's. Links that lead to files of the repository
are turned to the pages that show them (links.py).
"""

from __future__ import annotations

import gc
import re
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import main as sphinx

import api
import contents
import links
import studies
from subcritic.publishing.folders import replaced
from subcritic.studies import STUDIES

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ARCHITECTURE = Path("docs/architecture.md")
# Pages that are not in docs/.
ELSEWHERE = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")


def build(output: Path, root: Path = ROOT) -> None:
    """Write the site to `output`, in place of one that is there.

    Raises:
        FileExistsError: the folder holds something else than a site.
        SystemExit: Sphinx's exit code, where it failed; `output` is as it was.
    """
    if output.exists() and not (output / "objects.inv").exists() and any(output.iterdir()):
        raise FileExistsError(f"{output} holds something else than a site; remove it or name another folder")
    with replaced(output) as new, tempfile.TemporaryDirectory(prefix="subcritic-") as folder:
        source, read = Path(folder) / "source", Path(folder) / "doctrees"
        write(root, source)
        settings = ["-c", str(HERE), "-d", str(read), "-W", "--keep-going", "--quiet"]
        if status := sphinx([*settings, str(source), str(new)]):
            raise SystemExit(status)


def write(root: Path, source: Path) -> None:
    """Write what Sphinx reads."""
    pages = {
        **{path.relative_to(root): path.read_text() for path in sorted((root / "docs").glob("*.md"))},
        **{Path(name): (root / name).read_text() for name in ELSEWHERE},
        **studies.pages(root),
    }
    modules = api.modules(pages[api.PAGE])
    pages |= {api.path(module): api.page(module, modules) for module in modules}
    shown = links.Shown(root, set(pages), modules, studies.of)
    written = {path: shown.turned(path, api.linked(unbroken(text), modules)) for path, text in pages.items()}
    # The start page is the README, under the name that a site starts with.
    written[contents.START] = contents.start(written.pop(Path("README.md")), written[contents.PAGE])
    written[ARCHITECTURE] = contents.without_graph(written[ARCHITECTURE])
    written[studies.INDEX] += contents.hidden(STUDIES)
    written[api.PAGE] += contents.hidden(f"../{api.path(module).with_suffix('')}" for module in modules)
    written |= shown.files()
    for path, text in written.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text)
    for path in shown.copied:
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).symlink_to((root / path).resolve())


def unbroken(text: str) -> str:
    """The text of a page, with no line break inside the interval of a table's cell."""
    return re.sub(
        r"^\|.*", lambda row: re.sub(r"(?<=\d), (?=[^\[\]|]*\])", ",\u00a0", row[0]), text, flags=re.MULTILINE
    )


if __name__ == "__main__":
    # Sphinx makes millions of objects that stay until the end. Looked through as often as Python does by default, they
    # take a quarter of the time.
    gc.set_threshold(100_000, 50, 100)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "site"
    build(folder.resolve())
    print(f"{folder}/index.html")
