"""The lab book: every attempt at a local rule of the ablation, failures included, and what each gave."""

from subcritic.study import Study, table

STUDY = Study(
    name="lab_book",
    question="Every attempt at a local rule: what it changes, what it gave",
    shown={
        "table": table("lab_book.csv"),
        "page": table("lab_book.md", "lab_book", about="every attempt and what it gave"),
    },
    reads=("ablation",),
    reads_shown=("ablation",),
    optional=True,
    page="local-rules.md",
    publishes=True,
)
