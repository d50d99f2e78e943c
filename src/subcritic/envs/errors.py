"""What can be wrong with an environment, and who is to blame for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class UnusableEnvironment(ValueError):
    """An environment that cannot be used here; the message says which, why, and what would be right."""


class NotFinite(UnusableEnvironment):
    """An observation or a reward that is not finite as a float32; `what` says which and where, without the environment."""

    def __init__(self, environment_id: str, what: str) -> None:
        super().__init__(f"{environment_id!r} {what}")
        self.what = what


@contextlib.contextmanager
def blamed(environment_id: str, doing: str) -> Iterator[None]:
    """Whatever an environment's own code raises, SystemExit included, as UnusableEnvironment in one line.

    doing: `making`, `resetting`, `stepping` or `closing`.
    """
    try:
        yield
    except UnusableEnvironment:
        raise
    except (Exception, SystemExit) as error:
        raise failed(environment_id, doing, error) from error


def failed(environment_id: str, doing: str, error: BaseException) -> UnusableEnvironment:
    """The error of the environment's own code, told in one line."""
    said = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    hint = _hint(doing, error)
    return UnusableEnvironment(f"{environment_id!r} failed while {doing}: {said}{hint and f' ({hint})'}")


def _hint(doing: str, error: BaseException) -> str:
    """What would be right, where the error's own words do not tell: most often Gym's interface, before Gymnasium's."""
    if doing == "making" and isinstance(error, TypeError) and "'pixels'" in str(error):
        return "only tasks of the suite can be observed as pixels"
    if doing == "stepping" and isinstance(error, (ValueError, TypeError)) and "unpack" in str(error):
        return "step must return observation, reward, terminated, truncated and info"
    if doing == "resetting" and isinstance(error, TypeError) and "unexpected keyword argument" in str(error):
        return "reset must take the keywords seed and options"
    return ""
