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
    needing = "mean_difference_to_ddpg_on_tasks_that_need_hidden_layers"
    apart = [
        suite.loc[("learned-feedback", "mean_difference_to_ddpg")],
        suite.loc[("learned-feedback", needing)],
        suite.loc[("learned-feedback-throughout", needing)],
    ]
    judged = pd.read_csv(PUBLISHED / "standard" / "ablation_verdicts.csv").set_index(
        ["method", "environment"]
    )
    recurrent = pd.read_csv(PUBLISHED / "future-work" / "recurrent.csv").set_index(["environment", "method"])[
        "share"
    ]
    ratios = pd.read_csv(PUBLISHED / "quick" / "throughput_ratios.csv").set_index(
        ["ratio", "hidden", "batch"]
    )
    update = ratios.loc[("learned-feedback / ddpg", "64-64", 64)]

    def score(method, task="Pendulum-v1"):
        return f"{judged.loc[(method, task), 'score']:.2f}".replace("-", "−")

    swing_up, cheetah = "CartpoleSwingUp-v0", "Cheetah-v0"
    for sentence in (
        f"correlate with those of DDPG's critic at {shown(value['q_value_similarity']['all'])},",
        f"that critic's policy gradient at {shown(value)}:",
        f"With neurons permuted it is {shown(value['controls']['permuted']['all'])}.",
        f"reaches an interquartile mean of {means['linear']:.2f} on the 26 tasks",
        f"where DDPG has {means['ddpg']:.2f}",
        f"It has {means['learned-feedback']:.2f}. Its mean difference to DDPG is {shown(apart[0])}, and {shown(apart[1])} "
        "on the seven",
        f"without that too it has {means['learned-feedback-throughout']:.2f}, and {shown(apart[2])} on the seven.",
        f"scores {score('coagent-layer')} there, where the slope of such a critic has {score('coagent-layer-slope')}, "
        f"frozen hidden layers {score('coagent-layer-frozen')} and DDPG {score('ddpg')}.",
        f"not told apart from frozen hidden layers ({score('coagent-layer', swing_up)}, "
        f"{score('coagent-layer-frozen', swing_up)}); on Cheetah both are low (error {score('coagent-layer', cheetah)}, "
        f"slope {score('coagent-layer-slope', cheetah)}, frozen {score('coagent-layer-frozen', cheetah)}, DDPG "
        f"{score('ddpg', cheetah)}).",
        "it has {:.2f} of what backpropagation through time".format(
            recurrent["HiddenVelocityPendulum-v0", "learned-feedback"]
        ),
        "in the output neurons alone has {:.2f}.".format(
            recurrent["HiddenVelocityPendulum-v0", "action-only"]
        ),
        f"An update takes {update['operations']:.1f} times the multiply-adds of DDPG's, and "
        f"{1 / update['median']:.1f} times as long.",
    ):
        assert sentence in text, sentence
    verdicts = judged.xs("coagent-layer")["verdict"]
    assert verdicts[swing_up] == "not told apart" and verdicts["Pendulum-v1"] == "learns"


def test_how_far_to_trust_the_findings_is_counted():
    text = " ".join(README.split("**How far to trust it.**")[1].split("**[findings]")[0].split())
    tables = [pd.read_csv(PUBLISHED / name / "table.csv") for name in ("gymnasium", "control")]
    means = pd.concat(tables).pivot_table(index="environment", columns="method", values="average")
    assert len(means) == 12 and (means["learned-feedback"] < means["ddpg"]).sum() == 10
    assert all((table["seeds"] == 3).all() for table in tables)
    assert "On 12 tasks of MuJoCo and the DeepMind Control Suite (3 seeds) learned feedback is lower" in text
    judged = pd.read_csv(PUBLISHED / "suite" / "table_verdicts.csv")
    frozen = judged[judged["method"] == "ddpg-frozen"]
    assert (frozen["minus_reference_high"] >= 0).sum() == 17 and "on 17 of them DDPG does no better" in text
    mine = judged[judged["method"] == "learned-feedback"]
    assert (mine["minus_reference_high"] < 0).sum() == 2 and not (mine["minus_reference_low"] > 0).any()


def test_the_table_of_the_suite_is_that_of_the_findings():
    rows = [
        line.strip("|").split("|")
        for line in README.splitlines()
        if line.startswith("| `") and "make " not in line
    ]
    known = [
        line.strip("|").split("|")
        for line in FINDINGS.split("## Eight ways")[1].split("\n## ")[0].splitlines()
        if line.startswith("| `") and not line.startswith("| `dpg`")
    ]
    assert len(rows) == 7 and [[cell.strip() for cell in row] for row in rows] == [
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
