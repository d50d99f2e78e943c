# The whole reproduction. `snakemake` alone runs the quick profile; `--configfile=configs/standard.yaml` another one;
# `--config seeds=5` changes single values of the quick profile.
from pathlib import Path

from snakemake.exceptions import WorkflowError

from subcritic import workflow as subcritic_workflow
from subcritic.config import ConfigError
from subcritic.studies import STUDIES

try:
    profile = subcritic_workflow.resolve(config)
    ROOT = f"results/{profile.profile}"
    if workflow.remote_exec:
        subcritic_workflow.enter_node(profile, Path(ROOT))
except ConfigError as error:
    raise WorkflowError(str(error))

# Written when a run starts; what a job depends on of it is among the job's params.
CONFIG = f"{ROOT}/config.yaml"


include: "workflow/rules/studies.smk"


rule summary:
    input:
        subcritic_workflow.shown(profile, ROOT),
    output:
        report(f"{ROOT}/summary.md", category="Summary", caption="workflow/summary.rst"),
    log:
        f"{ROOT}/logs/summary.log",
    localrule: True
    conda:
        "environment.yml"
    threads: 1
    resources:
        **subcritic_workflow.REPORT_NEEDS,
    params:
        config=CONFIG,
        depends=subcritic_workflow.summary_depends_on(profile),
    message:
        "Summary"
    shell:
        "subcritic report summary --config {params.config} > {log} 2>&1 && cat {output}"


rule all:
    default_target: True
    input:
        rules.summary.output,


onstart:
    subcritic_workflow.begin(profile, Path(ROOT))


onsuccess:
    subcritic_workflow.end(Path(ROOT))


onerror:
    subcritic_workflow.end(Path(ROOT))
