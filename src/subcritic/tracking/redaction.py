"""Takes passwords out of all that is printed or written of MLflow's store, and out of what libraries say of it."""

from __future__ import annotations

import logging
import os
import re
from urllib.parse import unquote

HIDDEN = "***"
# Of whom MLflow and PostgreSQL's driver take where the store is, and how to get in.
ADDRESSES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_BACKEND_STORE_URI")
SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PGPASSWORD")
# Before the last @ that can end it: a password may have an @ in it, and what follows the host may not.
LOGIN = re.compile(r"(?<=://)[^\s/?#'\"]*@")
# Named in addresses, settings, variables (`…_PASSWORD=`), JSON and Python's dicts; quotes may surround both name and value.
FIELD = re.compile(
    r"""(?ix) (?<![a-z]) ((?:ssl)?password|passwd|passphrase|token|secret) (["']?\s*[=:]\s*)
    (["']?) (?: (?<=["']) (?:\\.|(?!\3)[^\\])* (?=\3) | [^\s&;,'")]+ )"""
)


def redact(text: str) -> str:
    """The same text with `***` for the login in any address, and for what is known to be secret."""
    for secret in sorted(_known(), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return FIELD.sub(rf"\1\2\3{HIDDEN}", LOGIN.sub(f"{HIDDEN}@", text))


def without_login(address: str) -> str:
    """An address to be shown as a link."""
    return LOGIN.sub("", redact(address))


def _known() -> set[str]:
    """Passwords in this process's environment, as they are and as addresses write them."""
    found = {os.environ.get(name, "") for name in SECRETS}
    for name in ADDRESSES:
        # What LOGIN finds only in part: a password with a slash in it.
        login = re.match(r"[^:/]+://(.*)@", os.environ.get(name, ""))
        if login and (password := login[1].partition(":")[2]):
            found |= {login[1], password, unquote(password)}
    # One of a letter or two would be found in the middle of words.
    return {secret for secret in found if len(secret) > 2}


class Redacting(logging.Filter):
    """Redacts what a logger's handler writes, tracebacks included."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
        record.msg, record.args = redact(record.getMessage()), ()
        return True
