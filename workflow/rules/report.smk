# The closing page.


rule summary:
    input:
        table=rules.table.output.csv,
        value=rules.agreement.output.value,
        throughput=rules.throughput_report.output.ratios,
    output:
        report(
            f"{ROOT}/summary.md", category="Summary", caption="../report/summary.rst"
        ),
    log:
        f"{ROOT}/logs/summary.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIG,
        code=reports_code,
    message:
        "Summary"
    shell:
        "subcritic report summary --config {params.config} > {log} 2>&1 && cat {output}"
