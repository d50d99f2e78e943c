"""The whole schema of a profile: what every profile says, and a section for each study that has settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, create_model, model_validator

from subcritic import config
from subcritic.config.methods import refuses
from subcritic.studies import STUDIES

# Where profiles are, in the folder of a project.
FOLDER = Path("configs")
NAMES = tuple(STUDIES)
DEFAULT = tuple(name for name, study in STUDIES.items() if not study.optional and study.shown)


class _Runnable(config.Profile):
    @model_validator(mode="after")
    def _studies_have_something_to_run(self) -> Self:
        for name in self.studies:
            for study in (STUDIES[name], *(STUDIES[other] for other in STUDIES[name].reads)):
                if study.measures and not list(study.jobs(self)):
                    raise ValueError(f"methods: the study {study.name} needs at least 1 method")
        if len(set(self.studies)) < len(self.studies):
            raise ValueError("studies: each must be named once")
        return self

    @model_validator(mode="after")
    def _can_be_trained_on_the_device(self) -> Self:
        read = [other for name in self.studies for other in STUDIES[name].reads]
        for name in dict.fromkeys((*read, *self.studies)):
            field, device = _device_of(self, name)
            if device == "cpu":
                continue
            if STUDIES[name].on_cpu_alone:
                raise ValueError(
                    f"{field} = {device!r}: the study {name} trains on the CPU alone: must be cpu here"
                )
            for job in STUDIES[name].jobs(self):
                method = getattr(job.config, "agent", None)
                # What is read as it was recorded was trained where it could be.
                if not isinstance(method, config.AgentSettings) or isinstance(method, config.RecordedMethod):
                    continue
                if reason := refuses(method, device):
                    raise ValueError(f"{field} = {device!r}: the method {reason}")
        return self


_FIELDS: dict[str, Any] = {
    "studies": (
        tuple[Literal[NAMES], ...],  # type: ignore[valid-type]
        Field(DEFAULT, min_length=1, description="The studies that the profile runs, by name."),
    )
}
for _name, _study in STUDIES.items():
    if _study.settings:
        # Made when a profile is read, since their methods import the rules they name.
        _section = Field({}, validate_default=True, description=f"Settings of the study {_name}.")
        _FIELDS[_name] = (_study.settings, _section)

Profile: type[config.Profile] = create_model("Profile", __base__=_Runnable, **_FIELDS)


def _device_of(profile: config.Profile, study: str) -> tuple[str, str]:
    """The field that says where a study's trainings are, and what it says."""
    own = getattr(getattr(profile, study, None), "training", None)
    return (
        ("training.device", profile.training.device)
        if own is None
        else (f"{study}.training.device", own.device)
    )


def check_devices(profile: config.Profile, source: str) -> None:
    """Raises ConfigError, naming the field, if trainings should be on a device that this machine does not have."""
    for field, device in (_device_of(profile, study) for study in profile.studies):
        if device != "cpu":
            # Imports torch.
            from subcritic.nn.devices import missing

            if reason := missing(device):
                raise config.ConfigError(f"{source}: {field} = {device!r}: {reason}")


def parse(data: Any, source: str = "config", *, recorded: bool = False) -> config.Profile:
    """A profile from plain data. Raises ConfigError, one line per problem: `source: field = value: what would be right`.

    recorded: `data` is a resolved profile, of which methods are read without importing what trains them.
    """
    return config.parse(Profile, _extended(data, source), source, recorded=recorded)


def load(path: Path | str, *, recorded: bool = False) -> config.Profile:
    """A profile from a YAML file. Raises ConfigError naming the file and the field."""
    return parse(config.read_yaml(path), str(path), recorded=recorded)


def _extended(data: Any, source: str, by: tuple[str, ...] = ()) -> Any:
    """`data` on top of the profile that its key `extends` names; that one may extend another. by: who extends it."""
    if not isinstance(data, dict) or "extends" not in data:
        return data
    if "profile" not in data:
        raise config.ConfigError(
            f"{source}: profile: must be given beside extends, since results go to its folder"
        )
    own = {key: value for key, value in data.items() if key != "extends"}
    path = FOLDER / f"{data['extends']}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise config.ConfigError(
            f"{source}: extends = {data['extends']!r}: there is no {path}; known: {known or 'none'}"
        )
    if str(path) in by:
        raise config.ConfigError(f"{source}: extends = {data['extends']!r}: extends itself: {' → '.join(by)}")
    return config.merged(_extended(config.read_yaml(path), str(path), (*by, str(path))), own)
