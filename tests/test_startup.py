"""What a command imports is most of what a short one costs."""

import json
import os
import subprocess
import sys

import pytest

from subcritic import forkserver
from subcritic.studies import STUDIES

LIGHT = ("numpy", "pandas", "pydantic", "yaml", "subcritic.commands", "subprocess", "asyncio")
HEAVY = ("torch", "mlflow", "gymnasium", "mujoco", "scipy.stats", "seaborn", "matplotlib.pyplot", "snakemake")
REPORTS = [f"subcritic.studies.{name}.report" for name, study in STUDIES.items() if study.shown]


@pytest.fixture(scope="module")
def imported():
    """Module → which of HEAVY a new process has after importing it."""

    def measure(*modules, of=HEAVY):
        code = (
            "import importlib, json, sys\n"
            f"for name in {modules}: importlib.import_module(name)\n"
            f"print(json.dumps([name for name in {of} if name in sys.modules]))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return set(json.loads(done.stdout))

    return measure


def test_a_command_that_hands_its_job_over_imports_next_to_nothing(imported):
    assert imported("subcritic.cli", of=(*HEAVY, *LIGHT)) == set()


def test_a_report_imports_nothing_that_trains_or_tracks_and_reading_a_profile_neither():
    """All reports, and `report` as a command up to where it finds no results."""
    code = (
        "import importlib, sys\nfrom subcritic import cli, commands\n"
        "commands._known_errors = lambda: (FileNotFoundError,)\n"
        "cli.main(['report', 'table', '--config', 'configs/suite.yaml', '--results', '/nowhere'])\n"
        f"for name in ('subcritic.publishing.summary', *{REPORTS}): importlib.import_module(name)\n"
        f"assert not [name for name in {HEAVY} if name in sys.modules]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "is missing" in done.stderr and done.returncode == 0, done.stderr


def test_the_snakefile_imports_neither_torch_nor_mlflow(imported):
    assert imported("subcritic.workflow") <= {"gymnasium", "mujoco"}


def test_what_a_chain_imports_before_it_forks_is_what_jobs_need_and_starts_no_thread_but_one():
    """That of pyarrow's allocator, which takes care of forks. A training imports nothing that draws or tracks."""
    code = (
        "import pathlib, sys\n"
        "from subcritic import forkserver\n"
        "forkserver.preload(['experiment2'])\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
        "forkserver.preload(['report', 'gradients'])\n"
        "names = ('torch', 'subcritic.studies.experiment2.run', 'subcritic.rules.kernels', 'subcritic.agents.kernels',\n"
        "         'subcritic.studies.gradients.report', 'matplotlib.backends.backend_pdf')\n"
        "print([name for name in names if name not in sys.modules])\n"
        "threads = [path.read_text().strip() for path in pathlib.Path('/proc/self/task').glob('*/comm')]\n"
        "print(sorted(name for name in threads if not name.startswith('jemalloc')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **forkserver.ONE_THREAD},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "['torch', 'gymnasium', 'mujoco']\n[]\n['python']\n"


def test_a_thread_that_an_environment_leaves_behind_does_not_keep_a_command_from_ending(tmp_path):
    (tmp_path / "waits.py").write_text(
        "import threading\n"
        "import gymnasium as gym\n"
        "from gymnasium.envs.classic_control import PendulumEnv\n"
        "class Waits(PendulumEnv):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        threading.Thread(target=threading.Event().wait, name='server').start()\n"
        "gym.register('Waits-v0', Waits, max_episode_steps=200)\n"
    )
    (tmp_path / "p.yaml").write_text(
        "{profile: p, studies: [experiment2], environments: ['waits:Waits-v0'], methods: [{algorithm: ddpg}]}"
    )
    done = subprocess.run(
        [sys.executable, "-m", "subcritic.cli", "config", "p.yaml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and done.stdout.startswith("profile: p")
    assert done.stderr == "subcritic: warning: still running at the end, and stopped: server, server\n"
