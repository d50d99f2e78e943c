# Updates per second: alone on the machine, or the numbers mean little.


rule throughput:
    input:
        config=ancient(f"{ROOT}/config.yaml"),
    output:
        rounds=f"{ROOT}/throughput/throughput.csv",
        operations=f"{ROOT}/throughput/operations.csv",
    params:
        depends=subcritic_workflow.stage_inputs(profile, "throughput"),
    log:
        f"{ROOT}/logs/throughput.log",
    benchmark:
        f"{ROOT}/benchmarks/throughput.tsv"
    threads: workflow.cores
    resources:
        mem_mb=1500,
        runtime=60,
    conda:
        "../../environment.yml"
    message:
        "Throughput, alone on all cores"
    shell:
        "OMP_NUM_THREADS=1 subcritic throughput --config {input.config} 2>&1 | tee {log}"


rule throughput_report:
    input:
        config=ancient(f"{ROOT}/config.yaml"),
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
    params:
        code=reports_code,
    log:
        f"{ROOT}/logs/throughput_report.log",
    conda:
        "../../environment.yml"
    localrule: True
    message:
        "Table and figure of throughput"
    shell:
        "subcritic report throughput --config {input.config} > {log} 2>&1"
