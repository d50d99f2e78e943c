"""What a newcomer adds, and how many files of the package that touches: a study, a rule, an environment, an agent.

Each is added to a copy of the package, or to a package of one's own, and then run by Snakemake like all others.
"""

import filecmp
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from .conftest import PROJECT, Workspace

MINE = "--configfile=configs/mine.yaml"
pytestmark = pytest.mark.slow

STUDY = {
    "__init__.py": '''"""How large the weights of trained policies are."""

from subcritic.study import Recorded, Study, View, table
from subcritic.studies.weights.settings import Weights, jobs

STUDY = Study(
    name="weights",
    question="How large are the weights of trained policies?",
    view=View("Weights: how large the weights of trained policies are, for every method and seed of Experiment 2."),
    settings=Weights,
    jobs=jobs,
    over=("environment", "method"),
    records={"norms": Recorded("weights/{environment}/{method}.csv", ("environment", "method", "seed", "norm"))},
    shown={"table": table("weights.csv", "weights", about="norms of weights")},
)
''',
    "settings.py": '''"""Its section of a config, and its jobs."""

from pydantic import Field

from subcritic.config import MethodTraining, Rate, Section
from subcritic.studies import experiment2
from subcritic.study import Job, Run


class Weights(Section):
    """Which norm."""

    exponent: Rate = Field(2.0, description="Exponent of the norm.")


class Config(Section):
    """All that a job depends on."""

    policy: MethodTraining
    weights: Weights


def jobs(profile):
    for trained in experiment2.STUDY.jobs(profile):
        config = Config(policy=trained.config, weights=profile.section(Weights))
        where = trained.environment, trained.method
        reads = (trained.path(experiment2.STUDY.records["policy"].path),)
        run = Run(*where, config)
        yield Job("weights", profile.profile, config, *where, reads=reads, runs=(run,), seeds=trained.seeds)
''',
    "run.py": '''"""Measures the norms."""

import pandas as pd

from subcritic.measuring import policies
from subcritic.measuring.tables import paths, record, write_csv
from subcritic.studies.weights import STUDY


def run(job, results):
    _, flat, seeds = policies.load(results / job.profile / job.reads[0])
    norms = flat.norm(p=job.config.weights.exponent, dim=1).tolist()
    record(job, results, pd.DataFrame({"seed": seeds, "step": 0, "metric": "norm", "value": norms}))
    table = pd.DataFrame({"environment": job.environment, "method": job.method, "seed": seeds, "norm": norms})
    return [write_csv(paths(job, STUDY, results)["norms"], table)]
''',
    "report.py": '''"""Shows the norms."""

from subcritic.reporting import documents, records
from subcritic.studies.weights import STUDY


def make(profile, root):
    norms = records.read(STUDY, "norms", profile, root)
    mean = norms.groupby(["environment", "method"], as_index=False, sort=False)["norm"].mean()
    return [documents.write(root / "table" / "weights.csv", mean)]


def section(folder, link):
    return [f"The norms: [weights.csv]({link}/weights.csv).\\n"]
''',
    "weights.rst": "Norm of the weights of trained policies.\n",
}

RULE = '''"""A rule that follows the reward along its own output."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from subcritic.config import LocalSettings
from subcritic.rules.base import Rule, shared
from subcritic.rules.protocol import NO_BROADCAST


class NewSettings(LocalSettings):
    gain: float = Field(1.0, description="Factor of the local error.")


@dataclass(frozen=True)
class NewRule(Rule):
    """K^n += η_A mean(gain r α v)."""

    gain: float = 1.0
    Settings: ClassVar = NewSettings

    @classmethod
    def from_settings(cls, settings, action_size):
        return cls(**shared(settings), gain=settings.gain)

    @property
    def receives(self):
        return frozenset({"voltage", "alpha", "reward"})

    def local_error(self, state, layer, transition, broadcast=NO_BROADCAST):
        return self.gain * transition.reward * transition.alpha
'''

ENVIRONMENT = """import gymnasium as gym
from gymnasium.envs.classic_control.pendulum import PendulumEnv


class HeavyPendulum(PendulumEnv):
    def __init__(self):
        super().__init__(g=12.0)


# No time limit: the config gives one.
gym.register("Heavy-v0", "my_tasks:HeavyPendulum")
"""

SMALL = {"hidden": [6, 5], "batch_size": 16, "learning_starts": 60}
CONFIG = {
    "profile": "mine",
    "seeds": 2,
    "studies": ["table", "weights"],
    "environments": [{"id": "my_tasks:Heavy-v0", "max_episode_steps": 50}],
    "methods": [
        {"algorithm": "ddpg", **SMALL},
        {"algorithm": "new_rule", "gain": 0.5, **SMALL},
        {"algorithm": "own_agents:WanderingAgent", **SMALL},
    ],
    "training": {"steps": 200, "evaluate_every": 100, "evaluation_episodes": 1, "final_episodes": 2},
    "anchors": {"random_episodes": 10},
}


