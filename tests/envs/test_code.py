"""What the code of an environment is, for digests."""

import json
from importlib import metadata

import pytest

from subcritic import envs, provenance
from subcritic.envs import code


def families(environment_id):
    names = {name.rpartition("/")[2] for name in envs.code_of(environment_id)["files"]}
    return sorted(names & {"arms.py", "arm_models.py", "arm_tasks.py", "poles.py", "runners.py", "tasks.py"})


@pytest.mark.parametrize(
    ("id", "files"),
    [
        ("subcritic/Cheetah-v0", ["runners.py", "tasks.py"]),
        ("subcritic/CartRest-v0", ["poles.py", "tasks.py"]),
        ("subcritic/BlockLift-v0", ["arm_models.py", "arm_tasks.py", "arms.py", "tasks.py"]),
        ("subcritic/Cart-v0", ["tasks.py"]),
    ],
)
def test_a_task_of_ours_consists_of_its_own_family(id, files):
    assert families(id) == files
    assert all((provenance.PACKAGE / name).is_file() for name in envs.code_of(id)["files"])


def test_an_installed_environment_is_its_distribution_and_the_simulator_it_imports():
    def versions(*names):
        return {"packages": {name: metadata.version(name) for name in names}}

    assert envs.code_of("Pendulum-v1") == versions("gymnasium")
    assert envs.code_of("HalfCheetah-v5") == versions("gymnasium", "mujoco")
    assert envs.code_of("LunarLanderContinuous-v3") == versions("gymnasium", "Box2D")
    assert "mujoco" in envs.code_of("subcritic/Cheetah-v0")["packages"]
    assert "mujoco" not in envs.code_of("subcritic/Cart-v0")["packages"]


def test_a_foreign_environment_changes_with_its_source_and_is_not_run(package):
    name = package.write(reset="raise RuntimeError('run')", step="raise RuntimeError('run')")
    first = envs.code_of(name)
    assert set(first) == {"packages", "source"} and first == envs.code_of(name)
    assert json.loads(json.dumps(first)) == first
    package.write(step="pass")
    second = envs.code_of(name)
    (package.folder / "model.xml").write_text("<mujoco/>")
    third = envs.code_of(name)
    assert len({first["source"], second["source"], third["source"]}) == 3
    (package.folder / "__pycache__").mkdir(exist_ok=True)
    (package.folder / "__pycache__" / "more.pyc").write_text("bytecode")
    assert envs.code_of(name) == third


def test_a_simulator_is_found_behind_the_modules_of_the_package(package):
    name = package.write(extra="def model():\n    from .physics import world\n")
    assert envs.code_of(name)["packages"] == {}
    (package.folder / "physics.py").write_text("import mujoco.viewer as viewer\n")
    assert envs.code_of(name)["packages"] == {"mujoco": metadata.version("mujoco")}


def test_a_module_in_a_file_of_its_own_is_hashed_alone(package):
    name = package.write()
    file = package.folder.with_suffix(".py")
    (package.folder / "__init__.py").rename(file)
    package.folder.rmdir()
    first = envs.code_of(name)["source"]
    (file.parent / "beside.py").write_text("")
    assert envs.code_of(name)["source"] == first
    file.write_text(file.read_text() + "# a comment\n")
    assert envs.code_of(name)["source"] != first


@pytest.mark.parametrize("editable", [False, True])
def test_only_what_was_installed_from_an_index_is_known_by_its_version(package, tmp_path, editable):
    name = package.write()
    installed = tmp_path / "swimmers-1.2.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: swimmers\nVersion: 1.2\n")
    (installed / "top_level.txt").write_text(f"{package.name}\n")
    if editable:
        (installed / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    code._distributions.cache_clear()
    try:
        found = envs.code_of(name)
    finally:
        code._distributions.cache_clear()
    assert found["packages"] == {"swimmers": "1.2"}
    assert ("source" in found) == editable


@pytest.mark.parametrize(
    ("id", "complaint"),
    [
        ("Pendulm-v1", "unknown environment 'Pendulm-v1'.*there is Pendulum-v1"),
        ("no_such_package:Swim-v0", "no_such_package"),
    ],
)
def test_an_unknown_environment_has_no_code(id, complaint):
    with pytest.raises(envs.UnusableEnvironment, match=complaint):
        envs.code_of(id)
