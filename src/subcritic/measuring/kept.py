"""Which seeds of a training of one method are done: finished records of this config and this code."""

from __future__ import annotations

from pathlib import Path

from subcritic.config import digest, dump
from subcritic.measuring.code import job_code
from subcritic.study import Job
from subcritic.tracking import Identity, record

# Files kept with the record of every seed: its actor, what its row of scores says, and what tables say of its method.
POLICY, SCORE, FACTS = "policy.pt", "score.json", "method.json"
# The tag of a record that was not trained here but taken from published runs; it has no actor.
TAKEN = "taken"


def identity_of(job: Job, seed: int) -> Identity:
    return Identity(job.profile, job.study, job.environment, job.method, seed)


def depends_on(job: Job, seed: int) -> dict[str, str]:
    """What the numbers of a seed depend on, as tags of its record."""
    (run,) = job.runs
    return {"config_hash": digest(dump(run.config_of(seed))), "code": job_code(job, run.config)}


def is_kept(job: Job, seed: int, results: Path) -> bool:
    """Whether a seed of a training of one method has a finished record of this config and this code."""
    folder = identity_of(job, seed).folder(results)
    if not (folder / "run.json").is_file():
        return False
    content = record.read(folder)
    files = {SCORE, FACTS} if TAKEN in content["tags"] else {SCORE, FACTS, POLICY}
    return (
        content["status"] == "FINISHED"
        and depends_on(job, seed).items() <= content["tags"].items()
        and files <= content["artifacts"].keys()
    )
