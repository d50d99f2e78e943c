# The closing page.


rule summary:
    input:
        config=ancient(f"{ROOT}/config.yaml"),
        table=rules.table.output.csv,
        value=rules.agreement.output.value,
        throughput=rules.throughput_report.output.ratios,
    output:
        report(f"{ROOT}/summary.md", category="Summary", caption="../report/summary.rst"),
    params:
        code=reports_code,
    log:
        f"{ROOT}/logs/summary.log",
    conda:
        "../../environment.yml"
    localrule: True
    message:
        "Summary"
    shell:
        "subcritic report summary --config {input.config} > {log} 2>&1"
