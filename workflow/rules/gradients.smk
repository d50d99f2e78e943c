# Gradient agreement, from the snapshots of Experiment 1.


rule gradients:
    input:
        config=ancient(f"{ROOT}/config.yaml"),
        snapshots=rules.experiment1.output.snapshots,
    output:
        f"{ROOT}/gradients/{{environment}}/agreement.csv",
    params:
        depends=gradients_inputs,
    log:
        f"{ROOT}/logs/gradients/{{environment}}.log",
    benchmark:
        f"{ROOT}/benchmarks/gradients/{{environment}}.tsv"
    threads: 1
    priority: 10
    resources:
        mem_mb=1500,
        runtime=60,
    conda:
        "../../environment.yml"
    message:
        "Gradient agreement on {wildcards.environment}"
    shell:
        "subcritic gradients --config {input.config} --environment {wildcards.environment} > {log} 2>&1"


rule agreement:
    input:
        config=ancient(f"{ROOT}/config.yaml"),
        agreement=collect(rules.gradients.output, environment=ENVIRONMENTS),
        curves=collect(rules.experiment1.output.curves, environment=ENVIRONMENTS),
    output:
        figure=report(
            f"{ROOT}/figures/agreement.png",
            category="Gradient agreement",
            caption="../report/agreement.rst",
        ),
        table=report(
            f"{ROOT}/table/agreement.csv",
            category="Gradient agreement",
            caption="../report/agreement_table.rst",
        ),
        value=f"{ROOT}/table/empirical_value.json",
    params:
        code=reports_code,
        statistics=dump(profile.statistics),
    log:
        f"{ROOT}/logs/agreement.log",
    conda:
        "../../environment.yml"
    localrule: True
    message:
        "Table and figure of gradient agreement"
    shell:
        "subcritic report agreement --config {input.config} > {log} 2>&1"
