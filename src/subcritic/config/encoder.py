"""Settings of the convolutions through which an agent reads pictures."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from subcritic.config.sections import Count, Section

Trained = Literal["separately", "by_critic", "never"]


class EncoderSettings(Section):
    """Convolutions whose features take the place of the observation.

    Lillicrap et al. 2016 (section 7) have three layers of 32 filters without pooling, and give no kernels or strides. The
    defaults are those of Mnih et al. 2015.
    """

    trained: Trained = Field(
        description="separately: actor and critic have convolutions of their own, each trained by its backpropagated error "
        "(Lillicrap et al. 2016); by_critic: both read the same ones, which the critic's error trains; never: both read the "
        "same random ones.",
    )
    filters: Count = Field(32, description="Filters of every layer.")
    kernels: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        (8, 4, 3), description="Width of the filters of each layer, in pixels."
    )
    strides: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        (4, 2, 1), description="Pixels between two places of a filter, of each layer."
    )

    @model_validator(mode="after")
    def _one_stride_for_each_kernel(self) -> EncoderSettings:
        if len(self.kernels) != len(self.strides):
            raise ValueError(
                f"kernels has {len(self.kernels)} numbers, strides {len(self.strides)}: must be one each for every layer"
            )
        return self
