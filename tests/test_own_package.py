"""A rule and an agent of another package are named in a config, and run through Experiment 2 like any other."""

import importlib
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch

from subcritic import agents, config, envs, profiles, rules
from subcritic.agents import LocalLearner
from subcritic.config import ConfigError, parse_method
from subcritic.measuring.code import job_code
from subcritic.studies import STUDIES
from subcritic.studies.experiment2 import run as experiment2
from subcritic.training import Trainer

SMALL = {"hidden": [6, 5], "batch_size": 16, "learning_starts": 40}
RULE = {"algorithm": "own_rules:RewardHebbianRule", "gain": 0.5, "actor_rate": 0.01, **SMALL}
AGENT = {"algorithm": "own_agents:WanderingAgent", **SMALL}
TRAINING = {"steps": 300, "evaluate_every": 100, "evaluation_episodes": 1, "final_episodes": 2}
RUNTIME = {"log_every": 50, "checkpoint_seconds": 1e-6}


@pytest.fixture(autouse=True)
def own_package(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "own_package"))


def profile(*methods):
    return profiles.parse({
        "profile": "own", "seeds": 2, "environments": ["Pendulum-v1"], "methods": list(methods),
        "training": TRAINING, "runtime": RUNTIME,
    })  # fmt: skip


def train(method, results):
    (job,) = STUDIES["experiment2"].jobs(profile(method))
    return experiment2.run(job, results)


@pytest.mark.parametrize(
    ("method", "name", "role"),
    [(RULE, "reward-hebbian-rule", "local"), (AGENT, "wandering-agent", "control")],
    ids=["rule", "agent"],
)
def test_what_is_named_in_a_config_trains_is_probed_and_resumes(method, name, role, tmp_path, monkeypatch):
    (settings,) = profile(method).methods
    assert (settings.name, settings.role) == (name, role)
    whole = train(method, tmp_path / "whole")
    advance = Trainer.advance

    def interrupted(trainer):
        if trainer.step == 220:
            raise KeyboardInterrupt
        advance(trainer)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "advance", interrupted)
        train(method, tmp_path / "resumed")
    resumed = train(method, tmp_path / "resumed")
    for mine, theirs in zip(resumed, whole, strict=True):
        assert Path(mine).name.startswith(name)
        assert Path(mine).read_bytes() == Path(theirs).read_bytes()
    curves = pd.read_csv(whole[0])
    probed = curves[curves["metric"] == "cosine/actor"]
    assert sorted(probed["step"].unique()) == list(range(50, 301, 50)) and probed["value"].abs().max() <= 1


def test_a_rule_of_ones_own_has_its_own_knobs_and_no_other_rule_gets_them():
    (method,) = profile(RULE).methods
    assert method.gain == 0.5 and config.dump(method)["gain"] == 0.5
    assert "gain" not in config.dump(parse_method({"algorithm": "linear"}))
    with pytest.raises(
        ConfigError,
        match=r"methods\[0\].gian = 1.0: unknown key of own_rules:RewardHebbianRule; did you mean 'gain'",
    ):
        profile({**RULE, "gian": 1.0})
    with pytest.raises(
        ConfigError, match=r"methods\[0\].natural = True: is a setting of compatible, not of own_rules"
    ):
        profile({**RULE, "natural": True})


@pytest.mark.parametrize(
    ("algorithm", "words"),
    [
        ("nowhere.rules:MyRule", "there is no module nowhere"),
        ("own_rules.deeper:MyRule", "there is no module own_rules.deeper"),
        ("own_rules:MyRule", "the module own_rules has no class MyRule"),
        ("own_rules:shared", "the module own_rules has no class shared"),
        ("json:JSONDecoder", "the class JSONDecoder is no local rule and no agent"),
        ("own_rules", "one of: ddpg, ars, stable_baselines3, linear"),
    ],
)
def test_a_name_behind_which_there_is_nothing_is_refused(algorithm, words):
    with pytest.raises(ConfigError) as error:
        profile({"algorithm": algorithm})
    assert str(error.value).startswith(f"config: methods[0].algorithm = '{algorithm}': ") and words in str(
        error.value
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reads": {"voltage", "noise"}}, "reads noise: not given with replay stored, target own_td"),
        ({"reads": {"voltage", "advantage"}}, "reads advantage: not given"),
        ({"reads": {"voltage", "advantage"}, "target": "global_q"}, None),
        ({"reads": {"voltage", "alpah"}}, "reads alpah: not given"),
        ({"reads": {"voltage", "noise"}, "replay": "recomputed"}, None),
        (
            {"reads": {"voltage", "deviation"}, "replay": "recomputed", "target": "global_q"},
            "reads deviation",
        ),
    ],
)
def test_a_rule_that_would_not_be_given_what_it_reads_is_refused(changes, words, monkeypatch):
    changes = dict(changes)
    reads = frozenset(changes.pop("reads"))
    own = rules.load(RULE["algorithm"])
    monkeypatch.setattr(own, "receives", property(lambda rule: reads))
    if words is None:
        profile(RULE | changes)
        return
    with pytest.raises(ConfigError, match=rf"methods\[0\]: own_rules:RewardHebbianRule {words}"):
        profile(RULE | changes)


