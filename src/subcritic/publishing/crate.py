"""Published results as an RO-Crate: a folder with the tables, figures and workflow, and JSON-LD that says what made them.

It follows the profile Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow): the workflow, one run of it, what that
run read and wrote. Everything in it comes from what `subcritic publish` keeps and from CITATION.cff, so that a fresh clone
can make it.
"""

from __future__ import annotations

import json
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from subcritic import provenance
from subcritic.config import ConfigError
from subcritic.publishing.folders import replaced
from subcritic.publishing.page import time_of
from subcritic.studies import STUDIES

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

CONFORMS_TO = (
    "https://w3id.org/ro/wfrun/process/0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
)
METADATA = "ro-crate-metadata.json"
LICENCE = "https://spdx.org/licenses/MIT"
# Kinds of files that Python does not know by their suffix on every system.
FORMATS = {
    ".md": "text/markdown",
    ".yaml": "text/yaml",
    ".yml": "text/yaml",
    ".cff": "text/yaml",
    ".csv": "text/csv",
}
# Of the repository, besides the results: the workflow, and what its environment is made from.
SOFTWARE = (
    "Snakefile",
    "workflow",
    "environment.yml",
    "requirements.lock",
    "pyproject.toml",
    "LICENSE",
    "CITATION.cff",
)


def export(name: str, published: Path, project: Path, folder: Path) -> Path:
    """Write the crate of a published profile to `folder`, in place of one that is there; returns its metadata file.

    published: results/published. project: the repository.

    Raises:
        ConfigError: there is no such profile, the folder holds something else, or the package rocrate is not installed.
    """
    source = published / name
    if not (source / "provenance.json").is_file():
        known = ", ".join(sorted(path.parent.name for path in published.glob("*/provenance.json")))
        raise ConfigError(f"profile {name!r}: nothing is published in {source}; known: {known}")
    try:
        from rocrate.rocrate import ROCrate
    except ImportError:
        raise ConfigError("an RO-Crate needs the package rocrate: pip install -e '.[crate]'") from None
    if kept := _not_ours(folder, name):
        raise ConfigError(
            f"{folder} holds {kept}, which is of no crate of {name!r}; name another folder with --output"
        )
    # The version of RO-Crate that these profiles refer to.
    crate = ROCrate(version="1.1")
    facts = yaml.safe_load((source / "provenance.json").read_text())
    _describe(crate, name, facts, yaml.safe_load((project / "CITATION.cff").read_text()))
    workflow = _workflow(crate, project, facts)
    _run(crate, name, source, workflow, facts)
    with replaced(folder) as new:
        crate.write(new)
    return folder / METADATA


def _not_ours(folder: Path, name: str) -> str | None:
    """A file in the folder that no crate of this profile describes; None where all of them may be replaced."""
    there = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    try:
        described = {entity["@id"] for entity in json.loads((folder / METADATA).read_text())["@graph"]}
    except (OSError, ValueError, KeyError, TypeError):
        described = set()
    ours = {*described, METADATA} if f"#run-{name}" in described else set()
    return next((path for path in there if path not in ours), None)


def _describe(crate: ROCrate, name: str, facts: dict[str, Any], citation: dict[str, Any]) -> None:
    from rocrate.model import ContextEntity, Person

    crate.name = f"{citation['title']}: results of the profile {name}"
    crate.description = " ".join(citation["abstract"].split())
    crate.license = crate.add(
        ContextEntity(crate, LICENCE, {"@type": "CreativeWork", "name": "MIT License", "identifier": LICENCE})
    )
    crate.datePublished = facts["published"]
    crate.keywords = ", ".join(citation["keywords"])
    authors = [
        crate.add(ContextEntity(crate, f"#author-{i}", {"@type": "Organization", "name": author["name"]}))
        for i, author in enumerate(citation["authors"])
    ]
    crate.creator = authors if len(authors) > 1 else authors[0]
    crate.root_dataset["author"] = crate.creator
    works = []
    for i, work in enumerate(citation["references"]):
        authors = [
            crate.add(
                Person(
                    crate,
                    f"#{author['given-names']} {author['family-names']}".replace(" ", "-"),
                    {"name": f"{author['given-names']} {author['family-names']}"},
                )
            )
            for author in work["authors"]
        ]
        told = {"name": work["title"], "datePublished": str(work["year"]), "author": authors}
        works.append(crate.add(ContextEntity(crate, f"#work-{i}", {"@type": "ScholarlyArticle", **told})))
    crate.root_dataset["citation"] = works
    crate.root_dataset["conformsTo"] = [
        crate.add(
            ContextEntity(crate, address, {"@type": "CreativeWork", "name": address.rpartition("/wfrun/")[2]})
        )
        for address in CONFORMS_TO
    ]


def _workflow(crate: ROCrate, project: Path, facts: dict[str, Any]) -> Any:
    workflow = crate.add_workflow(
        project / "workflow" / "Snakefile",
        "workflow/Snakefile",
        main=True,
        lang="snakemake",
        lang_version=facts["versions"]["snakemake"],
    )
    workflow["name"] = "subcritic"
    workflow["description"] = "Measures every study of a profile, and makes its tables, figures and summary."
    # Of the file in the crate; those of the runs may be earlier ones.
    workflow["version"] = provenance.source_name()
    workflow["softwareRequirements"] = [
        _package(crate, package, version)
        for package, version in {"python": facts["machine"]["python"], **facts["versions"]}.items()
    ]
    for name in SOFTWARE:
        for path in [project / name] if (project / name).is_file() else sorted((project / name).rglob("*")):
            if path.is_file() and path != project / "workflow" / "Snakefile":
                _file(crate, path, path.relative_to(project).as_posix())
    return workflow


def _package(crate: ROCrate, name: str, version: str) -> Any:
    from rocrate.model import SoftwareApplication

    told = {"name": name, "softwareVersion": version}
    return crate.add(SoftwareApplication(crate, f"#{name}", properties=told))


def _file(crate: ROCrate, path: Path, to: str, about: dict[str, str] | None = None) -> Any:
    kind = FORMATS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
    return crate.add_file(path, to, properties={"name": to, "encodingFormat": kind, **(about or {})})


def _run(crate: ROCrate, name: str, source: Path, workflow: Any, facts: dict[str, Any]) -> None:
    """The run that made the results: what it read (the profile), what it wrote, on what machine."""
    told = {
        file.path.rpartition("/")[2]: study.question
        for study in STUDIES.values()
        for file in study.shown.values()
    }
    files = {
        path: path.relative_to(source).as_posix() for path in sorted(source.rglob("*")) if path.is_file()
    }
    entities = {}
    for path, relative in files.items():
        about = {"description": told[path.name]} if path.name in told else {}
        entities[relative] = _file(crate, path, f"results/{relative}", about)
    config = entities.pop("config.yaml")
    config["description"] = "The profile: environments, methods, seeds and every setting."
    machine = facts["machine"]
    action = crate.add_action(
        workflow,
        identifier=f"#run-{name}",
        object=config,
        result=list(entities.values()),
        properties={
            "name": f"Reproduction of the profile {name}",
            "description": f"On {machine['cores']} cores of {machine['processor']} under {machine['system']}, "
            f"{f'in {took}, ' if (took := time_of(facts)) else ''}with the code of {', '.join(facts['run_commits'])}.",
            "actionStatus": "http://schema.org/CompletedActionStatus",
            "agent": crate.creator,
        },
    )
    crate.root_dataset["mentions"] = action
