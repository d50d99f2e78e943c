"""The README's numbers, and the times on the page of profiles, are those of the published results."""

import json
from pathlib import Path

import pandas as pd
import pytest

PROJECT = Path(__file__).parent.parent
PUBLISHED = PROJECT / "results" / "published"
README = (PROJECT / "README.md").read_text()
FINDINGS = (PROJECT / "docs" / "findings.md").read_text()


def shown(row):
    """A value with its interval, as the README prints it."""
    return "{:.2f} [{:.2f}, {:.2f}]".format(*(row[name] for name in ("value", "low", "high"))).replace(
        "-", "−"
    )


def test_the_first_findings_are_what_was_measured():
    text = " ".join(README.split("## What was found")[1].split("## Run it")[0].split())
    value = json.loads((PUBLISHED / "standard" / "empirical_value.json").read_text())
    suite = pd.read_csv(PUBLISHED / "suite" / "aggregates.csv").set_index(["method", "statistic"])
    means = suite.xs("interquartile_mean", level="statistic")["value"]
    apart = [suite.loc[("learned-feedback", f"mean_difference_to_ddpg{ending}")]
             for ending in ("", "_on_tasks_that_need_hidden_layers")]  # fmt: skip
    scores = pd.read_csv(PUBLISHED / "standard" / "ablation_verdicts.csv").set_index(
        ["method", "environment"]
    )["score"]
    tasks = list(dict.fromkeys(scores.index.get_level_values("environment")))
    (layer, ddpg), slope = (
        ([f"{scores[method, task]:.2f}" for task in tasks] for method in ("coagent-layer", "ddpg")),
        f"{scores['coagent-layer-slope', tasks[0]]:.2f}".replace("-", "−"),
    )
    recurrent = pd.read_csv(PUBLISHED / "future-work" / "recurrent.csv").set_index(["environment", "method"])[
        "share"
    ]
    shares = [
        recurrent[f"HiddenVelocity{task}-v0", "learned-feedback"] for task in ("Pendulum", "CartpoleBalance")
    ]
    for sentence in (
        f"correlate with the true ones at {shown(value['q_value_similarity']['all'])},",
        f"the true policy gradient, is {shown(value)}: no more than with neurons permuted, "
        f"{shown(value['controls']['permuted']['all'])}.",
        f"its interquartile mean is {means['linear']:.2f}, where DDPG has {means['ddpg']:.2f}.",
        f"It has {means['learned-feedback']:.2f}. Its mean difference to DDPG is {shown(apart[0])}, and {shown(apart[1])} "
        "on the seven",
        f"scores {layer[0]} on Pendulum, where the slope of the same critic scores {slope} and DDPG {ddpg[0]}; on "
        f"CartpoleSwingUp {layer[1]} and on Cheetah {layer[2]}, where DDPG has {ddpg[1]} and {ddpg[2]}.",
        "learned feedback has {:.2f} and {:.2f} of what".format(*shares),
    ):
        assert sentence in text, sentence
    assert "lower in the mean than DDPG on six of seven" in text
    assert "on 17 of them DDPG is not better" in text


def test_the_table_of_the_suite_is_that_of_the_findings():
    rows = [
        line.strip("|").split("|")
        for line in README.splitlines()
        if line.startswith("| `") and "make " not in line
    ]
    known = [
        line.strip("|").split("|")
        for line in FINDINGS.split("## Eight ways")[1].split("\n## ")[0].splitlines()
        if line.startswith("| `")
    ]
    assert [[cell.strip() for cell in row] for row in rows] == [
        [cell.strip() for number, cell in enumerate(row) if number != 3] for row in known
    ]


def minutes(profile):
    """Minutes from first start to last end of a published profile's runs, without breaks, as documents print them."""
    made = json.loads((PUBLISHED / profile / "provenance.json").read_text())
    found = made.get("minutes_of_sittings", made["minutes_from_first_start_to_last_end"])
    if found is None:
        # Of a profile that trains nothing.
        return "not measured"
    return f"{found:.1f} minutes" if found < 10 else f"{found:.0f} minutes"


def test_the_readme_says_how_long_a_profile_takes_and_what_to_expect():
    lines = {profile: next(line for line in README.splitlines() if line.startswith(f"| `make reproduce{option}`"))
             for profile, option in (("quick", ""), ("standard", " PROFILE=standard"), ("suite", " PROFILE=suite"),
                                     ("tuning", " PROFILE=tuning"), ("future-work", " PROFILE=future-work"))}  # fmt: skip
    for profile, line in lines.items():
        assert f"| {minutes(profile)} |" in line
    returns = pd.read_csv(PUBLISHED / "quick" / "table.csv").set_index(["environment", "method"])["average"]
    ddpg, learned = (f"−{-returns['Pendulum-v1', method]:.0f}" for method in ("ddpg", "learned-feedback"))
    assert f"return on Pendulum: DDPG {ddpg}, learned feedback {learned} |" in lines["quick"]
    suite = pd.read_csv(PUBLISHED / "suite" / "aggregates.csv").set_index(["method", "statistic"])
    means = (suite.loc[(method, "interquartile_mean"), "value"] for method in ("ddpg", "learned-feedback"))
    assert "interquartile mean: DDPG {:.2f}, learned feedback {:.2f} |".format(*means) in lines["suite"]
    roles = pd.read_csv(PUBLISHED / "tuning" / "ablation.csv").drop_duplicates("method")["role"] == "local"
    assert f"| {roles.sum()} attempts at a local rule and {(~roles).sum()} for comparison" in lines["tuning"]


@pytest.mark.parametrize("profile", sorted(path.name for path in PUBLISHED.iterdir() if path.is_dir()))
def test_the_profiles_page_says_how_long_a_published_profile_took(profile):
    line = next(
        line
        for line in (PROJECT / "docs" / "profiles.md").read_text().splitlines()
        if line.startswith(f"| `{profile}`")
    )
    assert line.endswith(f"| {minutes(profile)} |")
