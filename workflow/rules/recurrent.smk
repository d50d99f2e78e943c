# Recurrent networks that learn by the local rule, without unrolling.


rule recurrent:
    output:
        curves=f"{ROOT}/recurrent/curves.csv",
        scores=f"{ROOT}/recurrent/scores.csv",
        random=f"{ROOT}/recurrent/random.csv",
    log:
        f"{ROOT}/logs/recurrent.log",
    benchmark:
        f"{ROOT}/benchmarks/recurrent.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=240,
    params:
        config=CONFIG,
        depends=subcritic_workflow.stage_inputs(profile, "recurrent"),
    message:
        "Learning without unrolling"
    shell:
        "OMP_NUM_THREADS=1 subcritic recurrent --config {params.config} 2>&1 | tee -i {log}"


rule recurrent_report:
    input:
        rules.recurrent.output,
    output:
        figure=report(
            f"{ROOT}/figures/recurrent.png",
            category="Recurrent",
            caption="../report/recurrent.rst",
        ),
        table=report(
            f"{ROOT}/table/recurrent.csv",
            category="Recurrent",
            caption="../report/recurrent.rst",
        ),
    log:
        f"{ROOT}/logs/recurrent_report.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIG,
        code=reports_code,
        statistics=dump(profile.statistics),
    message:
        "Table and figure of learning without unrolling"
    shell:
        "subcritic report recurrent --config {params.config} > {log} 2>&1"
