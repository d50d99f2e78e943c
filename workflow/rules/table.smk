# The results table: anchors that normalise, scores of Experiment 2, aggregates.


rule anchors:
    input:
        config=ancient(f"{ROOT}/config.yaml"),
    output:
        f"{ROOT}/anchors/{{environment}}.json",
    params:
        depends=anchors_inputs,
    log:
        f"{ROOT}/logs/anchors/{{environment}}.log",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    conda:
        "../../environment.yml"
    message:
        "Random policy on {wildcards.environment}"
    shell:
        "subcritic anchors --config {input.config} --environment {wildcards.environment} > {log} 2>&1"


rule table:
    input:
        config=ancient(f"{ROOT}/config.yaml"),
        scores=collect(rules.experiment2.output.scores, environment=ENVIRONMENTS, method=METHODS),
        anchors=collect(rules.anchors.output, environment=ENVIRONMENTS),
    output:
        csv=report(f"{ROOT}/table/table.csv", category="Results", caption="../report/table.rst"),
        markdown=f"{ROOT}/table/table.md",
        latex=f"{ROOT}/table/table.tex",
        aggregates=report(
            f"{ROOT}/table/aggregates.csv", category="Results", caption="../report/aggregates.rst"
        ),
        figure=report(
            f"{ROOT}/figures/table.png", category="Results", caption="../report/table_figure.rst"
        ),
    params:
        code=reports_code,
        statistics=dump(profile.statistics),
    log:
        f"{ROOT}/logs/table.log",
    conda:
        "../../environment.yml"
    localrule: True
    message:
        "Results table"
    shell:
        "subcritic report table --config {input.config} > {log} 2>&1"
