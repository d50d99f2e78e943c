"""A config is validated with messages that name the field and what would be right."""

import datetime
import importlib.util
import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from subcritic import commands, config, profiles, workflow
from subcritic.config import ConfigError
from subcritic.rules import RULES
from subcritic.studies import STUDIES
from subcritic.studies.experiment1 import run as experiment1
from subcritic.suite import LISTED

CONFIGS = Path(__file__).parent.parent / "configs"


def minimal(**changes):
    return {
        "profile": "test",
        "environments": ["Pendulum-v1"],
        "methods": [{"algorithm": "ddpg"}, {"algorithm": "linear"}],
        **changes,
    }


# Profiles that need an extra of the package → a module that comes with it.
EXTRAS = {"control": "shimmy", "atari": "ale_py", "atari-pixels": "ale_py"}


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_profiles_are_valid(path):
    """Of one that needs an extra which is not installed, each environment says so."""
    profile = profiles.load(path)
    assert profile.profile == path.stem
    if path.stem in EXTRAS and importlib.util.find_spec(EXTRAS[path.stem]) is None:
        with pytest.raises(ConfigError) as error:
            workflow.check_environments(profile, str(path))
        assert str(error.value).count(" needs ") == len(profile.environments)
    else:
        workflow.check_environments(profile, str(path))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": 0}, ["seeds = 0", "greater than or equal to 1"]),
        ({"sedes": 3}, ["sedes", "unknown key", "did you mean 'seeds'"]),
        ({"training": {"steps": "1e4"}}, ["training.steps = '1e4': must be a whole number; write 10000"]),
        ({"methods": [{"algorithm": "learned-feedback"}]}, ["did you mean 'learned_feedback'"]),
        (
            {"methods": [{"algorithm": "ddpg", "hiden": [4], "batchsize": 8}]},
            ["hiden", "did you mean 'hidden'", "batchsize", "did you mean 'batch_size'"],
        ),
        ({"training": {"stepz": 5}}, ["training.stepz", "unknown key", "did you mean 'steps'"]),
        (
            {"methods": [{"algorithm": "ddpg", "actor_rate": -0.1}]},
            ["methods[0].actor_rate = -0.1", "greater than 0"],
        ),
        (
            {"methods": [{"algorithm": "linear", "discount": 1.2}]},
            ["methods[0].discount = 1.2", "less than 1"],
        ),
        (
            {"methods": [{"algorithm": "sarsa"}]},
            ["methods[0]", "must be one of: ddpg, ars, stable_baselines3, linear"],
        ),
        ({"methods": []}, ["methods", "at least 1"]),
        (
            {"methods": [{"algorithm": "ddpg", "preset": "old"}]},
            ["methods[0].preset = 'old'", "lillicrap2016"],
        ),
        ({"methods": [{"algorithm": "ddpg"}, {"algorithm": "ddpg"}]}, ["methods", "'ddpg' is used twice"]),
        (
            {"ablation": {"environments": ["Pendulum-v1", "Pendulum-v1"]}},
            ["environments", "'Pendulum-v1' is given twice"],
        ),
        (
            {
                "environments": [
                    {"id": "Pendulum-v1", "reference": {"mean_return": float("inf"), "source": "x"}}
                ]
            },
            ["mean_return", "finite"],
        ),
        ({"environments": [{"id": "Pendulum-v1", "steps": 0}]}, ["environments[0].steps = 0"]),
        (
            {"environments": [{"id": "Pendulum-v1", "max_episode_steps": 0}]},
            ["environments[0].max_episode_steps = 0", "greater than or equal to 1"],
        ),
        (
            {"environments": [{"id": "Pendulum-v1", "kwargs": {"max_episode_steps": 50}}]},
            ["environments[0].kwargs", "max_episode_steps belongs beside kwargs"],
        ),
        ({"profile": "a/b"}, ["profile = 'a/b'"]),
        ({"training": {"log_every": 5}}, ["training.log_every", "did you mean 'runtime.log_every'"]),
        ({"purpose": "suite"}, ["purpose", "it is now studies"]),
        ({"references": {"film_seconds": 9}}, ["references.film_seconds", "it is now gallery.seconds"]),
        ({"studies": ["table", "table"]}, ["studies: each must be named once"]),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(changes, words):
    with pytest.raises(ConfigError) as error:
        profiles.parse(minimal(**changes), "my.yaml")
    assert str(error.value).startswith("my.yaml: ")
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("id", "name"),
    [
        ("Pendulum-v1", "Pendulum-v1"),
        ("subcritic/CartRest-v0", "subcritic-CartRest-v0"),
        ("my_package:MyEnv-v0", "MyEnv-v0"),
        ("my_package.tasks:ours/MyEnv-v0", "ours-MyEnv-v0"),
    ],
)
def test_an_environment_is_named_after_its_id(id, name):
    assert profiles.parse(minimal(environments=[id])).environments[0].name == name


