"""What crosses between the layers of an actor, each on a machine of its own: by formula, and the time on links."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

BYTES_PER_NUMBER = 4
# The machine of the critic and of the environment.
CRITIC = 0


@dataclass(frozen=True)
class Message:
    """what: voltages, expectation, deviation or error. source, target: layers from 1, or CRITIC. numbers: float32.

    step: how many messages have come one after the other when it arrives, itself counted.
    """

    what: str
    source: int
    target: int
    numbers: int
    step: int

    @property
    def bytes(self) -> int:
        return BYTES_PER_NUMBER * self.numbers


def messages(sizes: Sequence[int], batch: int, backpropagate: bool) -> list[Message]:
    """All messages of one update, of one seed; sizes (n_0, …, n_L). See `DistributedLearner`."""
    depth = len(sizes) - 1
    # At s and at s′; for learned feedback also at s with noise, which the first layer needs not be told.
    copies = [2] + [2 if backpropagate else 3] * (depth - 1) + [2]
    found = [
        Message("voltages", layer, (layer + 1) % (depth + 1), copies[layer] * batch * width, layer + 1)
        for layer, width in enumerate(sizes)
    ]
    action = batch * sizes[-1]
    if backpropagate:
        found.append(Message("error", CRITIC, depth, action, depth + 2))
        for layer in range(depth, 1, -1):
            step = 2 * depth + 3 - layer
            found.append(Message("error", layer, layer - 1, batch * sizes[layer - 1], step))
        return found
    found += [Message("error", CRITIC, layer, action, depth + 2) for layer in range(1, depth + 1)]
    for layer in range(1, depth):
        found.append(Message("expectation", layer, depth, action, layer + 1))
        found.append(Message("deviation", depth, layer, action, depth + 1))
    return found


def exchanges(found: Sequence[Message]) -> int:
    """How many messages come one after the other."""
    return max(message.step for message in found)


def seconds(found: Sequence[Message], latency: float, bandwidth: float) -> float:
    """Time of one update on links alone: computing is free, and messages of one step pass at the same time.

    latency: seconds of a message; bandwidth: bytes per second that a machine sends, and receives. A step takes the latency,
    and the time of the machine that sends or receives most in it.
    """
    total = 0.0
    for step in {message.step for message in found}:
        load: defaultdict[tuple[str, int], int] = defaultdict(int)
        for message in found:
            if message.step == step:
                load["sends", message.source] += message.bytes
                load["receives", message.target] += message.bytes
        total += latency + max(load.values()) / bandwidth
    return total
