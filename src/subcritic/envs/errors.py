"""What can be wrong with an environment, and who is to blame for it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

# Characters of an error message that a single line shows.
LONGEST = 300


class UnusableEnvironment(ValueError):
    """An environment that cannot be used here; the message says which, why, and what would be right."""


class NotFinite(UnusableEnvironment):
    """An observation or a reward that is not finite as a float32; `what` says which and where, without the environment."""

    def __init__(self, environment_id: str, what: str) -> None:
        super().__init__(f"{environment_id!r} {what}")
        self.what = what


class EnvironmentWarning(UserWarning):
    """What a user should know of an environment that can be used, or of a seed that cannot go on with it."""


def warn(text: str) -> None:
    """Tell the user, whatever an environment's code has made of warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", EnvironmentWarning)
        warnings.warn(text, EnvironmentWarning, stacklevel=3)


@contextlib.contextmanager
def blamed(environment_id: str, doing: str) -> Iterator[None]:
    """Whatever an environment's own code raises as UnusableEnvironment, in one line; Ctrl-C alone passes.

    doing: `making`, `resetting`, `stepping`, `drawing` or `closing`.
    """
    try:
        yield
    except (UnusableEnvironment, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise failed(environment_id, doing, error) from error


def failed(environment_id: str, doing: str, error: BaseException) -> UnusableEnvironment:
    """The error of the environment's own code, told in one line."""
    text = said(error, str)
    hint = _hint(doing, error, text)
    return UnusableEnvironment(
        f"{environment_id!r} failed while {doing}: {type(error).__name__}{text and f': {text}'}{hint and f' ({hint})'}"
    )


def said(thing: object, by: type[str] | object = repr, longest: int = LONGEST) -> str:
    """An object of the environment's code in one line of printable characters; by: `str` or `repr`."""
    try:
        text = str(thing) if by is str else repr(thing)
    except Exception:
        return f"{type(thing).__name__} that cannot be printed"
    text = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _hint(doing: str, error: BaseException, text: str) -> str:
    """What would be right, where the error's own words do not tell: most often Gym's interface, before Gymnasium's."""
    if (
        doing == "making"
        and isinstance(error, TypeError)
        and "unexpected keyword argument 'render_mode'" in text
    ):
        return "it draws no pictures, which pixels need: its class must take render_mode='rgb_array'"
    if doing == "stepping" and isinstance(error, (ValueError, TypeError)) and "unpack" in text:
        return "step must return observation, reward, terminated, truncated and info"
    if doing == "resetting" and isinstance(error, TypeError) and "unexpected keyword argument" in text:
        return "reset must take the keywords seed and options"
    return ""
