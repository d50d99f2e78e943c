"""The code that a job runs, as a digest: of its study, of the learners in its config, and of its environments."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from subcritic import envs, provenance
from subcritic.config import AgentSettings, Task, digest
from subcritic.config.methods import module
from subcritic.study import Job


def job_code(job: Job) -> str:
    """Twelve hex digits over all code that the job's numbers depend on, versions of foreign environments included."""
    roots, environments, learners = [f"studies/{job.study}/run.py"], {}, {}
    for part in parts_of(job.config):
        if isinstance(part, Task):
            code = envs.code_of(part.id)
            roots += code.pop("files", [])
            environments[part.id] = code
    algorithms = [part.algorithm for part in parts_of(job.config) if isinstance(part, AgentSettings)]
    for algorithm in (*algorithms, *job.learners):
        code = learner_code(algorithm)
        roots += code.pop("files", [])
        learners[algorithm] = code
    code = {"code": provenance.code_digest(roots), "environments": environments}
    # None but of other packages has an entry, so that learners of this one are told apart by their files alone.
    foreign = {name: source for name, source in learners.items() if source}
    return digest(code | ({"learners": foreign} if foreign else {}))


def learner_code(algorithm: str) -> dict[str, Any]:
    """What an agent or a rule consists of, found without importing it.

    `files`: its file in this package. `source`: for one of another package, the bytes of all that package's modules.
    """
    top, *steps = module(algorithm).split(".")
    if top == provenance.PACKAGE.name:
        return {"files": ["/".join(steps) + ".py"]}
    spec = util.find_spec(top)
    if spec is None or spec.origin is None:
        return {"source": None}
    origin = Path(spec.origin)
    files = sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
    return {"source": digest([file.read_text() for file in files])}


def parts_of(section: Any) -> Iterator[BaseModel]:
    """A section of a config, and all sections within it."""
    if isinstance(section, BaseModel):
        yield section
        for name in type(section).model_fields:
            yield from parts_of(getattr(section, name))
    elif isinstance(section, (tuple, list)):
        for entry in section:
            yield from parts_of(entry)
