"""What MLflow shows of each study: the experiment's name, its description, the charts of its saved view."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from subcritic.study import View

from .record import RESULTS

VIEW, PROFILES = "all", "profiles"
# Tags that are saved views.
SAVED = "mlflow.sharedViewState."
# The param that the saved views group by: its value names the curve that a run's seed is a part of.
CURVE = "curve"
READING = """

One run per environment, method and seed, named `environment/method/s0`. The saved views (button *Views*: `all`, and one
for each environment) draw one curve per environment and method: the mean over seeds, with the band from the lowest to
the highest seed. The run `results` of a profile holds the study's tables and figures (tab *Artifacts*); their main numbers,
where they have some, are in the saved view `profiles`, a column for each profile. Everything here mirrors the files under
`results/<profile>/`; `subcritic tracking rebuild` writes it anew from them."""


# Study → what MLflow shows of it, in reading order. `subcritic.studies` declares it.
VIEWS: dict[str, View] = {}


def declare(views: dict[str, View]) -> None:
    """Say what MLflow shows of studies, in reading order."""
    VIEWS.update(views)


def view_of(study: str) -> View:
    """The view of a study; raises ValueError, listing the known ones, when there is none."""
    if study not in VIEWS:
        raise ValueError(f"study {study!r} is unknown; known: {', '.join(VIEWS)}")
    return VIEWS[study]


def shows(study: str, metric: str) -> bool:
    """Whether MLflow gets a metric; the files of a record have all.

    Every name is a column and a chart, and hundreds of them make MLflow's pages slow.
    """
    return not any(fnmatchcase(metric, pattern) for pattern in view_of(study).left_out)


def experiment_name(study: str) -> str:
    """The MLflow experiment of a study; the number keeps the studies in reading order."""
    view_of(study)
    return f"subcritic/{list(VIEWS).index(study) + 1}-{study}"


def experiment_tags(view: View) -> dict[str, str]:
    """Description and main saved view of a study's experiment, as MLflow keeps them: plain tags."""
    return {
        "mlflow.note.content": view.about + (READING if view.grouped else ""),
        "mlflow.experimentKind": "custom_model_development",
        **view_tag(VIEW, view_state(view)),
    }


def environment_view(view: View, environment: str) -> dict[str, str]:
    """A saved view of one environment, since returns of different environments do not share a scale."""
    return view_tag(environment, view_state(view, f"params.environment = '{environment}'"))


def profiles_view() -> dict[str, str]:
    """The saved view of the main numbers of all profiles."""
    return view_tag(PROFILES, _profiles_state())


def environments(tags: Mapping[str, str]) -> list[str]:
    """The environments that have saved views among an experiment's tags."""
    saved = sorted(tag.removeprefix(SAVED) for tag in tags if tag.startswith(SAVED))
    return [name for name in saved if name not in (VIEW, PROFILES)]


def view_tag(name: str, state: dict[str, Any]) -> dict[str, str]:
    """A saved view called `name`."""
    saved = {"name": name, "createdAt": 0, "updatedAt": 0, "state": _packed(state)}
    return {f"{SAVED}{name}": json.dumps(saved)}


def _profiles_state() -> dict[str, Any]:
    """A table of the numbers of the runs `results`: a row for each, such as a method's score on an environment, and a column
    for each profile.
    """
    heading = "Profiles side by side"
    table = {
        "uuid": PROFILES,
        "type": "DIFFERENCE",
        "metricSectionId": heading,
        "deleted": False,
        "isGenerated": False,
        "chartName": "Numbers of each profile's results",
        "compareGroups": ["Model metrics"],
        "showChangeFromBaseline": False,
        "showDifferencesOnly": False,
        "baselineColumnUuid": "",
    }
    state = view_state(View("", grouped=False), f"tags.environment = '{RESULTS}'")
    return state | {"compareRunSections": [_section(heading, 1)], "compareRunCharts": [table]}


def view_state(view: View, search: str = "") -> dict[str, Any]:
    """The state of MLflow's runs page of the runs that `search` finds: grouping, columns, charts.

    Its format is not documented by MLflow.
    """
    grouping = {"aggregateFunction": "average", "groupByKeys": [{"mode": "param", "groupByData": CURVE}]}
    return {
        "groupBy": grouping if view.grouped else None,
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "searchFilter": search,
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": _columns(view),
        "runsHiddenMode": "SHOW_ALL",
        "hideEmptyCharts": True,
        "useGroupedValuesInCharts": True,
        "compareRunSections": [_section(heading, 2) for heading in view.charts],
        "compareRunCharts": _charts(view),
        "isAccordionReordered": True,
    }


def _columns(view: View) -> list[str]:
    return [
        *(f"metrics.`{name}`" for name in view.columns),
        *(f"params.`{name}`" for name in ("environment", "method", "seed", "profile")),
    ]


def _section(heading: str, columns: int) -> dict[str, Any]:
    shape = {"display": True, "isReordered": True, "deleted": False, "isGenerated": False, "columns": columns}
    return {"uuid": heading, "name": heading, **shape}


def _charts(view: View) -> list[dict[str, Any]]:
    return [
        _line_chart(heading, title, metric)
        for heading, charts in view.charts.items()
        for title, metric in charts.items()
    ]


def _line_chart(heading: str, title: str, metric: str) -> dict[str, Any]:
    return {
        "uuid": metric,
        "type": "LINE",
        "runsCountToCompare": 10,
        "metricSectionId": heading,
        "deleted": False,
        "isGenerated": False,
        "displayName": title,
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "lineSmoothness": 0,
        "displayPoints": False,
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "range": {},
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def _packed(state: dict[str, Any]) -> str:
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
