# Updates per second: alone on the machine, or the numbers mean little.


rule throughput:
    output:
        rounds=f"{ROOT}/throughput/throughput.csv",
        operations=f"{ROOT}/throughput/operations.csv",
    log:
        f"{ROOT}/logs/throughput.log",
    benchmark:
        f"{ROOT}/benchmarks/throughput.tsv"
    conda:
        "../../environment.yml"
    threads: workflow.cores
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        config=CONFIG,
        depends=subcritic_workflow.stage_inputs(profile, "throughput"),
    message:
        "Throughput, alone on all cores"
    shell:
        "OMP_NUM_THREADS=1 subcritic throughput --config {params.config} 2>&1 | tee -i {log}"


rule throughput_report:
    input:
        rounds=rules.throughput.output.rounds,
        operations=rules.throughput.output.operations,
    output:
        figure=report(
            f"{ROOT}/figures/throughput.png",
            category="Throughput",
            caption="../report/throughput.rst",
        ),
        table=report(
            f"{ROOT}/table/throughput.csv",
            category="Throughput",
            caption="../report/throughput_table.rst",
        ),
        ratios=f"{ROOT}/table/throughput_ratios.csv",
    log:
        f"{ROOT}/logs/throughput_report.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIG,
        code=reports_code,
    message:
        "Table and figure of throughput"
    shell:
        "subcritic report throughput --config {params.config} > {log} 2>&1"
