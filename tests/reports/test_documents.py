import json
import shutil
import subprocess

import pandas as pd
import pytest

from subcritic.reporting import documents
from subcritic.reporting.estimates import Estimate, interval, number

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1234.4, "1234"), (-152.3, "-152"), (99.96, "100"), (12.34, "12.3"), (0.123, "0.12"), (0, "0.00"),
     (-0.0021, "-0.002"), (2e-7, "2.0e-07"), (NAN, "n/a"), (float("inf"), "inf")],
)  # fmt: skip
def test_numbers_show_what_matters(value, shown):
    assert number(value) == shown


def test_an_estimate_without_interval_shows_its_value_alone():
    assert str(Estimate(0.5, 0.25, 0.75)) == "0.50 [0.25, 0.75]"
    assert str(Estimate(0.5, NAN, NAN)) == "0.50"
    assert interval(NAN, NAN) == "n/a"


def test_latex_escapes_what_latex_would_read():
    assert documents.escape(r"50 % of a_b & {c} #1 $x$ ~ ^ \n") == (
        r"50 \% of a\_b \& \{c\} \#1 \$x\$ \textasciitilde{} \textasciicircum{} \textbackslash{}n"
    )


def test_latex_sets_signs_as_minus_and_keeps_hyphens():
    assert documents.escape("-1.5 [-2, -1]") == "$-$1.5 [$-$2, $-$1]"
    assert documents.escape("Pendulum-v1, 400-300") == "Pendulum-v1, 400-300"


def test_markdown_escapes_bars_and_keeps_every_row():
    text = documents.markdown(pd.DataFrame({"a|b": [1, 2], "c": ["x", "y|z"]}))
    lines = text.splitlines()
    assert len(lines) == 4 and len({len(line) for line in lines}) == 1
    assert "y\\|z" in lines[3] and "a\\|b" in lines[0]


def test_json_has_null_for_nan(tmp_path):
    path = documents.write(tmp_path / "deep" / "x.json", {"a": NAN, "b": {"c": [1.0, float("inf")]}})
    assert json.loads(path.read_text()) == {"a": None, "b": {"c": [1.0, None]}}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_results_table_compiles(recorded, tmp_path):
    from subcritic.studies.table import report as table

    profile, root = recorded
    path = next(path for path in table.make(profile, root) if path.suffix == ".tex")
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{TABLE}\end{document}"
    (tmp_path / "main.tex").write_text(document.replace("TABLE", str(path)))
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"],
        cwd=tmp_path,
        capture_output=True,
    )
    assert run.returncode == 0, run.stdout.decode(errors="replace")[-2000:]


def test_a_file_is_written_whole_or_stays_as_it_was(tmp_path):
    path = documents.write(tmp_path / "new" / "data.json", {"a": 1})
    with pytest.raises(TypeError):
        documents.write(path, {"a": {1, 2}})
    assert json.loads(path.read_text()) == {"a": 1} and list(path.parent.iterdir()) == [path]


def test_a_web_page_shows_tables_and_takes_nothing_as_markup():
    text = "# A & B\n\n| a | b |\n|---|---|\n| 1 \\| 2 | <b>bold</b> |\n\n- point\n"
    page = documents.html(text)
    assert "<title>A &amp; B</title>" in page and "<li>point</li>" in page
    assert "<td>1 | 2</td>" in page and "&lt;b&gt;bold&lt;/b&gt;" in page and "http" not in page