@pytest.mark.parametrize("id", ["", 7, None, "my package:", "::"])
def test_a_wrong_id_is_never_reported_as_a_wrong_name(id):
    try:
        entry = profiles.parse(minimal(environments=[{"id": id}])).environments[0]
    except ConfigError as error:
        assert str(error).startswith("config: environments[0].id") and "name" not in str(error)
    else:
        assert entry.name == "environment"


def test_a_missing_id_is_the_only_complaint():
    with pytest.raises(ConfigError) as error:
        profiles.parse(minimal(environments=[{"steps": 100}]))
    assert str(error.value) == "config: environments[0].id: field required"


def test_a_time_limit_is_part_of_the_task_only_where_it_is_set():
    without, limited = (
        profiles.parse(minimal(environments=[{"id": "Pendulum-v1", **more}])).environments[0]
        for more in ({}, {"max_episode_steps": 50})
    )
    assert config.dump(without.task()) == {"id": "Pendulum-v1", "name": "Pendulum-v1", "kwargs": {}}
    assert config.dump(limited.task()) == {**config.dump(without.task()), "max_episode_steps": 50}
    assert "max_episode_steps" not in config.dump(without)
    assert config.dump(limited) == {**config.dump(without), "max_episode_steps": 50}


def test_reading_a_profile_needs_neither_torch_nor_gymnasium():
    """In a process of its own: command lines and Snakemake read configs before any heavy import."""
    code = "import sys, subcritic.config; print({'torch', 'gymnasium', 'mujoco'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"cap": float("inf")}, "kwargs.cap is inf: finite numbers"),
        ({"start": [1, float("nan")]}, r"kwargs.start\[1\] is nan"),
        ({"start": datetime.date(2020, 1, 1)}, "kwargs.start is datetime.date.*quote a date"),
        ({"gains": {1: 2.0}}, "1, a key of kwargs.gains, is no text; quote it"),
        ({"names": {"a", "b"}}, "kwargs.names is {'[ab]'"),
        ({"raw": b"x"}, "kwargs.raw is b'x'"),
    ],
)
def test_what_a_written_config_cannot_hold_is_not_handed_to_an_environment(kwargs, said):
    """A chain's jobs read the config from a file, where it would be another value."""
    with pytest.raises(ConfigError, match=rf"environments\[0\].kwargs: .*{said}"):
        profiles.parse(minimal(environments=[{"id": "Pendulum-v1", "kwargs": kwargs}]))


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ("Pendulm-v1", ["environments[1].id", "unknown environment 'Pendulm-v1'", "Pendulum"]),
        ("CartPole-v1", ["environments[1].id", "'CartPole-v1' has Discrete actions", "Box"]),
        ({"id": "Pendulum-v1", "name": "odd", "kwargs": {"gravity": 9.8}}, ["environments[1].id", "kwargs"]),
    ],
)
def test_an_unusable_environment_is_named_before_anything_runs(environment, words):
    profile = profiles.parse(minimal(environments=["Pendulum-v1", environment]))
    with pytest.raises(ConfigError) as error:
        workflow.check_environments(profile, "my.yaml")
    for word in words:
        assert word in str(error.value)


def test_presets_are_expanded_and_can_be_overridden():
    profile = profiles.parse(
        minimal(methods=[{"algorithm": "ddpg", "preset": "lillicrap2016", "batch_size": 16}])
    )
    method = profile.method("ddpg")
    assert (method.hidden, method.batch_size, method.critic_weight_decay) == ((400, 300), 16, 1e-2)


