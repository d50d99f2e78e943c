# Experiment 1: sub-critics learned beside a DDPG actor, both phases.


rule experiment1:
    output:
        curves=f"{ROOT}/experiment1/{{environment}}/curves.csv",
        steps=f"{ROOT}/experiment1/{{environment}}/steps_to_similar.csv",
        snapshots=f"{ROOT}/experiment1/{{environment}}/snapshots.pt",
    log:
        f"{ROOT}/logs/experiment1/{{environment}}.log",
    benchmark:
        f"{ROOT}/benchmarks/experiment1/{{environment}}.tsv"
    # The longest jobs start first.
    priority: 20
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=240,
    params:
        config=CONFIG,
        depends=experiment1_inputs,
    message:
        "Experiment 1 on {wildcards.environment}"
    shell:
        "subcritic experiment1 --config {params.config} --environment {wildcards.environment} 2>&1 | tee -i {log}"


rule similarity:
    input:
        curves=collect(rules.experiment1.output.curves, environment=ENVIRONMENTS),
        steps=collect(rules.experiment1.output.steps, environment=ENVIRONMENTS),
    output:
        similarity=report(
            f"{ROOT}/figures/similarity.png",
            category="Experiment 1",
            caption="../report/similarity.rst",
        ),
        values=report(
            f"{ROOT}/figures/values.png",
            category="Experiment 1",
            caption="../report/values.rst",
        ),
        table=report(
            f"{ROOT}/table/steps_to_similar.csv",
            category="Experiment 1",
            caption="../report/steps_to_similar.rst",
        ),
    log:
        f"{ROOT}/logs/similarity.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIG,
        code=reports_code,
        statistics=dump(profile.statistics),
    message:
        "Figures of Experiment 1"
    shell:
        "subcritic report similarity --config {params.config} > {log} 2>&1"
