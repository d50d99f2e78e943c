"""How an agent sees and plays an environment: from pixels or not, and how long it holds an action. Two kwargs say so."""

from __future__ import annotations

from typing import Any, NamedTuple

# Of `pixels: true`: three frames of 64 × 64 for every action, as in Lillicrap et al. 2016, supplement.
PIXELS = {"size": 64, "repeat": 3}
# Smallest and largest values.
SIZES, REPEATS = (8, 256), (1, 100)


class View(NamedTuple):
    """repeat: steps of the environment for which an action is held. size: of the square pictures that are observed; None:
    what the environment itself hands out is observed.
    """

    repeat: int = 1
    size: int | None = None


def take(kwargs: dict[str, Any]) -> View:
    """Remove `pixels` and `repeat` from an environment's kwargs; what they say.

    `pixels: true`, or `pixels: {size: 48, repeat: 3}` in which either may be left out; `repeat: 3` without pixels.

    Raises:
        ValueError: they say something else; the message names the place, what is there, and what would be right.
    """
    pixels = kwargs.pop("pixels", False)
    repeat = kwargs.pop("repeat", None)
    if pixels is False:
        return View(1 if repeat is None else _whole("repeat", repeat, REPEATS))
    if repeat is not None:
        raise ValueError(
            f"kwargs.repeat stands beside kwargs.pixels; write `pixels: {{repeat: {repeat}}}` instead"
        )
    if pixels is True:
        pixels = {}
    if not isinstance(pixels, dict):
        raise ValueError(
            f"kwargs.pixels is {pixels!r}; true, false, or a mapping of size and repeat is needed"
        )
    if unknown := sorted(map(str, pixels.keys() - PIXELS)):
        raise ValueError(f"kwargs.pixels has the unknown key {unknown[0]!r}; it may have {', '.join(PIXELS)}")
    found = PIXELS | pixels
    size = _whole("pixels.size", found["size"], SIZES)
    return View(_whole("pixels.repeat", found["repeat"], REPEATS), size)


def _whole(name: str, value: Any, bounds: tuple[int, int]) -> int:
    least, most = bounds
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"kwargs.{name} is {value!r}; a whole number from {least} to {most} is needed")
    return value
