"""Importing a class that is named by a string, only when it is used."""

from __future__ import annotations

import importlib
from typing import Any


def import_class(place: str) -> type[Any]:
    """The class at `place`, "package.module:Class". Raises ValueError that says which part of it cannot be found."""
    module_name, _, class_name = place.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that is there may itself import one that is not.
        found = (
            error.name is not None
            and module_name != error.name
            and not module_name.startswith(f"{error.name}.")
        )
        if found:
            raise ValueError(
                f"the module {module_name} imports {error.name}, which is not installed"
            ) from error
        raise ValueError(f"there is no module {error.name}; is its folder on PYTHONPATH?") from None
    found_class = getattr(module, class_name, None)
    if not isinstance(found_class, type):
        raise ValueError(f"the module {module_name} has no class {class_name or '(none is named)'}")
    return found_class
