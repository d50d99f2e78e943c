"""The results table: scores of Experiment 2, raw and normalised, with intervals and aggregates."""

from subcritic.studies.table.settings import Table
from subcritic.study import Study, View, figure, table

STUDY = Study(
    name="table",
    question="Which method is better, and how sure is that?",
    view=View(
        """The results table: which method is better, and how sure is that?

Average, best and interval over seeds of each method on each environment, raw and normalised (0 = uniform random
actions, 1 = the reference return), with aggregates over environments.

*Open* the run `results` and its tab *Artifacts*: `table.md`, `table.csv`, `table.tex` and the figure. The saved view
`profiles` (button *Views*) has every method's score on every environment, a column for each profile.""",
        grouped=False,
    ),
    settings=Table,
    shown={
        "table": table("table.csv"),
        "page": table("table.md", "table", about="results table (csv, tex)"),
        "verdicts": table("table_verdicts.csv"),
        "tasks": table("table_tasks.csv"),
        "latex": table("table.tex", published=False),
        "aggregates": table("aggregates.csv"),
        "figure": figure("table", "table_figure"),
        "aggregates_figure": figure("aggregates", "aggregates_figure"),
    },
    reads=("experiment2", "anchors"),
)
