# Every study's rules, made from what it declares in src/subcritic/studies/<study>/__init__.py: one rule that measures, and
# one that makes its tables and figures, `<study>_report`. `snakemake --list` names them all.


def under_root(paths):
    return [f"{ROOT}/{path}" for path in paths]


def job_of(study):
    """The job that wildcards name; all are made once, since each of them is asked for several times."""
    jobs = {(job.environment, job.method): job for job in study.jobs(profile)}

    def job(wildcards):
        given = dict(wildcards)
        named = given.get("environment", ""), given.get("method", "")
        return jobs[named] if named in jobs else study.job(profile, **given)

    return job


def depends_on(job):
    """What a job's results depend on besides its input files, as a param: a change makes Snakemake run it again."""

    def depends(wildcards):
        return subcritic_workflow.job_depends_on(job(wildcards))

    return depends


def options_of(wildcards):
    return subcritic_workflow.options(dict(wildcards))


def reads_of(job):
    """The files of other studies that a job reads."""

    def reads(wildcards):
        return under_root(job(wildcards).reads)

    return reads


def memory_of(study):
    """Megabytes; a job that was killed for want of memory gets more when it is tried again."""

    def memory(wildcards, attempt):
        return study.memory * attempt

    return memory


def threads_of(study):
    """One; a study that must be alone gets all cores of this machine, or some of a node where a cluster counts them."""
    if study.threads == "one":
        return 1
    try:
        return workflow.cores
    except WorkflowError:
        return subcritic_workflow.CORES_OF_A_NODE


def in_report(study, file):
    """The file as an output; one with a caption is shown in Snakemake's report, Markdown as a web page."""
    caption = subcritic_workflow.caption(study, file)
    if not caption:
        return f"{ROOT}/{file.path}"
    labels = subcritic_workflow.labels(study, file, profile)
    shown = f"{ROOT}/{file.page or file.path}"
    return report(shown, category=study.question, caption=caption, labels=labels)


for study in STUDIES.values():
    if study.measures:
        each = subcritic_workflow.job_path(study)
        job = job_of(study)

        rule:
            name:
                study.name
            input:
                reads_of(job),
            output:
                **{name: f"{ROOT}/{file.path}" for name, file in study.records.items()},
            log:
                f"{ROOT}/logs/{each}.log",
            benchmark:
                f"{ROOT}/benchmarks/{each}.tsv"
            wildcard_constraints:
                **subcritic_workflow.names(profile, study),
            priority: study.priority
            conda:
                "../../environment.yml"
            threads: threads_of(study)
            resources:
                mem_mb=memory_of(study),
                runtime=study.minutes,
            params:
                config=CONFIG,
                study=study.name,
                options=options_of,
                depends=depends_on(job),
            message:
                f"{study.name}: {study.question}"
            shell:
                "OMP_NUM_THREADS=1 subcritic {params.study:q} --config {params.config:q} {params.options:q} --traceback"
                " 2>&1 | tee -i {log:q}"

    if study.shown:

        rule:
            name:
                f"{study.name}_report"
            input:
                subcritic_workflow.report_reads(study, profile, ROOT),
            output:
                [in_report(study, file) for file in study.shown.values()],
                # Other formats, and Markdown whose web page is in the report.
                [
                    f"{ROOT}/{path}"
                    for file in study.shown.values()
                    for path in file.paths
                    if path != file.path or file.page
                ],
            log:
                f"{ROOT}/logs/{study.name}_report.log",
            localrule: True
            conda:
                "../../environment.yml"
            threads: 1
            resources:
                **subcritic_workflow.REPORT_NEEDS,
            params:
                config=CONFIG,
                study=study.name,
                depends=subcritic_workflow.report_depends_on(study, profile),
            message:
                f"{study.name}: tables and figures"
            shell:
                "subcritic report {params.study:q} --config {params.config:q} > {log:q} 2>&1"
