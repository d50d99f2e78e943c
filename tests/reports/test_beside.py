"""Methods of one published profile beside those of another."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import synthetic
import yaml
from scipy.stats import trim_mean

from subcritic.config import ConfigError
from subcritic.reporting.estimates import interval, number
from subcritic.studies.table import beside

SUITE = Path(__file__).parents[2] / "results" / "published" / "suite"
FILES = ("config.yaml", "table.csv", "runs.csv", "facts.json")


@pytest.fixture
def published(tmp_path):
    """The suite, and two methods of it as another profile that asks for a third."""
    for name in ("suite", "other"):
        (tmp_path / name).mkdir()
        for file in FILES:
            shutil.copy(SUITE / file, tmp_path / name / file)
    other = tmp_path / "other"
    change(other, beside="suite", beside_methods=["node-perturbation"])
    for file in ("table.csv", "runs.csv"):
        rows = pd.read_csv(other / file)
        rows[rows["method"].isin(["ddpg", "linear"])].to_csv(other / file, index=False)
    return other


def change(folder, **table):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"table": table}))


def cells(text):
    """The rows of a Markdown table, by their first cell."""
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return rows[0], {row[0]: row[1:] for row in rows[2:]}


def test_over_all_tasks_the_interquartile_means_are_those_that_both_profiles_have_published(published):
    header, rows = cells(beside.markdown(published))
    assert header == ["environment", "steps", "ddpg", "linear", "node-perturbation (suite)"]
    assert len(rows) == 26 + 1
    found = pd.read_csv(SUITE / "aggregates.csv")
    means = found[found["statistic"] == "interquartile_mean"].set_index("method")
    assert rows[beside.MEAN.format(26)][1:] == [
        f"{number(row.value)} {interval(row.low, row.high)}"
        for row in means.loc[["ddpg", "linear", "node-perturbation"]].itertuples()
    ]


def test_steps_that_differ_are_both_said(published):
    table = pd.read_csv(published / "table.csv")
    text = beside.markdown(published)
    assert "the 26 tasks that both have with as many steps: " in text and "/" not in text
    table.loc[table["environment"] == "Cheetah-v0", "steps"] = 7
    table.to_csv(published / "table.csv", index=False)
    text = beside.markdown(published)
    assert "the 26 tasks that both have, after steps of environments here / there: " in text
    assert cells(text)[1]["Cheetah-v0"][0].startswith("7 / ")
    assert "/" not in cells(text)[1]["CartRest-v0"][0]


def test_only_tasks_that_both_have_are_shown(published):
    table = pd.read_csv(published / "table.csv")
    table[table["environment"] != "Cheetah-v0"].to_csv(published / "table.csv", index=False)
    text = beside.markdown(published)
    assert "Cheetah-v0" not in cells(text)[1] and "the 25 tasks" in text
    for file in ("table.csv", "runs.csv"):
        rows = pd.read_csv(published / file)
        rows.assign(environment=rows["environment"] + "-other").to_csv(published / file, index=False)
    assert beside.markdown(published) == ""


def test_a_task_without_a_reference_and_seeds_that_no_table_shows_are_not_in_the_mean(published):
    table = pd.read_csv(published / "table.csv")
    raw = table["environment"] == "Cheetah-v0"
    table.loc[raw, ["reference_return", *(c for c in table if c.startswith("normalised"))]] = float("nan")
    table.to_csv(published / "table.csv", index=False)
    facts = json.loads((published / "facts.json").read_text())
    (published / "facts.json").write_text(json.dumps(facts | {"seeds": [0, 1, 2, 3]}))
    runs = pd.read_csv(published / "runs.csv")
    # Seed 4 has been trained on one task only.
    runs = runs[(runs["seed"] < 4) | (runs["environment"] == "CartRest-v0")]
    runs.to_csv(published / "runs.csv", index=False)
    text = beside.markdown(published)
    _, rows = cells(text)
    assert rows["Cheetah-v0"][1].startswith("n/a") and "4 here and 5 there" in text
    kept = runs[(runs["seed"] < 4) & (runs["environment"] != "Cheetah-v0") & (runs["method"] == "ddpg")]
    anchors = table.drop_duplicates("environment").set_index("environment").loc[kept["environment"]]
    low = anchors["random_mean"].to_numpy()
    scores = (kept["score"].to_numpy() - low) / (anchors["reference_return"].to_numpy() - low)
    assert rows[beside.MEAN.format(25)][1].startswith(f"{number(trim_mean(scores, 0.25))} [")


def test_nothing_is_shown_where_nothing_is_asked_for_or_there(published):
    change(published, beside="never-published", beside_methods=["ddpg"])
    assert beside.markdown(published) == (
        "Methods of the profile never-published are to stand beside these, and are not published.\n"
    )
    assert beside.markdown(SUITE) == ""


def test_a_profile_that_is_not_published_run_by_run_is_refused(published):
    (published.parent / "suite" / "runs.csv").unlink()
    with pytest.raises(ConfigError, match=r"table\.beside: the profile 'suite' is not published run by run"):
        beside.markdown(published)


def test_one_seed_is_said_to_have_no_interval(published):
    facts = json.loads((published / "facts.json").read_text())
    (published / "facts.json").write_text(json.dumps(facts | {"seeds": [0]}))
    assert "over seeds (one here, without interval, and 5 there)" in beside.markdown(published)


def test_a_method_that_the_other_profile_has_not_published_is_named_with_those_it_has(published):
    change(published, beside="suite", beside_methods=["ddpg", "dppg"])
    with pytest.raises(
        ConfigError, match=r"table\.beside_methods: 'dppg' not published by the profile 'suite', .* dpg"
    ):
        beside.markdown(published)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"beside": "suite"}, "must be given together"),
        ({"beside_methods": ["ddpg"]}, "must be given together"),
        ({"beside": synthetic.profile().profile, "beside_methods": ["ddpg"]}, "another profile"),
    ],
)
def test_what_cannot_be_shown_is_refused(table, words):
    with pytest.raises(ConfigError, match=words):
        synthetic.profile(table=table)
