"""The README's numbers are those of the published results, and so are the times on the page of profiles."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from subcritic.studies.table.published import beside

PROJECT = Path(__file__).parent.parent
DOCS = PROJECT / "docs"
PUBLISHED = PROJECT / "results" / "published"
README = (PROJECT / "README.md").read_text()


def shown(value, low, high, digits=2):
    """An estimate with its interval as the README prints it."""
    texts = (f"{number:.{digits}f}".replace("-", "−") for number in (value, low, high))
    return "{} [{}, {}]".format(*texts)


def test_the_findings_of_the_readme_are_what_the_published_numbers_show():
    quick = PUBLISHED / "quick"
    text = " ".join(README.split("### Values, gradients and speed")[1].split("![")[0].split())
    value = json.loads((quick / "empirical_value.json").read_text())
    standard = json.loads((PUBLISHED / "standard" / "empirical_value.json").read_text())
    controls = {name: parts["all"] for name, parts in value["controls"].items()}
    assert value["case"] == "at the null" and controls["oracle"]["low"] > 0.999
    assert value["q_value_similarity"]["all"]["low"] > 0.5

    def of(row):
        return shown(row["value"], row["low"], row["high"])

    ratios = pd.read_csv(quick / "throughput_ratios.csv").set_index(["ratio", "hidden", "batch"]).sort_index()
    assert (ratios.loc["linear / ddpg", "operations"] < 1).all()
    needed = ratios.loc[("linear / ddpg", "256-256", 64), "operations"]

    def speed(learner):
        return f"{ratios.loc[(f'{learner} / ddpg', '64-64', 64), 'median']:.2f}"

    whole = (
        pd.read_csv(quick / "throughput_training.csv")
        .set_index(["environment", "learner", "seeds"])
        .sort_index()
    )

    def times(learner, seeds):
        names = ("Pendulum-v1", "subcritic/Cheetah-v0")
        cells = [f"{whole.loc[(name, learner, seeds), 'faster']:.1f}" for name in names]
        return " and ".join(cells)

    sentences = (
        "correlate with those of the whole agent's critic, across states of random actions, at "
        f"{of(value['q_value_similarity']['all'])}.",
        f"correlate with the true policy gradient at {of(value)}:",
        f"in which neurons are permuted: {of(controls['permuted'])}.",
        f"An oracle scores {controls['oracle']['value']:.2f}.",
        f"it is {of(standard)}, permuted {of(standard['controls']['permuted']['all'])}, and values correlate at "
        f"{of(standard['q_value_similarity']['all'])}.",
        f"With 256-256 networks it needs {needed:.2f} of DDPG's multiply-adds.",
        f"it makes {speed('linear')} of DDPG's updates per second, learned feedback {speed('learned-feedback')}, or "
        f"{speed('learned-feedback-gradient')} with the critic's own gradient at the action, node perturbation "
        f"{speed('node-perturbation')}, `coagent` {speed('coagent')}.",
        f"with five seeds, DDPG is {times('ddpg', 5)} times as fast",
        f"learned feedback {times('learned-feedback', 5)} times;",
        f"with one seed, DDPG {times('ddpg', 1)} times.",
    )
    for sentence in sentences:
        assert sentence in text, sentence
    number = r"−?\d+\.\d+"
    printed = re.findall(number, text)
    assert sorted(printed) == sorted(re.findall(number, " ".join(sentences))), (
        "numbers that nothing was compared with"
    )


def test_the_readme_shows_how_expected_updates_agree_with_both_gradients():
    text = README.split("### Do the updates follow")[1].split("### Values, gradients and speed")[0]
    rules = pd.read_csv(PUBLISHED / "agreement" / "agreement_rules.csv")
    whole = rules[rules["granularity"] == "actor"].set_index(
        ["estimate", "at", "method", "environment", "measure"]
    )
    found, (pendulum, cartpole) = whole.sort_index().loc["expectation"], ("Pendulum-v1", "CartpoleSwingUp-v0")
    columns = (
        ("ddpg", pendulum, "cosine"), ("own", pendulum, "cosine"), ("ddpg", pendulum, "return_played"),
        ("ddpg", cartpole, "cosine"), ("own", cartpole, "cosine"),
    )  # fmt: skip
    names = []
    for line in text.splitlines():
        if line.startswith("| `"):
            name, _, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            names.append(re.search("`(.*?)`", name).group(1))
            rows = [found.loc[(at, names[-1], *of)] for at, *of in columns]
            assert cells == [shown(row["value"], row["low"], row["high"]) for row in rows]
    assert set(names) == set(found.index.get_level_values("method"))

    def of(name, task, at="ddpg", measure="cosine"):
        return found.loc[(at, name, task, measure)]

    coagents = [name for name in names if name.startswith("coagent") and not name.endswith("slope")]
    for task in (pendulum, cartpole):
        assert all(of(name, task)["low"] < 0 < of(name, task)["high"] for name in coagents)
        assert all(abs(of("linear", task, at)["value"]) < 0.03 for at in ("ddpg", "own"))
    knowing = [of(name, task, "own") for name in coagents[:-1] for task in (pendulum, cartpole)]
    assert coagents[-1] == "coagent" and all(row["low"] > 0 for row in knowing)
    values = [row["value"] for row in knowing]
    assert f"{min(values):.2f} to {max(values):.2f}; `coagent` has" in text
    gains = {name: of(name, pendulum, measure="return_played") for name in names}
    assert sum(gains[name]["low"] > 0 for name in coagents) == 3 and gains["node-perturbation"]["low"] > 0
    assert gains["linear"]["high"] < 0 and gains["oracle"]["low"] < 0 < gains["oracle"]["high"]
    reliable = of("oracle", cartpole, measure="return_reliability")
    assert shown(reliable["value"], reliable["low"], reliable["high"]) in text and reliable["low"] < 0
    limits = [
        whole.loc[("limit", "ddpg", "node-perturbation", task, "cosine")] for task in (pendulum, cartpole)
    ]
    said = " ".join(text.split())
    assert (
        "{} on Pendulum and {} on CartpoleSwingUp (estimated; defined in {} and {} of 40 snapshots)".format(
            *(shown(row["value"], row["low"], row["high"]) for row in limits),
            *(int(row["values"] - row["undefined"]) for row in limits),
        )
        in said
    )


def test_the_readme_shows_the_scores_of_standard_with_their_frozen_twins():
    text = README.split("### Rules side by side")[1].split("### Eight ways to learn")[0]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")] for line in lines]
    found = pd.read_csv(PUBLISHED / "standard" / "ablation_verdicts.csv").set_index(["method", "environment"])
    environments = list(dict.fromkeys(found.index.get_level_values("environment")))
    shown_methods = []
    for name, _, *cells in rows:
        method = re.search("`(.*?)`", name).group(1)
        shown_methods.append(method)
        expected = []
        for environment in environments:
            row = found.loc[(method, environment)]
            expected.append(shown(row["score"], row["low"], row["high"]))
            twin = f"{method}-frozen"
            known = (twin, environment) in found.index
            expected.append(
                f"{found.loc[(twin, environment), 'score']:.2f}".replace("-", "−") if known else ""
            )
        assert cells == expected
    methods = set(found.index.get_level_values("method"))
    assert set(shown_methods) == {name for name in methods if not name.endswith("-frozen")}


def test_the_readme_says_what_the_drafts_rule_scores_over_its_rates():
    found = pd.read_csv(PUBLISHED / "rates" / "aggregates.csv")
    means = found[found["statistic"] == "interquartile_mean"].set_index("method")["value"]
    others = means.drop("ddpg")
    judged = pd.read_csv(PUBLISHED / "rates" / "table_verdicts.csv")
    assert (judged.loc[judged["method"] != "ddpg", "minus_reference_high"] < 0).all()
    said = f"tasks is {others.max():.2f} or less, where DDPG has {means['ddpg']:.2f}"
    assert said in README and f"at {len(others)} settings of its" in README


def test_the_readme_tells_what_disturbed_policies_lose():
    table = pd.read_csv(PUBLISHED / "robustness" / "robustness.csv").set_index(
        ["environment", "method", "disturbance", "level"]
    )
    methods = ("ddpg", "learned-feedback", "node-perturbation")
    lost = {what: [table.loc[("Pendulum-v1", name, *what)] for name in methods]
            for what in (("silenced_neurons", 0.1), ("observation_noise", 1.0))}  # fmt: skip
    said = " ".join(README.split())
    for row in (*lost["silenced_neurons", 0.1][1:], *lost["observation_noise", 1.0]):
        assert shown(row["lost"], row["lost_low"], row["lost_high"]) in said
    assert all(row["more_low"] > 0 for row in lost["silenced_neurons", 0.1][1:])
    assert all(row["more_high"] < 0 for row in lost["observation_noise", 1.0][1:])


def test_the_readme_shows_the_aggregates_of_the_suite():
    text = README.split("### Eight ways to learn on the suite")[1].split("### Networks that take time")[0]
    found = pd.read_csv(PUBLISHED / "suite" / "aggregates.csv").set_index(["method", "statistic"])
    statistics = (
        "interquartile_mean",
        "interquartile_mean_on_tasks_that_need_hidden_layers",
        "mean_difference_to_ddpg",
        "mean_difference_to_ddpg_on_tasks_that_need_hidden_layers",
    )
    names = []
    for line in text.splitlines():
        if line.startswith("| `"):
            name, _, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            names.append(name.strip("`"))
            known = [(names[-1], statistic) in found.index for statistic in statistics]
            rows = [
                found.loc[(names[-1], s)] if there else None
                for s, there in zip(statistics, known, strict=True)
            ]
            assert cells == [
                "" if row is None else shown(row["value"], row["low"], row["high"]) for row in rows
            ]
    assert names == list(dict.fromkeys(found.index.get_level_values("method")))
    over_all, over_seven = (found.xs(statistic, level="statistic") for statistic in statistics[2:])
    bounds = [-of.loc["learned-feedback", "low"] for of in (over_all, over_seven)]
    assert f"by no more than {bounds[0]:.2f} and {bounds[1]:.2f} in the mean" in text
    assert all(of.loc["learned-feedback", "high"] > 0 for of in (over_all, over_seven))
    assert over_all.loc["node-perturbation", "low"] < 0 < over_all.loc["node-perturbation", "high"]
    lost = over_seven.loc["node-perturbation", ["high", "low"]]
    assert f"worse over the seven, by {-lost['high']:.2f} to {-lost['low']:.2f}" in " ".join(text.split())
    judged = pd.read_csv(PUBLISHED / "suite" / "table_verdicts.csv")
    worse = {
        method: set(rows.loc[rows["minus_reference_high"] < 0, "environment"].str.removesuffix("-v0"))
        for method, rows in judged.groupby("method")
    }
    assert worse["learned-feedback"] == {"CartpoleSerialDouble", "CartpoleSerialTriple"}
    assert worse["node-perturbation"] == {"CartpoleSwingUp", "HardCheetah"}
    verdicts = judged.groupby("method")["verdict"].value_counts().unstack(fill_value=0)
    better = (verdicts["matches"] + verdicts["learns"]).loc[
        ["learned-feedback", "learned-feedback-throughout", "node-perturbation"]
    ]
    assert list(better) == [7, 8, 5] and list(verdicts.loc[better.index, "worse"]) == [2, 2, 0]
    assert verdicts.loc["learned-feedback", "matches"] == 6
    mine = judged[judged["method"] == "learned-feedback"]
    assert (mine["minus_reference_low"] < -0.1).sum() == 14
    assert set(mine.loc[mine["verdict"] == "worse", "environment"]) == {
        "CartpoleBalance-v0",
        "GripperMoving-v0",
    }
    assert len(worse["learned-feedback-throughout"]) == 1 and len(worse["ddpg-frozen"]) == 26 - 17
    drafts = judged[judged["method"] == "linear"]
    assert f"stays at {drafts['score'].max():.2f} or below" in text
    best = judged.groupby("environment")["score"].max()
    assert (best < 0.5).sum() == 8 and "On eight tasks" in text
    frozen = judged[judged["method"] == "ddpg-frozen"].set_index("environment").loc[best.index[best < 0.5]]
    assert (frozen["minus_reference"] > 0).sum() == 6
    assert list(frozen.index[frozen["minus_reference_low"] > 0]) == ["GripperMoving-v0"]
    of = judged[judged["method"] == "dpg"]
    assert f"{of['diverged'].sum()} of {of['runs'].sum()} runs diverge" in text


def test_the_readme_tells_the_returns_on_mujocos_tasks_and_those_of_others():
    table = pd.read_csv(PUBLISHED / "gymnasium" / "table.csv")
    tasks, seeds = table["environment"].nunique(), table["seeds"].max()
    assert (tasks, seeds) == (7, 3) and "profile `gymnasium`, 3 seeds" in README
    rows = beside(table).set_index("environment")
    runs = pd.read_csv(PUBLISHED / "gymnasium" / "runs.csv").set_index(["environment", "method", "seed"])[
        "score"
    ]

    def of(method, theirs=False):
        cells = [
            rows.loc[f"{task}-v5", method].replace("-", "−") for task in ("HalfCheetah", "Swimmer", "Reacher")
        ]
        cells = cells if theirs else [cell.split(" ")[0] for cell in cells]
        return f"{cells[0]}, {cells[1]} and {cells[2]}"

    def each(task, method):
        return "{:.0f}, {:.0f} and {:.0f}".format(*(runs[f"{task}-v5", method, seed] for seed in range(3)))

    text = " ".join(README.split())
    assert f"DDPG returns {of('ddpg')} in the mean, learned feedback {of('learned-feedback')};" in text
    assert f"the benchmark's DDPG has {of('DDPG, Tianshou', theirs=True)} (10 seeds)" in text
    hopper = [
        each("Hopper", method) for method in ("ddpg", "learned-feedback", "learned-feedback-throughout")
    ]
    assert (
        "On Hopper DDPG ends at {}, learned feedback at {}, and without backpropagation in the critic too at {}".format(
            *hopper
        )
        in text
    )
    assert f"its DDPG at {rows.loc['Hopper-v5', 'DDPG, Tianshou']}." in text
    curves = pd.read_csv(PUBLISHED / "gymnasium" / "curves.csv")
    curves = curves[
        (curves["environment"] == "InvertedDoublePendulum-v5") & (curves["metric"] == "return/evaluation")
    ]
    stays = {}
    for (method, seed), curve in curves.groupby(["method", "seed"]):
        reached = curve.set_index("step")["value"].sort_index() >= 9000
        assert reached.idxmax() <= 45_000
        since = reached.loc[reached.idxmax() :]
        stays[method, seed] = (since.sum(), len(since))
    assert all(stays["ddpg", seed][0] == stays["ddpg", seed][1] for seed in range(3))

    def stayed(method):
        return "{} of {}, {} of {} and {} of {}".format(
            *(n for seed in range(3) for n in stays[method, seed])
        )

    double = "InvertedDoublePendulum"
    assert (
        f"learned feedback's at {stayed('learned-feedback')}, and end at {each(double, 'learned-feedback')}"
        in text
    )
    assert f"the critic too at {stayed('learned-feedback-throughout')}" in text
    last = min(runs[f"{double}-v5", "learned-feedback-throughout", seed] for seed in range(3))
    assert last > 9340 and "end above 9340" in text


def test_the_readme_tells_what_a_random_search_returns_on_mujocos_tasks():
    search, learned = (pd.read_csv(PUBLISHED / name / "table.csv") for name in ("gymnasium-ars", "gymnasium"))
    assert (
        search["seeds"].min() == 3
        and set(search["steps"]) == {8 * 125_000}
        and set(learned["steps"]) == {125_000}
    )
    found = search.set_index(["environment", "method"])["average"]

    def both(task):
        return [f"{found[f'{task}-v5', method]:.0f}" for method in ("ars", "ars-without-bonus")]

    text = " ".join(README.split())
    runs = pd.read_csv(PUBLISHED / "gymnasium-ars" / "runs.csv").set_index(["environment", "method"])["score"]
    swimmer = sorted(runs["Swimmer-v5", "ars"], key=lambda score: score > 55)
    told = "returns {} on HalfCheetah in the mean, and {:.0f}, {:.0f} and {:.0f} on Swimmer;"
    assert told.format(both("HalfCheetah")[0], *swimmer) in text
    assert "on Hopper {}, and {} where".format(*both("Hopper")) in text
    assert "on Walker2d {} and {}. With that left out, each of its seeds".format(*both("Walker2d")) in text
    for task in ("Hopper-v5", "Walker2d-v5"):
        assert (
            runs[task, "ars-without-bonus"].min() > learned.loc[learned["environment"] == task, "best"].max()
        )


def test_the_readme_tells_the_returns_of_the_long_landing():
    rows = pd.read_csv(PUBLISHED / "lunarlander" / "table.csv").set_index("method")
    said = [
        f"{row['average']:.0f} [{row['low']:.0f}, {row['high']:.0f}]".replace("-", "−")
        for row in (rows.loc["ddpg"], rows.loc["learned-feedback"])
    ]
    assert "DDPG returns {}, learned feedback {}".format(*said) in README


def test_the_readme_tells_what_networks_that_take_time_return():
    """Every cell of its table, and the shares of what backpropagation through time has."""
    text = README.split("### Networks that take time")[1].split("### ")[0]
    found = pd.read_csv(PUBLISHED / "future-work" / "recurrent.csv").set_index(["environment", "method"])
    tasks = ["HiddenVelocityPendulum-v0", "HiddenVelocityCartpoleBalance-v0", "TMaze-20"]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(lines) == 6
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        method = cells[0].split("`")[1]
        for task, cell in zip(tasks, cells[2:], strict=True):
            row = found.loc[task, method]
            numbers = (row["score"], row["low"], row["high"])
            size = abs(row["score"])
            digits = 0 if size >= 100 else 1 if size >= 2 else 2
            score, low, high = (f"{number:.{digits}f}".replace("-", "−") for number in numbers)
            assert cell == f"{score} [{low}, {high}]", (method, task)
    shares = [found.loc[f"HiddenVelocity{task}-v0", "learned-feedback"]["share"]
              for task in ("Pendulum", "CartpoleBalance", "CartpoleSwingUp")]  # fmt: skip
    assert "{:.2f} and {:.2f} of what".format(*shares[:2]) in text
    swing_up = found.loc["HiddenVelocityCartpoleSwingUp-v0"]
    apart = [swing_up.loc["learned-feedback", f"minus_backpropagation{end}"] for end in ("", "_low", "_high")]
    said = (
        "the difference is {:.2f} [{:.1f}, {:.1f}] of a return of {:.0f}, and the control `no-lags` is higher than both "
        "({:.0f})"
    )
    numbers = (*apart, *(swing_up.loc[name, "score"] for name in ("backpropagation", "no-lags")))
    assert said.format(*numbers).replace("-27", "−27") in " ".join(text.split())


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


def test_how_near_learned_feedback_comes_by_width_and_depth():
    found = pd.read_csv(PUBLISHED / "feedback" / "agreement_rules.csv")
    of = found[
        (found["at"] == "own") & (found["estimate"] == "expectation") & (found["measure"] == "cosine")
    ].set_index(["granularity", "method", "environment"])
    actor = of.loc["actor"]["value"]

    def both(sizes):
        return " and ".join(
            f"{actor.loc[(f'learned-feedback-{sizes}', task)]:.2f}"
            for task in ("Pendulum-v1", "subcritic-Cheetah-v0")
        )

    said = " ".join(README.split("### Do the updates follow")[1].split("### Values")[0].split())
    sentence = (
        f"{both('64-64')} with two hidden layers of 64, {both('256-256')} with two of 256, "
        f"{both('64-64-64')} with three of 64, or {both('64-64-64-inputs')} if the feedback also depends on "
        f"a neuron's own inputs, {both('64-64-64-64')} with four."
    )
    assert sentence in said
    learned = actor[actor.index.get_level_values("method").str.startswith("learned-feedback")]
    below = learned[learned.round(2) < 0.9]
    assert list(below.index) == [("learned-feedback-64-64-64-64", "Pendulum-v1")]


@pytest.mark.parametrize("profile", sorted(path.name for path in PUBLISHED.iterdir() if path.is_dir()))
def test_the_profiles_page_says_how_long_a_published_profile_took(profile):
    line = next(
        line for line in (DOCS / "profiles.md").read_text().splitlines() if line.startswith(f"| `{profile}`")
    )
    assert line.endswith(f"| {minutes(profile)} |")
