"""Writing tables: CSV for machines, Markdown and web pages for readers, LaTeX (booktabs) for the paper, JSON for numbers."""

from __future__ import annotations

import json
import math
import re
import uuid
from html import escape as escape_html
from pathlib import Path
from typing import Any

import pandas as pd

LATEX_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "×": r"$\times$", "±": r"$\pm$", "–": "--", "−": "$-$", "·": r"$\cdot$",
}  # fmt: skip
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 1.5em; }}
table {{ border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }}
th, td {{ border-bottom: 1px solid #ddd; padding: 3px 10px 3px 0; text-align: left; white-space: nowrap; }}
p, li {{ max-width: 60em; }}
</style>
{body}</html>
"""


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table of a frame, every column as wide as its longest cell, so that it reads well as text too."""
    lines = [
        [str(cell).replace("|", "\\|") for cell in row]
        for row in [table.columns, *table.itertuples(index=False)]
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([rows[0], rule, *rows[1:]]) + "\n"


def html(text: str) -> str:
    """Markdown as a web page that needs no other file; its first heading is the title."""
    from markdown_it import MarkdownIt

    title = next((line.lstrip("# ") for line in text.splitlines() if line.startswith("# ")), "")
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return PAGE.format(title=escape_html(title), body=body)


def latex(table: pd.DataFrame, caption: str, label: str) -> str:
    r"""A `table` environment with booktabs rules, to be `\input`; needs `\usepackage{booktabs}`."""
    lines = [" & ".join(map(escape, table.columns)) + r" \\"]
    rows = [" & ".join(escape(str(cell)) for cell in row) + r" \\" for row in table.itertuples(index=False)]
    return "\n".join([
        r"\begin{table}", r"\centering", r"\footnotesize", rf"\caption{{{escape(caption)}}}", rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{'l' * len(table.columns)}}}", r"\toprule", *lines, r"\midrule", *rows, r"\bottomrule",
        r"\end{tabular}", r"\end{table}", "",
    ])  # fmt: skip


def escape(text: str) -> str:
    """Text as LaTeX: special characters escaped, the sign of a number set as a minus."""
    signed = re.sub(r"(?<![\w.)\]-])-(?=\d)", "−", text)
    return "".join(LATEX_ESCAPES.get(character, character) for character in signed)


def write(path: Path, content: str | pd.DataFrame | dict) -> Path:
    """Write text, a frame (CSV) or data (JSON, NaN as null) to `path`, making its folder; returns `path`.

    Whole or not at all, also where several processes write it at a time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        if isinstance(content, pd.DataFrame):
            content.to_csv(new, index=False)
        elif isinstance(content, dict):
            new.write_text(json.dumps(_finite(content), indent=2, ensure_ascii=False) + "\n")
        else:
            new.write_text(content)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return path


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
