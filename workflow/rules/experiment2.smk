# Experiment 2: every method on every environment, all seeds of one pair in one job.


rule experiment2:
    output:
        curves=f"{ROOT}/experiment2/{{environment}}/{{method}}.csv",
        scores=f"{ROOT}/experiment2/{{environment}}/{{method}}.scores.csv",
    log:
        f"{ROOT}/logs/experiment2/{{environment}}/{{method}}.log",
    benchmark:
        f"{ROOT}/benchmarks/experiment2/{{environment}}/{{method}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=240,
    params:
        config=CONFIG,
        depends=experiment2_inputs,
    message:
        "Experiment 2: {wildcards.method} on {wildcards.environment}"
    shell:
        "subcritic experiment2 --config {params.config} --environment {wildcards.environment}"
        " --method {wildcards.method} 2>&1 | tee -i {log}"


rule learning:
    input:
        curves=collect(
            rules.experiment2.output.curves, environment=ENVIRONMENTS, method=METHODS
        ),
        scores=collect(
            rules.experiment2.output.scores, environment=ENVIRONMENTS, method=METHODS
        ),
        anchors=collect(
            f"{ROOT}/anchors/{{environment}}.json", environment=ENVIRONMENTS
        ),
    output:
        learning=report(
            f"{ROOT}/figures/learning.png",
            category="Experiment 2",
            caption="../report/learning.rst",
        ),
        cosine=report(
            f"{ROOT}/figures/cosine.png",
            category="Experiment 2",
            caption="../report/cosine.rst",
        ),
    log:
        f"{ROOT}/logs/learning.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIG,
        code=reports_code,
        statistics=dump(profile.statistics),
    message:
        "Learning curves"
    shell:
        "subcritic report learning --config {params.config} > {log} 2>&1"
