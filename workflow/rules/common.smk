# What several stages share.


rule config:
    output:
        f"{ROOT}/config.yaml",
    params:
        config=json.dumps(dump(profile), sort_keys=True),
    log:
        f"{ROOT}/logs/config.log",
    conda:
        "../../environment.yml"
    localrule: True
    message:
        "Writing the resolved config"
    shell:
        "subcritic config --json {params.config:q} --output {output} > {log} 2>&1"


def experiment1_inputs(wildcards):
    return subcritic_workflow.stage_inputs(profile, "experiment1", wildcards.environment)


def gradients_inputs(wildcards):
    return subcritic_workflow.stage_inputs(profile, "gradients", wildcards.environment)


def experiment2_inputs(wildcards):
    return subcritic_workflow.stage_inputs(profile, "experiment2", wildcards.environment, wildcards.method)


def anchors_inputs(wildcards):
    return subcritic_workflow.stage_inputs(profile, "anchors", wildcards.environment)


def reports_code(wildcards):
    return subcritic_workflow.code_digest("reports", "stats")