def test_a_resolved_config_reads_back_as_itself(tmp_path):
    profile = profiles.parse(minimal())
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config.dump(profile)))
    assert profiles.load(path) == profile


def test_an_environment_id_with_a_slash_gets_a_name_fit_for_a_folder():
    assert profiles.parse(minimal(environments=["ALE/Pong-v5"])).environments[0].name == "ALE-Pong-v5"


def test_an_entry_stands_for_all_tasks_of_the_suite_that_are_not_named():
    cheetah = {"id": "subcritic/Cheetah-v0", "steps": 7}
    found = profiles.parse(minimal(environments=["Pendulum-v1", cheetah, "subcritic/*"])).environments
    assert [environment.name for environment in found[:3]] == [
        "Pendulum-v1", "subcritic-Cheetah-v0", "ReacherOneFixed-v0",
    ]  # fmt: skip
    assert {environment.id for environment in found[1:]} == {task.id for task in LISTED.values()}
    assert len(found) == 1 + len(LISTED) and found[1].steps == 7


def test_a_file_that_is_missing_or_no_yaml_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"missing.yaml: cannot be read"):
        profiles.load(tmp_path / "missing.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1")
    with pytest.raises(ConfigError, match=r"broken.yaml: is not valid YAML"):
        profiles.load(tmp_path / "broken.yaml")


def test_single_values_override_the_default_profile_and_others_stay(monkeypatch):
    monkeypatch.chdir(CONFIGS.parent)
    quick = profiles.load("configs/quick.yaml")
    changed = workflow.resolve({"seeds": 5, "training": {"steps": 77}})
    assert (changed.seeds, changed.training.steps) == (5, 77)
    assert changed.environments == quick.environments


LOCAL = [
    ({"algorithm": "linear", "replay": "imagined"}, "a rule that reads noise"),
    ({"algorithm": "learned_feedback", "replay": "stored"}, "replay must be imagined, not stored"),
    (
        {"algorithm": "compatible", "replay": "imagined", "target": "own_td"},
        "target must be global_q, not own_td",
    ),
    ({"algorithm": "node_perturbation", "replay": "stored"}, "replay must be imagined, not stored"),
    ({"algorithm": "node_perturbation", "newest": 100}, "newest has a meaning only with replay stored"),
    ({"algorithm": "coagent", "replay": "stored"}, "replay must be recomputed, not stored"),
    ({"algorithm": "coagent", "target": "global_q"}, "needs a baseline"),
    ({"algorithm": "coagent", "noise": "ornstein_uhlenbeck"}, "noise must be gaussian"),
    ({"algorithm": "random_direction", "newest": 10}, "newest must be left out"),
    ({"algorithm": "coagent", "exploration": "action"}, "needs exploration neuron or subset"),
    ({"algorithm": "coagent", "noise_scale": [0.1, 0, 0.1]}, "noise_scale above 0"),
    (
        {"algorithm": "coagent", "own_critic": "linear", "reads": "slope"},
        "own_critic linear does not see α: reads must be error",
    ),
    (
        {"algorithm": "coagent", "target": "global_td", "own_critic": "neuron"},
        "own_critic has a meaning only with target own_td",
    ),
    (
        {"algorithm": "learned_feedback", "action_error": "gradient", "critic": "local_heads"},
        "action_error gradient needs ∂Q/∂a",
    ),
    ({"algorithm": "feedback_alignment", "target": "own_td"}, "target must be global_q, not own_td"),
    (
        {"algorithm": "feedback_alignment", "critic": "local_heads"},
        "backprop or random_features, not local_heads",
    ),
    ({"algorithm": "random_direction", "target": "global_q"}, "target must be left at own_td"),
    (
        {"algorithm": "linear", "natural": True},
        "methods[0].natural = True: is a setting of compatible, not of linear",
    ),
    (
        {"algorithm": "linear", "trace": 0.5},
        "methods[0].trace = 0.5: is a setting of compatible, coagent, not of linear",
    ),
    (
        {"algorithm": "linear", "noise_scale": [0.1, 0.2]},
        "noise_scale has 2 numbers: must be one number, or 3",
    ),
    ({"algorithm": "compatible", "trace": 0.5, "target": "global_q"}, "trace needs target own_td"),
    ({"algorithm": "compatible", "draws": 2}, "draws has a meaning only with replay imagined"),
    (
        {"algorithm": "linear", "draws": 2},
        "methods[0].draws = 2: is a setting of compatible, node_perturbation, learned_feedback, not of linear",
    ),
    (
        {"algorithm": "compatible", "perturbation_scale": 0.2},
        "perturbation_scale has a meaning only with replay imagined",
    ),
    (
        {"algorithm": "linear", "noisy_fraction": 0.5},
        "noisy_fraction has a meaning only with exploration subset",
    ),
    ({"algorithm": "linear", "critic": "local_heads"}, "critic has a meaning only with a global critic"),
    ({"algorithm": "linear", "critic_hidden": [8]}, "critic_hidden has a meaning only with a global critic"),
    (
        {"algorithm": "node_perturbation", "random_features": 8},
        "random_features has a meaning only with critic",
    ),
    ({"algorithm": "node_perturbation", "feedback_rate": 0.2}, "feedback_rate has a meaning only with"),
    ({"algorithm": "compatible", "trace_length": 4}, "trace_length has a meaning only with trace"),
]


