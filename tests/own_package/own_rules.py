"""A local rule as a user writes it in a package of their own: one file, no line in subcritic."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from subcritic.config import LocalSettings
from subcritic.rules.base import Rule, shared
from subcritic.rules.protocol import NO_BROADCAST


class HebbianSettings(LocalSettings):
    gain: float = Field(1.0, description="Factor of the local error.")


@dataclass(frozen=True)
class RewardHebbianRule(Rule):
    """K^n += η_A mean(gain r α v): a connection grows where both of its ends were active and the reward was good."""

    gain: float = 1.0

    Settings: ClassVar = HebbianSettings

    @classmethod
    def from_settings(cls, settings, action_size):
        return cls(**shared(settings), gain=settings.gain)

    @property
    def receives(self):
        return frozenset({"voltage", "alpha", "reward"})

    def local_error(self, state, layer, transition, broadcast=NO_BROADCAST):
        return self.gain * transition.reward * transition.alpha
