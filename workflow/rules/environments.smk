# The tasks of the suite: what scores 0 and 1 there, and what it looks like to score 1.


rule references:
    output:
        f"{ROOT}/environments/{{environment}}.json",
    log:
        f"{ROOT}/logs/references/{{environment}}.log",
    benchmark:
        f"{ROOT}/benchmarks/references/{{environment}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        config=CONFIG,
        depends=references_inputs,
    message:
        "Random actions and planners on {wildcards.environment}"
    shell:
        "OMP_NUM_THREADS=1 subcritic references --config {params.config}"
        " --environment {wildcards.environment} 2>&1 | tee -i {log}"


rule references_report:
    input:
        collect(rules.references.output, environment=ENVIRONMENTS),
    output:
        report(
            f"{ROOT}/table/references.csv",
            category="Environments",
            caption="../report/references.rst",
        ),
        f"{ROOT}/table/references.md",
    log:
        f"{ROOT}/logs/references_report.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIG,
        code=reports_code,
    message:
        "Table of references"
    shell:
        "subcritic report references --config {params.config} > {log} 2>&1"


rule film:
    output:
        video=f"{ROOT}/videos/{{environment}}.gif",
        still=f"{ROOT}/videos/{{environment}}.png",
        frames=f"{ROOT}/videos/{{environment}}.frames.png",
    log:
        f"{ROOT}/logs/film/{{environment}}.log",
    benchmark:
        f"{ROOT}/benchmarks/film/{{environment}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        config=CONFIG,
        depends=gallery_inputs,
    message:
        "Film of the planner on {wildcards.environment}"
    shell:
        "OMP_NUM_THREADS=1 subcritic gallery --config {params.config}"
        " --environment {wildcards.environment} > {log} 2>&1"


rule gallery:
    input:
        collect(rules.film.output.still, environment=ENVIRONMENTS),
    output:
        report(
            f"{ROOT}/figures/gallery.png",
            category="Environments",
            caption="../report/gallery.rst",
        ),
    log:
        f"{ROOT}/logs/gallery.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIG,
        code=reports_code,
    message:
        "Gallery"
    shell:
        "subcritic report gallery --config {params.config} > {log} 2>&1"
