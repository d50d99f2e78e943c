# Theorem 2.2.4 on the trained agents of Experiment 1.


rule theorem:
    input:
        snapshots=rules.experiment1.output.snapshots,
    output:
        f"{ROOT}/theorem/{{environment}}/theorem.csv",
    log:
        f"{ROOT}/logs/theorem/{{environment}}.log",
    benchmark:
        f"{ROOT}/benchmarks/theorem/{{environment}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        config=CONFIG,
        depends=theorem_inputs,
    message:
        "Theorem 2.2.4 on {wildcards.environment}"
    shell:
        "subcritic theorem --config {params.config} --environment {wildcards.environment} > {log} 2>&1"


rule theorem_report:
    input:
        collect(rules.theorem.output, environment=ENVIRONMENTS),
    output:
        figure=report(
            f"{ROOT}/figures/theorem.png",
            category="Theorem 2.2.4",
            caption="../report/theorem.rst",
        ),
        table=report(
            f"{ROOT}/table/theorem.csv",
            category="Theorem 2.2.4",
            caption="../report/theorem.rst",
        ),
    log:
        f"{ROOT}/logs/theorem_report.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIG,
        code=reports_code,
        statistics=dump(profile.statistics),
    message:
        "Table and figure of Theorem 2.2.4"
    shell:
        "subcritic report theorem --config {params.config} > {log} 2>&1"