def test_a_local_error_of_another_shape_is_refused(monkeypatch):
    """One number per state, not per neuron, would be the same lesson to all of them."""
    own = rules.load(RULE["algorithm"])
    monkeypatch.setattr(own, "local_error", lambda rule, state, layer, seen, heard=None: seen.reward)
    agent = agents.make_agent(parse_method(RULE), 3, 1, [0])
    trained = Trainer(agent, partial(envs.make, "Pendulum-v1"), [0], 50, 10.0)
    with pytest.raises(
        ValueError, match=r"local_error gave a tensor of shape \(1, 16, 1\), not \(S, B, n\) = \(1, 16, 6\)"
    ):
        trained.run()


def test_a_module_that_needs_something_not_installed_says_so(tmp_path, monkeypatch):
    (tmp_path / "needy.py").write_text("import not_installed_anywhere\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="the module needy imports not_installed_anywhere"):
        profile({"algorithm": "needy:MyRule"})


def test_a_new_rule_of_subcritic_is_its_file_and_one_line(tmp_path, monkeypatch):
    """Settings, learner, and the tests that all rules pass know it from these alone."""
    source = (Path(__file__).parent / "own_package" / "own_rules.py").read_text()
    (tmp_path / "new_rule.py").write_text(source.replace("RewardHebbianRule", "NewRule"))
    for folder in (tmp_path, Path(__file__).parent / "rules"):
        monkeypatch.syspath_prepend(str(folder))
    family = importlib.import_module("test_family")
    monkeypatch.setitem(rules.RULES, "new", "new_rule:NewRule")
    settings = parse_method({"algorithm": "new", "gain": 2.0, **SMALL})
    agent = agents.make_agent(settings, 3, 1, [0])
    assert isinstance(agent, LocalLearner) and type(agent.rule) is sys.modules["new_rule"].NewRule
    assert (settings.name, agent.rule.gain) == ("new", 2.0)
    with torch.no_grad():
        for claim in family.OF_ALL_RULES:
            claim("new")
    with pytest.raises(ConfigError, match=r"gain = 1\.0: is a setting of new, not of linear"):
        profile({"algorithm": "linear", "gain": 1.0})


def test_a_jobs_code_holds_the_rule_it_uses_and_no_other(tmp_path, monkeypatch):
    source = (Path(__file__).parent / "own_package" / "own_rules.py").read_text()
    (tmp_path / "edited_rule.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = {"algorithm": "edited_rule:RewardHebbianRule"}
    used = [profile({"algorithm": "linear"}), profile({"algorithm": "bilinear"}), profile(own)]
    linear, bilinear, mine = (job_code(job) for made in used for job in STUDIES["experiment2"].jobs(made))
    assert len({linear, bilinear, mine}) == 3
    (tmp_path / "edited_rule.py").write_text(source + "\n# edited\n")
    after = [job_code(job) for made in used for job in STUDIES["experiment2"].jobs(made)]
    assert after[:2] == [linear, bilinear] and after[2] != mine


def test_settings_of_another_class_than_the_rules_are_refused():
    with pytest.raises(
        TypeError, match="the settings of compatible are a CompatibleSettings, not a LocalSettings"
    ):
        agents.make_agent(config.LocalSettings(algorithm="compatible"), 3, 1, [0])


def test_an_agent_of_ones_own_that_lacks_something_is_refused_with_what_it_lacks(monkeypatch):
    kind = importlib.import_module("own_agents").WanderingAgent
    monkeypatch.delattr(kind, "newest")
    monkeypatch.delattr(kind, "local_errors")
    with pytest.raises(TypeError, match="WanderingAgent lacks local_errors, newest"):
        agents.make_agent(parse_method(AGENT), 3, 1, [0])
