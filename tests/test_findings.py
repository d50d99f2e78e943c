"""The numbers on the page of findings are those of the published results."""

import itertools
import json
import re
from pathlib import Path

import pandas as pd
import yaml
from scipy.stats import trim_mean

from subcritic.studies.table.published import beside

PROJECT = Path(__file__).parent.parent
DOCS = PROJECT / "docs"
PUBLISHED = PROJECT / "results" / "published"
PAGE = (DOCS / "findings.md").read_text()


def shown(value, low, high, digits=2):
    """An estimate with its interval as the page prints it."""
    texts = (f"{number:.{digits}f}".replace("-", "−") for number in (value, low, high))
    return "{} [{}, {}]".format(*texts)


def section(title):
    """The text below a heading."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows_of(text, start="| `"):
    """The cells of the rows that begin so, by the first one."""
    lines = [line for line in text.splitlines() if line.startswith(start)]
    cells = [[cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")] for line in lines]
    return {first.strip("`"): rest for first, *rest in cells}


def test_what_is_said_of_sub_critics_is_what_was_measured():
    rows = rows_of(section("Values and gradients of sub-critics"), "| ")
    for column, profile in enumerate(("standard", "quick")):
        value = json.loads((PUBLISHED / profile / "empirical_value.json").read_text())
        config = yaml.safe_load((PUBLISHED / profile / "config.yaml").read_text())
        controls, better = (
            {name: parts["all"] for name, parts in value[kind].items()} for kind in ("controls", "better")
        )
        assert value["case"] == "at the null" and controls["oracle"]["low"] > 0.999
        assert value["q_value_similarity"]["all"]["low"] > 0.5
        found = [
            shown(row["value"], row["low"], row["high"])
            for row in (
                value["q_value_similarity"]["all"], value, controls["permuted"], controls["oracle"], better["neuron_noise"],
                better["compatible"], better["global_baseline"], better["regression"],
            )
        ]  # fmt: skip
        heading, *told = (cells[column] for cells in rows.values())
        assert told == found
        assert heading == (
            f"`{profile}`: {value['seeds']} seeds, {value['environments']} tasks, {config['experiment1']['steps']:,} steps"
        )


def test_what_is_said_of_speed_is_what_was_measured():
    quick = PUBLISHED / "quick"
    text = " ".join(section("Speed").split())
    ratios = pd.read_csv(quick / "throughput_ratios.csv").set_index(["ratio", "hidden", "batch"]).sort_index()
    assert (ratios.loc["linear / ddpg", "operations"] < 1).all()

    def both(learner, column):
        return " and ".join(
            f"{ratios.loc[(f'{learner} / ddpg', size, 64), column]:.2f}" for size in ("64-64", "256-256")
        )

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
        f"the drafts' rule needs {both('linear', 'operations')} of DDPG's multiply-adds and makes "
        f"{both('linear', 'median')} of its updates per second; learned feedback needs "
        f"{both('learned-feedback', 'operations')}, and makes "
        f"{both('learned-feedback', 'median')}.",
        "At 64-64 learned feedback with the critic's own gradient at the action makes "
        f"{speed('learned-feedback-gradient')}, node perturbation {speed('node-perturbation')}, `coagent` "
        f"{speed('coagent')}.",
        f"with five seeds, DDPG is {times('ddpg', 5)} times as fast",
        f"learned feedback {times('learned-feedback', 5)} times;",
        f"with one seed, DDPG {times('ddpg', 1)} times.",
    )
    for sentence in sentences:
        assert sentence in text, sentence
    number = r"−?\d+\.\d+"
    assert sorted(re.findall(number, text)) == sorted(re.findall(number, " ".join(sentences))), (
        "numbers that nothing was compared with"
    )


def test_the_page_shows_how_expected_updates_agree_with_both_gradients():
    text = section("Do the updates follow the policy gradient?")
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
    for name, (_, *cells) in rows_of(text).items():
        names.append(name.partition("`")[0])
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


def test_the_page_shows_the_scores_of_standard_with_their_frozen_twins():
    rows = rows_of(section("Rules side by side"))
    found = pd.read_csv(PUBLISHED / "standard" / "ablation_verdicts.csv").set_index(["method", "environment"])
    environments = list(dict.fromkeys(found.index.get_level_values("environment")))
    shown_methods = []
    for method, (_, *cells) in rows.items():
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


def test_the_page_says_what_the_drafts_rule_scores_over_its_rates():
    found = pd.read_csv(PUBLISHED / "rates" / "aggregates.csv")
    means = found[found["statistic"] == "interquartile_mean"].set_index("method")["value"]
    others = means.drop("ddpg")
    judged = pd.read_csv(PUBLISHED / "rates" / "table_verdicts.csv")
    assert (judged.loc[judged["method"] != "ddpg", "minus_reference_high"] < 0).all()
    said = f"tasks is {others.max():.2f} or less, where DDPG has {means['ddpg']:.2f}"
    assert said in PAGE and f"at {len(others)} settings of its" in PAGE


def test_the_page_tells_what_disturbed_policies_lose():
    table = pd.read_csv(PUBLISHED / "robustness" / "robustness.csv").set_index(
        ["environment", "method", "disturbance", "level"]
    )
    methods = ("ddpg", "learned-feedback", "node-perturbation")
    lost = {what: [table.loc[("Pendulum-v1", name, *what)] for name in methods]
            for what in (("silenced_neurons", 0.1), ("observation_noise", 1.0))}  # fmt: skip
    rows = rows_of(section("Disturbed policies"))
    for method, silenced, noisy in zip(methods, *lost.values(), strict=True):
        told = [shown(row["lost"], row["lost_low"], row["lost_high"]) for row in (silenced, noisy)]
        if method == "ddpg":
            told[0] = f"{silenced['lost']:.3f} [−0.000, {silenced['lost_high']:.2f}]"
            assert -0.0005 < silenced["lost_low"] < 0
        assert rows[method] == told
    assert all(row["more_low"] > 0 for row in lost["silenced_neurons", 0.1][1:])
    assert all(row["more_high"] < 0 for row in lost["observation_noise", 1.0][1:])
    for level, method in itertools.product((0.1, 0.3), methods[1:]):
        row = table.loc[("Pendulum-v1", method, "observation_noise", level)]
        assert row["more_low"] < 0 < row["more_high"]
    assert (
        table.loc[("LunarLanderContinuous-v3", "learned-feedback", "observation_noise", 0.3), "more_low"] > 0
    )


def test_the_page_shows_the_aggregates_of_the_suite():
    text = section("Eight ways to learn on the suite")
    found = pd.read_csv(PUBLISHED / "suite" / "aggregates.csv").set_index(["method", "statistic"])
    statistics = (
        "interquartile_mean",
        "interquartile_mean_on_tasks_that_need_hidden_layers",
        "mean_difference_to_ddpg",
        "mean_difference_to_ddpg_on_tasks_that_need_hidden_layers",
    )
    rows = rows_of(text)
    for name, (_, *cells) in rows.items():
        known = [found.loc[(name, s)] if (name, s) in found.index else None for s in statistics]
        assert cells == ["" if row is None else shown(row["value"], row["low"], row["high"]) for row in known]
    assert list(rows) == list(dict.fromkeys(found.index.get_level_values("method")))
    over_all, over_seven = (found.xs(statistic, level="statistic") for statistic in statistics[2:])
    assert all(
        of.loc["learned-feedback", "low"] < 0 < of.loc["learned-feedback", "high"]
        for of in (over_all, over_seven)
    )
    assert over_all.loc["node-perturbation", "low"] < 0 < over_all.loc["node-perturbation", "high"]
    assert over_seven.loc["node-perturbation", "high"] < 0
    needing = pd.read_csv(PUBLISHED / "suite" / "table_tasks.csv").query("tells_apart")["environment"]
    *first, last = needing.str.removesuffix("-v0")
    assert f"need hidden layers**, {', '.join(first)} and {last}." in " ".join(text.split())
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
    assert len(worse["learned-feedback-throughout"]) == 1 and len(worse["ddpg-frozen"]) == 9 == 26 - 17
    assert worse["ddpg-frozen"] == {*first, last, "CartpoleSerialTriple", "HockeyPlanar"}
    learned = set(
        mine.loc[mine["verdict"].isin(["matches", "learns"]), "environment"].str.removesuffix("-v0")
    )
    assert len(learned & {*first, last}) == 5 and learned - {*first, last} == {
        "ArmReachRandom",
        "GripperFixed",
    }
    drafts = judged[judged["method"] == "linear"]
    assert f"stays at {drafts['score'].max():.2f} or below" in text
    assert (drafts["low"] > 0).sum() == 6 and "On six it" in " ".join(text.split())
    scores = judged.pivot(index="environment", columns="method", values="score")
    others = (scores["learned-feedback"] - scores["ddpg"]).drop(["ArmReachFixed-v0", "QuadrupedStand-v0"])
    assert abs(others.mean()) < 0.005
    below = scores.loc[["ArmReachFixed-v0", "QuadrupedStand-v0"]]
    assert (below["ddpg"] < below["ddpg-frozen"]).all()
    four = pd.read_csv(PUBLISHED / "normalisation" / "aggregates.csv").set_index(["method", "statistic"])[
        "value"
    ]
    told = (
        "`dpg` has an interquartile mean of {:.2f} with the action there and {:.2f} with normalisation too;"
    )
    mean = [four[name, "interquartile_mean"] for name in ("dpg", "dpg-normalised")]
    assert told.format(*mean) in " ".join(text.split())
    best = judged.groupby("environment")["score"].max()
    assert (best < 0.5).sum() == 8 and "On eight tasks" in text
    frozen = judged[judged["method"] == "ddpg-frozen"].set_index("environment").loc[best.index[best < 0.5]]
    assert (frozen["minus_reference"] > 0).sum() == 6
    assert list(frozen.index[frozen["minus_reference_low"] > 0]) == ["GripperMoving-v0"]
    of = judged[judged["method"] == "dpg"]
    assert f"{of['diverged'].sum()} of {of['runs'].sum()} runs diverge" in text


def test_the_page_tells_what_stable_baselines3_scores_on_the_suite():
    table, ours = (pd.read_csv(PUBLISHED / name / "table.csv") for name in ("peers", "suite"))
    anchors = ours.drop_duplicates("environment").set_index("environment")
    tasks = list(table["environment"].unique())
    assert set(table["seeds"]) == {1} and len(tasks) == 26
    needing = set(pd.read_csv(PUBLISHED / "suite" / "table_tasks.csv").query("tells_apart")["environment"])
    assert needing <= set(tasks)

    def scores(profile, seeds):
        runs = pd.read_csv(PUBLISHED / profile / "runs.csv")
        runs = runs[runs["environment"].isin(tasks) & runs["seed"].isin(seeds)]
        of = anchors.loc[runs["environment"]]
        low, high = (of[name].to_numpy() for name in ("random_mean", "reference_return"))
        return runs.assign(score=(runs["score"].to_numpy() - low) / (high - low))

    theirs, mine = scores("peers", [0]), scores("suite", range(5))
    both = pd.concat([theirs, mine]).groupby("method")["score"]
    need = pd.concat([theirs, mine])
    need = need[need["environment"].isin(needing)].groupby("method")["score"].mean()
    columns = ["sb3-ddpg", "sb3-td3", "sb3-sac", "ddpg", "learned-feedback"]
    rows = rows_of(section("Beside other implementations").split("As far as one seed tells")[0], "| ")
    assert rows["interquartile mean"] == [f"{trim_mean(both.get_group(name), 0.25):.2f}" for name in columns]
    assert rows["mean over the seven that need hidden layers"] == [f"{need[name]:.2f}" for name in columns]
    ends = mine[mine["method"] == "ddpg"].groupby("environment")["score"].agg(["min", "max"])
    alone = theirs.pivot(index="environment", columns="method", values="score")[columns[:3]]
    above = [str((alone[name] > ends["max"]).sum()) for name in alone]
    below = [str((alone[name] < ends["min"]).sum()) for name in alone]
    assert rows["tasks on which their seed is above all five of our DDPG"] == [*above, "", ""]
    assert rows["tasks on which it is below all five"] == [*below, "", ""]
    named = (
        "Cheetah",
        "HardCheetah",
        "HopperBalance",
        "ReacherThreeRandom",
        "HockeyPlanar",
        "ArmReachRandom",
    )
    better, told = [f"{name}-v0" for name in named], "{:.2f}, {:.2f}, {:.2f}, {:.2f}, {:.2f} and {:.2f}"
    means = mine[mine["method"] == "ddpg"].groupby("environment")["score"].mean()
    text = " ".join(section("Beside other implementations").split())
    assert (
        f"{told.format(*alone.loc[better, 'sb3-sac'])}, where our DDPG has {told.format(*means[better])}."
        in text
    )
    assert f"gains most on {', '.join(named[:-1])} and {named[-1]}" in text
    readme = " ".join((PROJECT / "README.md").read_text().split())
    of = [f"{trim_mean(both.get_group(name), 0.25):.2f}" for name in ("ddpg", "sb3-ddpg", "sb3-sac")]
    assert (
        f"half of the 26 tasks (interquartile means {of[0]}, {of[1]} and {of[2]}; one seed of theirs)"
        in readme
    )
    higher = alone["sb3-sac"] > ends["max"]
    gain = (alone["sb3-sac"] - means)[higher].sort_values(ascending=False)
    assert list(gain.index[:6]) == better and 2 * higher.sum() == len(tasks)
    curves = pd.read_csv(PUBLISHED / "peers" / "curves.csv")
    moving = curves.query(
        "environment == 'GripperMoving-v0' and method == 'sb3-td3' and seed == 0"
    ).set_index("step")
    low, high = anchors.loc["GripperMoving-v0", ["random_mean", "reference_return"]]
    scored = (moving["value"] - low) / (high - low)
    assert f"{scored.loc[28_000:46_000].min():.2f}" == "0.89" and (scored.loc[:26_000] < 0.89).all()
    assert "had 0.89 or more from step 28,000 to 46,000, and ended at −0.04." in text
    assert f"{scored[50_000]:.2f}" == "-0.04"


def test_the_page_tells_the_returns_on_mujocos_tasks_and_those_of_others():
    table, search = (pd.read_csv(PUBLISHED / name / "table.csv") for name in ("gymnasium", "gymnasium-ars"))
    assert set(table["seeds"]) == set(search["seeds"]) == {3}
    assert set(table["steps"]) == {125_000} and set(search["steps"]) == {8 * 125_000}
    text = section("Beside other implementations")
    ours, theirs = beside(table).set_index("environment"), beside(search).set_index("environment")
    methods = ["ddpg", "learned-feedback", "learned-feedback-throughout"]
    rows = rows_of(text.split("DeepMind Control Suite")[0], "| ")
    told = {f"{name}-v5": cells for name, cells in rows.items() if f"{name}-v5" in ours.index}
    assert set(told) == set(ours.index)
    for task, cells in told.items():
        means = [
            frame.loc[task, method].split(" ")[0]
            for frame, method in (*((ours, m) for m in methods), (theirs, "ars"))
        ]
        *mine, search_mean = (mean.replace("-", "−") for mean in means)
        assert cells == [*mine, ours.loc[task, "DDPG, Tianshou"].replace("-", "−"), search_mean]
    means = table.pivot(index="environment", columns="method", values="average")
    assert (means["learned-feedback"] < means["ddpg"]).sum() == 6
    runs = pd.read_csv(PUBLISHED / "gymnasium" / "runs.csv").set_index(["environment", "method", "seed"])[
        "score"
    ]

    def each(task, method):
        return "{:.0f}, {:.0f} and {:.0f}".format(*(runs[f"{task}-v5", method, seed] for seed in range(3)))

    text = " ".join(text.split())
    assert (
        f"On Hopper DDPG ends at {each('Hopper', 'ddpg')}, learned feedback at {each('Hopper', 'learned-feedback')}."
        in text
    )
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


def test_the_page_tells_what_a_random_search_returns_on_mujocos_tasks():
    search, learned = (pd.read_csv(PUBLISHED / name / "table.csv") for name in ("gymnasium-ars", "gymnasium"))
    found = search.set_index(["environment", "method"])["average"]
    text = " ".join(section("Beside other implementations").split())
    runs = pd.read_csv(PUBLISHED / "gymnasium-ars" / "runs.csv").set_index(["environment", "method"])["score"]
    swimmer = sorted(runs["Swimmer-v5", "ars"], key=lambda score: score > 55)
    assert "On Swimmer its seeds end at {:.0f}, {:.0f} and {:.0f}.".format(*swimmer) in text
    hopper, walker = (found[f"{task}-v5", "ars-without-bonus"] for task in ("Hopper", "Walker2d"))
    assert f"`ars` returns {hopper:.0f} on Hopper and {walker:.0f} on Walker2d where" in text
    for task in ("Hopper-v5", "Walker2d-v5"):
        assert (
            runs[task, "ars-without-bonus"].min() > learned.loc[learned["environment"] == task, "best"].max()
        )


def test_the_page_tells_the_returns_on_the_control_suite():
    table = pd.read_csv(PUBLISHED / "control" / "table.csv")
    means = table.pivot(index="environment", columns="method", values="average")
    rows = rows_of(section("Beside other implementations").split("DeepMind Control Suite")[1], "| ")
    related = (DOCS / "related-work.md").read_text()
    for task in means.index:
        *ours, theirs = rows[task]
        assert ours == [f"{means.loc[task, method]:.0f}" for method in means.columns]
        assert f"{task} {theirs}" in related
    diverged = table.set_index(["environment", "method"])["diverged"]
    assert diverged[diverged > 0].to_dict() == {
        ("hopper-hop", "ddpg"): 2, ("hopper-hop", "learned-feedback"): 1, ("reacher-hard", "learned-feedback"): 2,
    }  # fmt: skip


def test_the_page_tells_the_returns_of_the_long_landing():
    rows = pd.read_csv(PUBLISHED / "lunarlander" / "table.csv").set_index("method")
    said = [
        f"{row['average']:.0f} [{row['low']:.0f}, {row['high']:.0f}]".replace("-", "−")
        for row in (rows.loc["ddpg"], rows.loc["learned-feedback"])
    ]
    assert "DDPG returns {}, learned feedback {},".format(*said) in PAGE


def test_the_page_tells_what_networks_that_take_time_return():
    """Every cell of its table, and the shares of what backpropagation through time has."""
    text = section("Networks that take time")
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

    said = " ".join(section("Do the updates follow the policy gradient?").split())
    sentence = (
        f"{both('64-64')} with two hidden layers of 64, {both('256-256')} with two of 256, "
        f"{both('64-64-64')} with three of 64, or {both('64-64-64-inputs')} if the feedback also depends on "
        f"a neuron's own inputs, {both('64-64-64-64')} with four."
    )
    assert sentence in said
    learned = actor[actor.index.get_level_values("method").str.startswith("learned-feedback")]
    below = learned[learned.round(2) < 0.9]
    assert list(below.index) == [("learned-feedback-64-64-64-64", "Pendulum-v1")]
