"""What layers in processes of their own send, counted and computed, and the time it would take between machines."""

from __future__ import annotations

import pandas as pd

from subcritic.measuring.timing import ACTION, OBSERVATION
from subcritic.reporting import documents
from subcritic.reporting.estimates import number
from subcritic.studies.asynchronous import messages as formula
from subcritic.studies.asynchronous.counting import LEARNERS
from subcritic.studies.asynchronous.settings import Distributed

KEYS = ["learner", "hidden", "batch"]
RULE, OTHER = LEARNERS


def table(counted: pd.DataFrame, settings: Distributed) -> pd.DataFrame:
    """One row for each size and learner: KEYS, how (counted or computed), bytes, messages, exchanges, and milliseconds.

    Of one update. milliseconds: computed, on links of the settings' latency and bandwidth; computing itself not counted.
    """
    found, rows = counted.set_index(KEYS), []
    for hidden in (*settings.counted, *settings.computed):
        for learner, backpropagate in LEARNERS.items():
            sent = formula.messages((OBSERVATION, *hidden, ACTION), settings.batch, backpropagate)
            key = (learner, "-".join(map(str, hidden)), settings.batch)
            if hidden in settings.counted:
                row = ["counted", *found.loc[key, ["bytes", "messages", "exchanges"]]]
            else:
                row = ["computed", sum(m.bytes for m in sent), len(sent), formula.exchanges(sent)]
            time = formula.seconds(sent, settings.latency, settings.bandwidth / 8)
            rows.append([*key, *row, 1000 * time])
    return pd.DataFrame(rows, columns=[*KEYS, "how", "bytes", "messages", "exchanges", "milliseconds"])


def sentences(sent: pd.DataFrame) -> list[str]:
    """Per size: how much the rule sends, in how many steps, and in which time, beside backpropagation."""
    found = []
    for (hidden, batch), rows in sent.groupby(["hidden", "batch"], sort=False):
        rule, other = (rows.set_index("learner").loc[name] for name in (RULE, OTHER))
        times = number(rule["bytes"] / other["bytes"])
        found.append(
            f"Layers in processes of their own, {short(hidden)}, batch {batch}: learned feedback sends "
            f"{megabytes(rule['bytes'])} MB in an update, {times} times what DDPG's backpropagation sends ({rule['how']}), "
            f"in {rule['exchanges']} messages one after the other where DDPG needs {other['exchanges']}. On the assumed "
            f"links this takes {number(rule['milliseconds'])} ms, and DDPG {number(other['milliseconds'])} ms (computed)."
        )
    return found


def markdown(sent: pd.DataFrame, settings: Distributed) -> str:
    """The section of the page."""
    shown = pd.DataFrame([{
        "hidden": short(row.hidden), "batch": row.batch, "learner": row.learner,
        "MB per update": f"{megabytes(row.bytes)} ({row.how})", "messages": row.messages,
        "one after the other": row.exchanges, "ms on the link (computed)": number(row.milliseconds),
    } for row in sent.itertuples()])  # fmt: skip
    return (
        "## Layers in processes of their own\n\n"
        + "".join(f"- {sentence}\n" for sentence in sentences(sent))
        + f"\n{documents.markdown(shown)}\n"
        f"Of one update, {OBSERVATION} observations and {ACTION} actions, float32, 1 MB = 10^6 bytes. Counted: what was "
        f"written into buffers between processes, in {settings.updates} updates; computed: by the formula that tests hold "
        "against such counts. The time is computed, not measured: of messages alone, on links of "
        f"{number(settings.bandwidth / 1e9)} Gbit/s and {number(1e6 * settings.latency)} µs per message.\n"
    )


def short(hidden: str) -> str:
    """'8 layers of 1024' for many equal ones."""
    widths = hidden.split("-")
    return f"{len(widths)} layers of {widths[0]}" if len(widths) > 4 and len(set(widths)) == 1 else hidden


def megabytes(count: int) -> str:
    return number(count / 1e6)
