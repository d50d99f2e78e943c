# The ablation: rules × exploration × target, all seeds of one method on one environment in one job.

ABLATED = [environment.name for environment in profile.ablated_environments()]
ATTEMPTS = [method.name for method in profile.ablation.methods]


rule ablation:
    output:
        curves=f"{ROOT}/ablation/{{environment}}/{{attempt}}.csv",
        scores=f"{ROOT}/ablation/{{environment}}/{{attempt}}.scores.csv",
    log:
        f"{ROOT}/logs/ablation/{{environment}}/{{attempt}}.log",
    benchmark:
        f"{ROOT}/benchmarks/ablation/{{environment}}/{{attempt}}.tsv"
    wildcard_constraints:
        attempt="|".join(ATTEMPTS),
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=240,
    params:
        config=CONFIG,
        depends=ablation_inputs,
    message:
        "Ablation: {wildcards.attempt} on {wildcards.environment}"
    shell:
        "subcritic ablation --config {params.config} --environment {wildcards.environment}"
        " --method {wildcards.attempt} 2>&1 | tee -i {log}"


rule ablation_report:
    input:
        curves=collect(
            rules.ablation.output.curves, environment=ABLATED, attempt=ATTEMPTS
        ),
        scores=collect(
            rules.ablation.output.scores, environment=ABLATED, attempt=ATTEMPTS
        ),
        anchors=collect(f"{ROOT}/anchors/{{environment}}.json", environment=ABLATED),
    output:
        figure=report(
            f"{ROOT}/figures/ablation.png",
            category="Local rules",
            caption="../report/ablation.rst",
        ),
        diagnostics=report(
            f"{ROOT}/figures/diagnostics.png",
            category="Local rules",
            caption="../report/diagnostics.rst",
        ),
        table=report(
            f"{ROOT}/table/ablation.csv",
            category="Local rules",
            caption="../report/ablation.rst",
        ),
        markdown=f"{ROOT}/table/ablation.md",
        answer=f"{ROOT}/table/ablation_answer.json",
    log:
        f"{ROOT}/logs/ablation_report.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIG,
        code=reports_code,
        statistics=dump(profile.statistics),
    message:
        "Table, figures and answer of the ablation"
    shell:
        "subcritic report ablation --config {params.config} > {log} 2>&1"


rule lab_book:
    input:
        table=rules.ablation_report.output.table,
    output:
        csv=f"{ROOT}/table/lab_book.csv",
        markdown=report(
            f"{ROOT}/table/lab_book.md",
            category="Local rules",
            caption="../report/lab_book.rst",
        ),
    log:
        f"{ROOT}/logs/lab_book.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIG,
        code=reports_code,
        statistics=dump(profile.statistics),
    message:
        "Lab book: every attempt, what it changes, what it gave"
    shell:
        "subcritic report lab_book --config {params.config} > {log} 2>&1 && cat {output.markdown}"