@pytest.mark.parametrize(
    ("method", "words"), LOCAL, ids=lambda part: part if isinstance(part, str) else part["algorithm"]
)
def test_switches_that_do_not_fit_together_are_refused_with_what_would(method, words):
    with pytest.raises(ConfigError) as error:
        profiles.parse(minimal(methods=[method]), "my.yaml")
    assert str(error.value).startswith("my.yaml: methods[0]") and words in str(error.value)


@pytest.mark.parametrize(
    ("algorithm", "exploration"),
    # A coagent multiplies every neuron's own noise, see LOCAL above for its refusal of noise on the action alone.
    [
        pair
        for pair in itertools.product(RULES, ["action", "neuron", "subset"])
        if pair != ("coagent", "action")
    ],
)
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_every_rule_takes_every_exploration_and_optimiser(algorithm, exploration, optimiser):
    given = {
        "algorithm": algorithm,
        "exploration": exploration,
        "optimiser": optimiser,
        "noise_scale": [0.1, 0.2, 0.3],
    }
    (method,) = profiles.parse(minimal(methods=[given])).methods
    assert (method.exploration, method.optimiser, method.noise_scale) == (
        exploration,
        optimiser,
        (0.1, 0.2, 0.3),
    )


@pytest.mark.parametrize("algorithm", ["linear", "bilinear", "compatible", "mlp"])
@pytest.mark.parametrize("target", ["own_td", "global_td", "global_q", "global_advantage"])
@pytest.mark.parametrize("replay", ["stored", "recomputed"])
def test_every_rule_with_critics_takes_every_target_and_replay(algorithm, target, replay):
    (method,) = profiles.parse(
        minimal(methods=[{"algorithm": algorithm, "target": target, "replay": replay}])
    ).methods
    assert (method.target, method.replay) == (target, replay)


def test_the_option_steps_shortens_every_training_of_a_profile():
    options = commands._parser().parse_args(
        ["report", "table", "--config", str(CONFIGS / "quick.yaml"), "--steps", "7"]
    )
    profile = commands._profile(options)
    found = {profile.steps_for(environment) for environment in profile.environments}
    found |= {profile.ablation.steps, profile.experiment1.steps}
    found |= {profile.asynchronous.training.steps, profile.recurrent.training.steps}
    found |= {profile.clocks.training.steps}
    assert found == {7}
    # Its results are not those of the profile as it is.
    assert profile.profile == "quick-local"


def test_a_profile_with_its_defaults_is_printed_or_written(tmp_path, capsys):
    path = CONFIGS / "quick.yaml"
    commands.run(["config", str(path)])
    printed = capsys.readouterr().out
    commands.run(["config", str(path), "--output", str(tmp_path / "new" / "whole.yaml")])
    assert (tmp_path / "new" / "whole.yaml").read_text() == printed
    assert yaml.safe_load(printed)["profile"] == "quick"


