# Learning in threads: alone on the machine, since threads that share cores with others are slow.


rule asynchronous:
    output:
        curves=f"{ROOT}/asynchronous/curves.csv",
        scores=f"{ROOT}/asynchronous/scores.csv",
        lag=f"{ROOT}/asynchronous/lag.csv",
        rounds=f"{ROOT}/asynchronous/throughput.csv",
    log:
        f"{ROOT}/logs/asynchronous.log",
    benchmark:
        f"{ROOT}/benchmarks/asynchronous.tsv"
    conda:
        "../../environment.yml"
    threads: workflow.cores
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        config=CONFIG,
        depends=subcritic_workflow.stage_inputs(profile, "asynchronous"),
    message:
        "Learning in threads, alone on all cores"
    shell:
        "OMP_NUM_THREADS=1 subcritic asynchronous --config {params.config} 2>&1 | tee -i {log}"


rule asynchronous_report:
    input:
        rules.asynchronous.output,
    output:
        figure=report(
            f"{ROOT}/figures/asynchronous.png",
            category="Asynchronous",
            caption="../report/asynchronous.rst",
        ),
        table=report(
            f"{ROOT}/table/asynchronous.csv",
            category="Asynchronous",
            caption="../report/asynchronous.rst",
        ),
        speed=report(
            f"{ROOT}/table/asynchronous_speed.csv",
            category="Asynchronous",
            caption="../report/asynchronous.rst",
        ),
    log:
        f"{ROOT}/logs/asynchronous_report.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIG,
        code=reports_code,
        statistics=dump(profile.statistics),
    message:
        "Tables and figure of learning in threads"
    shell:
        "subcritic report asynchronous --config {params.config} > {log} 2>&1"
