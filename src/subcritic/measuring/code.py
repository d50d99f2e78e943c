"""The code that a job runs, as a digest: of its study, of the learners in its config, and of its environments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from subcritic import envs, provenance
from subcritic.config import AgentSettings, Section, Task, digest
from subcritic.config.methods import module
from subcritic.rules import RULES
from subcritic.study import Job


def job_code(job: Job, config: Section | None = None) -> str:
    """Twelve hex digits over all code that the job's numbers depend on, versions of foreign environments included.

    config: of one run of the job, to leave out the environments and learners of its other runs; None: of the whole job.
    """
    roots, environments, learners = [f"studies/{job.study}/run.py"], {}, {}
    parts = list(parts_of(job.config if config is None else config))
    for part in parts:
        if isinstance(part, Task):
            code = envs.code_of(part.id)
            roots += code.pop("files", [])
            environments[part.id] = code
    algorithms = [part.algorithm for part in parts if isinstance(part, AgentSettings)]
    for algorithm in (*algorithms, *job.learners):
        files, source = learner_code(algorithm)
        roots += files
        learners |= source
    return digest({"code": provenance.code_digest(roots), "environments": environments, "learners": learners})


def learner_code(algorithm: str) -> tuple[list[str], dict[str, str]]:
    """What an agent or a rule consists of, found without importing it: files of this package, and the digest of another's.

    Settings of local rules decide what a learner is made of, so their file counts with each of them.
    """
    shared = ["config/local.py"] if algorithm in RULES else []
    top, *steps = module(algorithm).split(".")
    if top == provenance.PACKAGE.name:
        return ["/".join(steps) + ".py", *shared], {}
    return ["config/local.py"], {algorithm: envs.source_digest(top, algorithm)}


def parts_of(section: Any) -> Iterator[BaseModel]:
    """A section of a config, and all sections within it."""
    if isinstance(section, BaseModel):
        yield section
        for name in type(section).model_fields:
            yield from parts_of(getattr(section, name))
    elif isinstance(section, (tuple, list)):
        for entry in section:
            yield from parts_of(entry)