def add_line(path: Path, after: str, line: str) -> None:
    text = path.read_text()
    assert after in text
    path.write_text(text.replace(after, f"{after}\n{line}", 1))


@pytest.fixture(scope="module")
def added(tmp_path_factory):
    """A copy of the package with a study and a rule more, a package of one's own beside it, and a workspace to run both."""
    workspace = Workspace(tmp_path_factory.mktemp("newcomer"))
    source, own = workspace.folder / "src", workspace.folder / "own"
    package = source / "subcritic"
    shutil.copytree(PROJECT / "src" / "subcritic", package, ignore=shutil.ignore_patterns("__pycache__"))
    # A study: one folder, one line.
    (package / "studies" / "weights").mkdir()
    for name, text in STUDY.items():
        (package / "studies" / "weights" / name).write_text(text)
    add_line(package / "studies" / "__init__.py", '    "lab_book",', '    "weights",')
    # A rule: one file, one line.
    (package / "rules" / "new_rule.py").write_text(RULE)
    add_line(
        package / "rules" / "__init__.py",
        "RULES: dict[str, str] = {",
        '    "new_rule": "subcritic.rules.new_rule:NewRule",',
    )
    # An environment and an agent: no file of the package.
    own.mkdir()
    (own / "my_tasks.py").write_text(ENVIRONMENT)
    shutil.copy(PROJECT / "tests" / "own_package" / "own_agents.py", own)
    workspace.environment["PYTHONPATH"] = f"{source}:{own}"
    # A copy of the package would compile its functions anew.
    workspace.environment["SUBCRITIC_COMPILED"] = "0"
    (workspace.folder / "configs" / "mine.yaml").write_text(yaml.safe_dump(CONFIG))
    yield workspace
    workspace.kill()


def differences(compared: filecmp.dircmp) -> tuple[set[str], set[str]]:
    """Names that are only in the copy, and names that differ."""
    new, changed = set(compared.right_only), set(compared.diff_files)
    for sub in compared.subdirs.values():
        more = differences(sub)
        new, changed = new | more[0], changed | more[1]
    return new - {"__pycache__"}, changed


def test_a_study_is_a_folder_and_a_line_a_rule_a_file_and_a_line_and_the_others_no_file(added):
    ours, theirs = PROJECT / "src" / "subcritic", added.folder / "src" / "subcritic"
    new, changed = differences(filecmp.dircmp(ours, theirs, ignore=["__pycache__"]))
    assert new == {"weights", "new_rule.py"} and changed == {"__init__.py"}
    for name in ("studies", "rules"):
        before = (ours / name / "__init__.py").read_text().splitlines()
        after = (theirs / name / "__init__.py").read_text().splitlines()
        assert len(after) == len(before) + 1 and set(before) <= set(after)


@pytest.fixture(scope="module")
def reproduced(added):
    """The workspace after one run of the profile that uses all four."""
    done = added.run("subcritic", "reproduce", "--profile", "mine")
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return added


def test_all_four_run_are_recorded_shown_and_published(reproduced):
    added = reproduced
    root = added.results / "mine"
    norms = pd.read_csv(root / "table" / "weights.csv")
    assert list(norms.method) == ["ddpg", "new-rule", "wandering-agent"] and (norms.norm > 0).all()
    scores = pd.read_csv(root / "experiment2" / "Heavy-v0" / "new-rule.scores.csv")
    assert set(scores.role) == {"local"} and scores.score.notna().all()
    wandering = pd.read_csv(root / "experiment2" / "Heavy-v0" / "wandering-agent.scores.csv")
    assert set(wandering.role) == {"control"}
    assert "norms of weights" in (root / "summary.md").read_text()
    assert "Nothing to be done" in added.plan(MINE)
    (added.folder / "docs").mkdir()
    published = added.run("subcritic", "publish", "--profile", "mine")
    assert published.returncode == 0, published.stderr
    page = (added.folder / "docs" / "results.md").read_text()
    assert "### How large are the weights of trained policies?" in page and "weights.csv" in page
    assert (added.results / "published" / "mine" / "weights.csv").is_file()


def test_mlflow_shows_the_new_study_after_all_others(reproduced):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{reproduced.results / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name.endswith("-weights")]
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 3 * 2 + 1 and {run.info.status for run in runs} == {"FINISHED"}


def test_settings_of_the_new_study_repeat_it_and_a_changed_environment_what_uses_it(reproduced):
    added = reproduced
    said = added.plan(MINE, "--config", "weights={exponent: 1.0}")
    assert "weights" in said and "experiment2" not in said.replace("experiment2/", "")
    task = added.folder / "own" / "my_tasks.py"
    text = task.read_text()
    task.write_text(text.replace("g=12.0", "g=13.0"))
    try:
        said = added.plan(MINE)
    finally:
        task.write_text(text)
    assert "experiment2" in said and "anchors" in said
