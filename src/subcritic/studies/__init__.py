"""Studies, in reading order: each a folder with its settings, how it is measured (run.py) and shown (report.py).

A new study is one folder and one line here.
"""

from subcritic.studies import (
    ablation,
    anchors,
    asynchronous,
    experiment1,
    experiment2,
    gallery,
    gradients,
    lab_book,
    recurrent,
    references,
    scaling,
    table,
    theorem,
    throughput,
)
from subcritic.study import Study
from subcritic.tracking import views

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        anchors.STUDY,
        experiment1.STUDY,
        gradients.STUDY,
        experiment2.STUDY,
        table.STUDY,
        throughput.STUDY,
        theorem.STUDY,
        asynchronous.STUDY,
        recurrent.STUDY,
        ablation.STUDY,
        scaling.STUDY,
        references.STUDY,
        gallery.STUDY,
        lab_book.STUDY,
    )
}

views.declare({name: study.view for name, study in STUDIES.items() if study.view})
