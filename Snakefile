# The whole reproduction. `snakemake` alone runs the quick profile; `--configfile=configs/standard.yaml` another one;
# `--config seeds=5` changes single values of the quick profile. The rules are in workflow/, where catalogs look for them.
include: "workflow/Snakefile"


# What an included file asks for by default does not count.
rule reproduce:
    default_target: True
    input:
        rules.all.input,
