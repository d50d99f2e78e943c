# The results table: anchors that normalise, scores of Experiment 2, aggregates.


rule anchors:
    input:
        measured_references,
    output:
        f"{ROOT}/anchors/{{environment}}.json",
    log:
        f"{ROOT}/logs/anchors/{{environment}}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        config=CONFIG,
        depends=anchors_inputs,
    message:
        "Random policy on {wildcards.environment}"
    shell:
        "subcritic anchors --config {params.config} --environment {wildcards.environment} > {log} 2>&1"


rule table:
    input:
        scores=collect(
            rules.experiment2.output.scores, environment=ENVIRONMENTS, method=METHODS
        ),
        anchors=collect(rules.anchors.output, environment=ENVIRONMENTS),
    output:
        csv=report(
            f"{ROOT}/table/table.csv",
            category="Results",
            caption="../report/table.rst",
        ),
        markdown=f"{ROOT}/table/table.md",
        latex=f"{ROOT}/table/table.tex",
        aggregates=report(
            f"{ROOT}/table/aggregates.csv",
            category="Results",
            caption="../report/aggregates.rst",
        ),
        figure=report(
            f"{ROOT}/figures/table.png",
            category="Results",
            caption="../report/table_figure.rst",
        ),
    log:
        f"{ROOT}/logs/table.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIG,
        code=reports_code,
        statistics=dump(profile.statistics),
    message:
        "Results table"
    shell:
        "subcritic report table --config {params.config} > {log} 2>&1"
