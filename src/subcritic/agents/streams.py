"""Layers that learn in streams of their own (drafts, section 3: on a GPU all can learn at once, without locks)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from subcritic.agents.local import LocalLearner
from subcritic.nn.streams import side_by_side
from subcritic.rules.protocol import Broadcast, LocalTransition


class StreamedLearner(LocalLearner):
    """A LocalLearner whose layers learn side by side on a GPU, once what they hear is there; the same numbers."""

    def _learn_layers(
        self, transitions: Sequence[LocalTransition], broadcast: Broadcast
    ) -> list[Tensor | None]:
        pieces = [
            partial(self.rule.learn, *of_layer, broadcast, moves=self._has_turn(number))
            for number, of_layer in enumerate(self._of_layers(transitions))
        ]
        return side_by_side(pieces, self.online.flat.device)
