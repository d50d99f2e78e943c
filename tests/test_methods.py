"""Every method has settings of its own class, a role, and reads back as itself; a recorded one needs no class."""

import subprocess
import sys

import pytest
import yaml

from subcritic import config, profiles
from subcritic.config import ConfigError, methods, parse_method
from subcritic.rules import RULES


def minimal(**changes):
    return {
        "profile": "test",
        "environments": ["Pendulum-v1"],
        "methods": [{"algorithm": "ddpg"}, {"algorithm": "linear"}],
        **changes,
    }


@pytest.mark.parametrize("algorithm", [*methods.AGENTS, *RULES])
def test_every_method_has_a_role_and_every_setting_its_description(algorithm):
    settings = parse_method({"algorithm": algorithm})
    taught = dict.fromkeys(("ddpg", "stable_baselines3"), "backpropagation")
    others = taught | {"random_direction": "control"}
    assert settings.role == others.get(algorithm, "local")
    assert "role" not in config.dump(settings)
    assert all(field.description for field in type(settings).model_fields.values())


def test_a_rule_holds_the_settings_that_all_share_and_its_own():
    shared = set(config.dump(parse_method({"algorithm": "linear"})))
    own = {name: set(config.dump(parse_method({"algorithm": name}))) - shared for name in RULES}
    imagining = {"draws", "perturbation_scale"}
    assert {name: keys for name, keys in own.items() if keys} == {
        "compatible": imagining | {"natural", "value_rate", "trace", "trace_length"},
        "coagent": {"own_critic", "own_critic_hidden", "critic_reads", "reads", "trace", "trace_length"},
        "node_perturbation": imagining,
        "learned_feedback": imagining | {"action_error", "feedback_inputs"},
    }


def test_a_method_says_which_module_its_numbers_depend_on_without_importing_it():
    assert methods.module("linear") == "subcritic.rules.linear"
    assert methods.module("ddpg") == "subcritic.agents.ddpg"
    assert methods.module("not_there.rules:Mine") == "not_there.rules"


def test_settings_read_back_as_themselves_with_all_defaults_written_out():
    for algorithm in (*methods.AGENTS, *RULES):
        settings = parse_method({"algorithm": algorithm})
        assert parse_method(config.dump(settings)) == settings


def test_what_was_recorded_of_any_agent_can_be_read_by_reports():
    given = [{"algorithm": algorithm} for algorithm in (*methods.AGENTS, *RULES)]
    given += [
        {
            "algorithm": algorithm,
            "name": f"seeing-{algorithm.partition('_')[0]}",
            "encoder": {"trained": trained},
        }
        for algorithm, trained in (("ddpg", "separately"), ("learned_feedback", "by_critic"))
    ]
    written = config.dump(profiles.parse(minimal(methods=given)))
    recorded = profiles.parse(written, recorded=True)
    assert [method.hidden for method in recorded.methods] == [parse_method(data).hidden for data in given]


def test_a_method_without_an_algorithm_is_told_which_there_are():
    with pytest.raises(
        ConfigError,
        match=r"methods\[0\]\.algorithm = None: must be given: one of: ddpg, ars, stable_baselines3, linear",
    ):
        profiles.parse(minimal(methods=[{"hidden": [8]}]))


def test_a_stage_of_local_rules_refuses_ddpg():
    with pytest.raises(ConfigError, match=r"asynchronous\.agents\S* must be a local rule, not ddpg"):
        profiles.parse(minimal(asynchronous={"agents": [{"algorithm": "ddpg"}]}))


def test_a_recorded_config_keeps_what_it_says_whatever_today_calls_it():
    given = config.dump(profiles.parse(minimal()))
    given["methods"][1] |= {"algorithm": "gone.rules:Forgotten", "old_knob": 3}
    recorded = profiles.parse(given, recorded=True)
    assert config.dump(recorded) == given
    assert isinstance(recorded.methods[1], config.RecordedMethod) and recorded.methods[1].old_knob == 3
    assert [recorded.methods[0].role, recorded.ablation.methods[1].role] == ["backpropagation", "control"]


def test_neither_the_schema_nor_a_recorded_config_loads_torch(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config.dump(profiles.parse(minimal()))))
    code = (
        "import sys, subcritic.rules; from subcritic import profiles; before = 'torch' in sys.modules; "
        f"profiles.load({str(path)!r}, recorded=True); print(before, 'torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["False", "False"]
