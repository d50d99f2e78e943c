# How gradient agreement depends on width, noise and number of draws, at the critics of Experiment 1.


rule scaling:
    input:
        snapshots=rules.experiment1.output.snapshots,
    output:
        f"{ROOT}/scaling/{{environment}}/scaling.csv",
    log:
        f"{ROOT}/logs/scaling/{{environment}}.log",
    benchmark:
        f"{ROOT}/benchmarks/scaling/{{environment}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        config=CONFIG,
        depends=scaling_inputs,
    message:
        "Scaling of gradient agreement on {wildcards.environment}"
    shell:
        "subcritic scaling --config {params.config} --environment {wildcards.environment} > {log} 2>&1"


rule scaling_report:
    input:
        collect(rules.scaling.output, environment=ENVIRONMENTS),
    output:
        figure=report(
            f"{ROOT}/figures/scaling.png",
            category="Gradient agreement",
            caption="../report/scaling.rst",
        ),
        table=report(
            f"{ROOT}/table/scaling.csv",
            category="Gradient agreement",
            caption="../report/scaling.rst",
        ),
    log:
        f"{ROOT}/logs/scaling_report.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIG,
        code=reports_code,
        statistics=dump(profile.statistics),
    message:
        "Table and figure of scaling"
    shell:
        "subcritic report scaling --config {params.config} > {log} 2>&1"
