# What the results of a job depend on besides its input files, as params: a change makes Snakemake run it again.


def experiment1_inputs(wildcards):
    return subcritic_workflow.stage_inputs(
        profile, "experiment1", wildcards.environment
    )


def gradients_inputs(wildcards):
    return subcritic_workflow.stage_inputs(profile, "gradients", wildcards.environment)


def theorem_inputs(wildcards):
    return subcritic_workflow.stage_inputs(profile, "theorem", wildcards.environment)


def scaling_inputs(wildcards):
    return subcritic_workflow.stage_inputs(profile, "scaling", wildcards.environment)


def experiment2_inputs(wildcards):
    return subcritic_workflow.stage_inputs(
        profile, "experiment2", wildcards.environment, wildcards.method
    )


def ablation_inputs(wildcards):
    return subcritic_workflow.stage_inputs(
        profile, "ablation", wildcards.environment, wildcards.attempt
    )


def references_inputs(wildcards):
    return subcritic_workflow.stage_inputs(profile, "references", wildcards.environment)


def gallery_inputs(wildcards):
    return subcritic_workflow.stage_inputs(profile, "gallery", wildcards.environment)


def measured_references(wildcards):
    """Anchors wait for the references of a profile that measures its own."""
    measured = profile.references.source == "measured"
    return rules.references.output if measured else []


def anchors_inputs(wildcards):
    return subcritic_workflow.stage_inputs(profile, "anchors", wildcards.environment)


def reports_code(wildcards):
    return subcritic_workflow.code_digest("reporting", "publishing", "studies", "stats")
