# The whole reproduction. `snakemake` alone runs the quick profile; `--configfile configs/standard.yaml` another one;
# `--config seeds=5` changes single values of the quick profile.
import json

from snakemake.exceptions import WorkflowError

from subcritic import workflow as subcritic_workflow
from subcritic.config import ConfigError, dump

try:
    profile = subcritic_workflow.resolve(config)
except ConfigError as error:
    raise WorkflowError(str(error))

ROOT = f"results/{profile.profile}"
# Written when a run starts; what a job depends on of it is among the job's params.
CONFIG = f"{ROOT}/config.yaml"
RESOLVED = json.dumps(dump(profile))
ENVIRONMENTS = [environment.name for environment in profile.environments]
METHODS = [method.name for method in profile.methods]


FIGURES = [
    "similarity",
    "values",
    "learning",
    "ablation",
    "theorem",
    "scaling",
    "asynchronous",
    "recurrent",
]
RESULTS = [
    f"{ROOT}/summary.md",
    *collect("{root}/figures/{name}.png", root=ROOT, name=FIGURES),
]
# A profile that keeps a lab book trains its attempts and nothing else.
LAB_BOOK = f"{ROOT}/table/lab_book.md"
# A profile of the suite measures its tasks, films them, and shows how they are learned.
SUITE = [
    f"{ROOT}/table/references.csv",
    f"{ROOT}/table/table.md",
    *collect("{root}/figures/{name}.png", root=ROOT, name=["gallery", "learning"]),
]
TARGETS = {"results": RESULTS, "lab_book": LAB_BOOK, "suite": SUITE}


wildcard_constraints:
    environment="|".join(ENVIRONMENTS),
    method="|".join(METHODS),


include: "workflow/rules/common.smk"
include: "workflow/rules/environments.smk"
include: "workflow/rules/experiment1.smk"
include: "workflow/rules/gradients.smk"
include: "workflow/rules/experiment2.smk"
include: "workflow/rules/ablation.smk"
include: "workflow/rules/table.smk"
include: "workflow/rules/throughput.smk"
include: "workflow/rules/theorem.smk"
include: "workflow/rules/scaling.smk"
include: "workflow/rules/asynchronous.smk"
include: "workflow/rules/recurrent.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        TARGETS[profile.purpose],


onstart:
    shell("subcritic config --json {RESOLVED:q} --output {CONFIG}")
    shell("subcritic tracking init")


onerror:
    shell("subcritic tracking sweep")