@pytest.mark.parametrize(("text", "given"), [("", "nothing"), ("- a\n", "a list"), ("quick\n", "a str")])
def test_a_file_without_fields_is_refused(tmp_path, text, given):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"mine\.yaml: has {given}; must have fields"):
        profiles.load(path)


def test_an_interrupt_imports_nothing(monkeypatch):
    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "show_config", stop)
    monkeypatch.setattr(commands, "_known_errors", lambda: pytest.fail("imported"))
    with pytest.raises(KeyboardInterrupt):
        commands.run(["config"])


def test_experiment_1_needs_more_steps_than_its_warm_up(tmp_path):
    (job,) = STUDIES["experiment1"].jobs(profiles.parse(minimal(experiment1={"steps": 1000})))
    with pytest.raises(
        ConfigError, match=r"experiment1\.steps = 1000: must be more than .*learning_starts, 1000"
    ):
        experiment1.run(job, tmp_path)


@pytest.mark.parametrize(
    ("record_every", "snapshots", "said"), [(900, 1403, "record_every = 900"), (1, 4, "snapshots = 4")]
)
def test_experiment_1_records_something_after_its_warm_up(record_every, snapshots, said, tmp_path):
    agent = {"algorithm": "ddpg", "learning_starts": 1402}
    given = {"steps": 1403, "record_every": record_every, "snapshots": snapshots, "agent": agent}
    (job,) = STUDIES["experiment1"].jobs(profiles.parse(minimal(experiment1=given)))
    with pytest.raises(ConfigError, match=rf"experiment1\.{said}: nothing would be recorded"):
        experiment1.run(job, tmp_path)


@pytest.mark.parametrize(
    ("study", "agent", "words"),
    [
        ("asynchronous", {"algorithm": "compatible"}, "learned_feedback, node_perturbation, not compatible"),
        (
            "asynchronous",
            {"algorithm": "node_perturbation", "update_every": 2},
            "needs update_every 1, not 2",
        ),
        (
            "asynchronous",
            {"algorithm": "learned_feedback", "action_error": "control_variate"},
            "another action_error",
        ),
        ("asynchronous", {"algorithm": "linear", "optimiser": "adam"}, "needs optimiser sgd, not adam"),
        ("asynchronous", {"algorithm": "linear", "layers_in_turn": 5}, "needs layers_in_turn None, not 5"),
    ],
)
def test_a_rule_that_a_study_cannot_run_is_refused_before_anything_runs(study, agent, words):
    with pytest.raises(ConfigError) as error:
        given = {"agents": [agent]} if study == "asynchronous" else {"agent": agent}
        profiles.parse(minimal(**{study: given}), "my.yaml")
    assert str(error.value).startswith(f"my.yaml: {study}: {next(iter(given))}: ") and words in str(
        error.value
    )


def test_a_profile_extends_another_section_by_section(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    base = minimal(seeds=4, training={"steps": 500, "evaluate_every": 50}, profile="base")
    (tmp_path / "configs" / "base.yaml").write_text(yaml.safe_dump(base))
    own = {"extends": "base", "profile": "own", "training": {"steps": 700}}
    (tmp_path / "configs" / "own.yaml").write_text(yaml.safe_dump(own))
    for profile in (profiles.parse(own), profiles.load("configs/own.yaml"), workflow.resolve(own)):
        assert (profile.profile, profile.seeds, profile.training.steps) == ("own", 4, 700)
        assert profile.training.evaluate_every == 50 and profile.environments[0].name == "Pendulum-v1"
    with pytest.raises(
        ConfigError, match=r"extends = 'bsae': there is no configs/bsae.yaml; known: base, own"
    ):
        profiles.parse(own | {"extends": "bsae"})
    for read in (profiles.parse, workflow.resolve):
        with pytest.raises(ConfigError, match="profile: must be given beside extends"):
            read({"extends": "base", "seeds": 3})
    (tmp_path / "configs" / "base.yaml").write_text(yaml.safe_dump(base | {"extends": "own"}))
    with pytest.raises(ConfigError, match=r"extends itself: configs/base.yaml → configs/own.yaml"):
        profiles.parse(own)
