# Experiment 1: sub-critics learned beside a DDPG actor, both phases.


rule experiment1:
    input:
        config=ancient(f"{ROOT}/config.yaml"),
    output:
        curves=f"{ROOT}/experiment1/{{environment}}/curves.csv",
        steps=f"{ROOT}/experiment1/{{environment}}/steps_to_similar.csv",
        snapshots=f"{ROOT}/experiment1/{{environment}}/snapshots.pt",
    params:
        depends=experiment1_inputs,
    log:
        f"{ROOT}/logs/experiment1/{{environment}}.log",
    benchmark:
        f"{ROOT}/benchmarks/experiment1/{{environment}}.tsv"
    threads: 1
    # The longest jobs start first.
    priority: 20
    resources:
        mem_mb=1500,
        runtime=240,
    conda:
        "../../environment.yml"
    message:
        "Experiment 1 on {wildcards.environment}"
    shell:
        "subcritic experiment1 --config {input.config} --environment {wildcards.environment} 2>&1 | tee {log}"


rule similarity:
    input:
        config=ancient(f"{ROOT}/config.yaml"),
        curves=collect(rules.experiment1.output.curves, environment=ENVIRONMENTS),
        steps=collect(rules.experiment1.output.steps, environment=ENVIRONMENTS),
    output:
        similarity=report(
            f"{ROOT}/figures/similarity.png",
            category="Experiment 1",
            caption="../report/similarity.rst",
        ),
        values=report(
            f"{ROOT}/figures/values.png", category="Experiment 1", caption="../report/values.rst"
        ),
        table=report(
            f"{ROOT}/table/steps_to_similar.csv",
            category="Experiment 1",
            caption="../report/steps_to_similar.rst",
        ),
    params:
        code=reports_code,
        statistics=dump(profile.statistics),
    log:
        f"{ROOT}/logs/similarity.log",
    conda:
        "../../environment.yml"
    localrule: True
    message:
        "Figures of Experiment 1"
    shell:
        "subcritic report similarity --config {input.config} > {log} 2>&1"
