"""The code that a job runs, as a digest: of its study, of the learners in its config, and of its environments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from subcritic import provenance
from subcritic.config import digest
from subcritic.study import Job


def job_code(job: Job) -> str:
    """Twelve hex digits over all code that the job's numbers depend on, versions of foreign environments included."""
    roots = [f"studies/{job.study}/run.py"]
    environments = {}
    return digest({"code": provenance.code_digest(roots), "environments": environments})


def parts_of(section: Any) -> Iterator[BaseModel]:
    """A section of a config, and all sections within it."""
    if isinstance(section, BaseModel):
        yield section
        for name in type(section).model_fields:
            yield from parts_of(getattr(section, name))
    elif isinstance(section, (tuple, list)):
        for entry in section:
            yield from parts_of(entry)
