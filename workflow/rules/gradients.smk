# Gradient agreement, from the snapshots of Experiment 1.


rule gradients:
    input:
        snapshots=rules.experiment1.output.snapshots,
    output:
        f"{ROOT}/gradients/{{environment}}/agreement.csv",
    log:
        f"{ROOT}/logs/gradients/{{environment}}.log",
    benchmark:
        f"{ROOT}/benchmarks/gradients/{{environment}}.tsv"
    priority: 10
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        config=CONFIG,
        depends=gradients_inputs,
    message:
        "Gradient agreement on {wildcards.environment}"
    shell:
        "subcritic gradients --config {params.config} --environment {wildcards.environment} > {log} 2>&1"


rule agreement:
    input:
        agreement=collect(rules.gradients.output, environment=ENVIRONMENTS),
        curves=collect(rules.experiment1.output.curves, environment=ENVIRONMENTS),
    output:
        figure=report(
            f"{ROOT}/figures/agreement.png",
            category="Gradient agreement",
            caption="../report/agreement.rst",
        ),
        training=report(
            f"{ROOT}/figures/agreement_training.png",
            category="Gradient agreement",
            caption="../report/agreement_training.rst",
        ),
        table=report(
            f"{ROOT}/table/agreement.csv",
            category="Gradient agreement",
            caption="../report/agreement_table.rst",
        ),
        value=f"{ROOT}/table/empirical_value.json",
    log:
        f"{ROOT}/logs/agreement.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIG,
        code=reports_code,
        statistics=dump(profile.statistics),
    message:
        "Table and figure of gradient agreement"
    shell:
        "subcritic report agreement --config {params.config} > {log} 2>&1"
