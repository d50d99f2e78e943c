# Experiment 2: every method on every environment, all seeds of one pair in one job.


rule experiment2:
    input:
        config=ancient(f"{ROOT}/config.yaml"),
    output:
        curves=f"{ROOT}/experiment2/{{environment}}/{{method}}.csv",
        scores=f"{ROOT}/experiment2/{{environment}}/{{method}}.scores.csv",
    params:
        depends=experiment2_inputs,
    log:
        f"{ROOT}/logs/experiment2/{{environment}}/{{method}}.log",
    benchmark:
        f"{ROOT}/benchmarks/experiment2/{{environment}}/{{method}}.tsv"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=240,
    conda:
        "../../environment.yml"
    message:
        "Experiment 2: {wildcards.method} on {wildcards.environment}"
    shell:
        "subcritic experiment2 --config {input.config} --environment {wildcards.environment}"
        " --method {wildcards.method} 2>&1 | tee {log}"


rule learning:
    input:
        config=ancient(f"{ROOT}/config.yaml"),
        curves=collect(rules.experiment2.output.curves, environment=ENVIRONMENTS, method=METHODS),
        scores=collect(rules.experiment2.output.scores, environment=ENVIRONMENTS, method=METHODS),
        anchors=collect(f"{ROOT}/anchors/{{environment}}.json", environment=ENVIRONMENTS),
    output:
        report(
            f"{ROOT}/figures/learning.png", category="Experiment 2", caption="../report/learning.rst"
        ),
    params:
        code=reports_code,
        statistics=dump(profile.statistics),
    log:
        f"{ROOT}/logs/learning.log",
    conda:
        "../../environment.yml"
    localrule: True
    message:
        "Learning curves"
    shell:
        "subcritic report learning --config {input.config} > {log} 2>&1"
