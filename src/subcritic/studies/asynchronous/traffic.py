"""What layers in processes of their own send, counted and computed, and the time it would take between machines."""

from __future__ import annotations

import pandas as pd

from subcritic.reporting import documents
from subcritic.reporting.estimates import number
from subcritic.studies.asynchronous import messages as formula
from subcritic.studies.asynchronous.settings import ACTION, IN_PROCESSES, OBSERVATION, Distributed

KEYS = ["learner", "hidden", "batch"]
COUNTED = ["bytes", "messages", "exchanges"]
RULE, OTHER = IN_PROCESSES


def table(counted: pd.DataFrame, settings: Distributed) -> pd.DataFrame:
    """One row for each size and learner: KEYS, how (counted or computed), bytes, messages, exchanges, and milliseconds.

    Of one update. milliseconds: computed, on links of the settings' latency and bandwidth; computing itself not counted.
    """
    found, rows = counted.set_index(KEYS), []
    for hidden in (*settings.counted, *settings.computed):
        for learner, backpropagate in IN_PROCESSES.items():
            sent = formula.messages((OBSERVATION, *hidden, ACTION), settings.batch, backpropagate)
            name = "-".join(map(str, hidden))
            if hidden in settings.counted:
                row = ["counted", *found.loc[(learner, name, settings.batch), COUNTED]]
            else:
                row = ["computed", sum(m.bytes for m in sent), len(sent), formula.exchanges(sent)]
            time = formula.seconds(sent, settings.latency, settings.bandwidth / 8)
            rows.append([learner, short(name), settings.batch, *row, 1000 * time])
    return pd.DataFrame(rows, columns=[*KEYS, "how", *COUNTED, "milliseconds"])


def sentences(sent: pd.DataFrame) -> list[str]:
    """How much the rule sends, in how many steps, and in which time, beside backpropagation: over all sizes, and at each."""
    if sent.empty:
        return ["No layers ran in processes of their own."]
    rule, other = (sent[sent["learner"] == name].set_index("hidden") for name in (RULE, OTHER))
    more, time = rule["bytes"] / other["bytes"], rule["milliseconds"] / other["milliseconds"]
    counted = ", ".join(rule.index[rule["how"] == "counted"])
    steps = ", ".join(f"{rule.at[h, 'exchanges']} and {other.at[h, 'exchanges']} at {h}" for h in rule.index)
    return [
        f"Layers in processes of their own: in an update, learned feedback sends {_range(more)} times the bytes of DDPG's "
        f"backpropagation, split at the same places (counted at {counted}, computed at larger sizes). Of its messages fewer "
        f"come one after the other, with DDPG's beside them: {steps}.",
        f"On the assumed links the messages of an update of learned feedback take {_range(time)} of the time of DDPG's "
        "(computed).",
    ]


def _range(values: pd.Series) -> str:
    return f"{number(values.min())} to {number(values.max())}"


def markdown(sent: pd.DataFrame, settings: Distributed) -> str:
    """The section of the page."""
    shown = pd.DataFrame([{
        "hidden": row.hidden, "batch": row.batch, "learner": row.learner,
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
