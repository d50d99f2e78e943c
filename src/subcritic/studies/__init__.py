"""Studies, in reading order: each a folder with its settings, how it is measured (run.py) and shown (report.py).

A new study is one folder and one line here, the last: MLflow numbers its experiments in this order.
"""

from importlib import import_module

from subcritic.study import Study
from subcritic.tracking import views

NAMES = (
    "anchors",
    "experiment1",
    "gradients",
    "experiment2",
    "table",
    "throughput",
    "theorem",
    "asynchronous",
    "recurrent",
    "ablation",
    "scaling",
    "references",
    "gallery",
    "lab_book",
    "robustness",
    "agreement",
    "films",
    "clocks",
)

STUDIES: dict[str, Study] = {name: import_module(f"subcritic.studies.{name}").STUDY for name in NAMES}

views.declare({name: study.view for name, study in STUDIES.items() if study.view})
