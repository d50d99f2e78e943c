"""What the documents name exists: links, code, tests, result files, commands, rooms."""

import importlib
import re
from pathlib import Path

import pytest

from subcritic import commands as ours
from subcritic.publishing import generated
from subcritic.publishing import page as results_page
from subcritic.rules import RULES
from subcritic.studies import STUDIES
from subcritic.studies.lab_book import STUDY as LAB_BOOK
from subcritic.studies.lab_book import publish as lab_book

PROJECT = Path(__file__).parent.parent
DOCS = PROJECT / "docs"
PAGE = DOCS / "results.md"
PUBLISHED = PROJECT / "results" / "published"
PAGES = [*sorted(PROJECT.glob("*.md")), *sorted(DOCS.glob("*.md")), PROJECT / "benchmarks" / "README.md"]
MAP = (DOCS / "paper-map.md").read_text()
README = (PROJECT / "README.md").read_text()


def links(page):
    """(link as written, file, heading) of every relative link of a page."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" not in link:
            path, _, heading = link.partition("#")
            yield link, (page.parent / path).resolve() if path else page, heading


def published(path):
    """Whether `subcritic publish` makes the file."""
    return path == PAGE or PUBLISHED in path.parents


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_to_files_and_headings(page):
    for link, path, heading in links(page):
        if not published(path):
            assert path.exists(), f"{page.name}: {link}"
            anchors = [re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
                       for line in (path.read_text().splitlines() if heading else []) if line.startswith("#")]  # fmt: skip
            assert not heading or heading in anchors, f"{page.name}: {link}"


def test_links_to_published_results_lead_to_files():
    found = [(page.name, link, path) for page in PAGES for link, path, _ in links(page) if published(path)]
    missing = [f"{name}: {link}" for name, link, path in found if not path.exists()]
    assert found and not missing


def test_the_results_page_is_the_one_the_published_files_make():
    assert PAGE.read_text() == results_page.page(PUBLISHED, DOCS)


def test_the_studies_that_run_only_where_a_profile_names_them_are_told():
    text = (
        (DOCS / "profiles.md")
        .read_text()
        .split("but those that run only where a profile names them:")[1]
        .split("([list]")[0]
    )
    told = {name for name in re.findall(r"`(\w+)`", text) if name in STUDIES}
    assert told == {name for name, study in STUDIES.items() if study.optional}


def test_the_lab_book_shows_the_published_attempts():
    text, folder = (DOCS / LAB_BOOK.page).read_text(), PUBLISHED / "tuning"
    assert lab_book.BEGIN in text and lab_book.END in text
    assert not folder.exists() or lab_book.section(folder, "../results/published/tuning") in text


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(subcritic\.[\w.]+:[\w.]+)`", MAP))))
def test_code_named_in_the_paper_map_exists(name):
    module, _, path = name.partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    assert getattr(found, "__module__", module) == module, f"{name} is only passed on there"


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(tests/[\w/.]+\.py(?::\w+)?)`", MAP))))
def test_tests_named_in_the_paper_map_exist(name):
    path, _, function = name.partition(":")
    text = (PROJECT / path).read_text()
    assert not function or f"def {function}(" in text


def test_result_files_named_in_the_paper_map_are_files_of_a_run():
    files = (DOCS / "architecture.md").read_text().split("## Files of a run")[1]
    folders = "experiment1|gradients|experiment2|ablation|throughput|theorem|scaling|table|figures|runs"
    named = set(re.findall(rf"`((?:{folders})/[^`]+)`", MAP))
    assert len(named) > 10
    assert not [name for name in named if name not in files]


def test_every_name_in_a_cell_of_the_map_was_checked():
    checked = r"subcritic\.[\w.]+:[\w.]+|tests/[\w/.]+\.py(:\w+)?|[\w<>]+/[\w<>/.]+"
    words = {"module:name", "file:function", "lillicrap2016"}
    assert not [
        name for name in set(re.findall(r"`([^`]+)`", MAP)) - words if not re.fullmatch(checked, name)
    ]


@pytest.mark.parametrize("name", RULES)
def test_every_rule_has_its_row_in_the_lab_book(name):
    file = RULES[name].partition(":")[0].replace(".", "/")
    assert f"\n| [`{name}`](../src/{file}.py)" in (DOCS / "local-rules.md").read_text()


def test_commands_of_the_documents_exist():
    text = "\n".join(page.read_text() for page in PAGES)
    commands = next(action for action in ours._parser()._actions if action.dest != "help").choices
    for name in re.findall(r"(?:^ {4}|`|then `|&& )subcritic (\w+)", text, re.MULTILINE):
        assert name in commands, f"subcritic {name}"
    makefile = (PROJECT / "Makefile").read_text()
    for target in re.findall(r"(?:^ {4}|^|`)make (\w+)(?![\w ]*,)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"


def test_the_parts_made_from_the_code_are_up_to_date():
    """`subcritic docs` makes them."""
    architecture = (DOCS / "architecture.md").read_text()
    assert generated.marked(generated.GRAPH, generated.graph()) in architecture
    assert generated.marked(generated.FILES, generated.files()) in architecture
    assert (DOCS / "settings.md").read_text() == generated.settings()


def test_every_setting_says_what_it_is():
    undescribed = re.findall(r"^\| (`\w+`) +\| [^|]+\| +\|$", generated.settings(), re.MULTILINE)
    assert not undescribed


def test_the_graph_names_every_study():
    """That its arrows are those of Snakemake is held by tests/pipeline/test_chain.py."""
    arrows = re.findall(r"(\w+) --> (\w+)", generated.graph())
    assert {name for arrow in arrows for name in arrow} - {"summary"} == set(STUDIES)


def test_every_room_stands_in_the_architecture():
    rooms = (DOCS / "architecture.md").read_text().split("src/subcritic/\n")[1].split("```")[0]
    package = PROJECT / "src" / "subcritic"
    for path in package.iterdir():
        if path.name not in ("__init__.py", "__pycache__") and (path.is_dir() or path.suffix == ".py"):
            assert re.search(rf"(^| ){re.escape(path.name)}(/| )", rooms, re.MULTILINE), path.name
    for name in re.findall(r"^ {2}(\w+)/ ", rooms, re.MULTILINE):
        assert (package / name).is_dir(), name
