"""mpikit-tiny: two convolutions that learn one noisy repeat from another."""

from __future__ import annotations

from pydantic import Field

from mpikit import Denoiser, hookimpl
from mpikit_plugins.background import removes_background
from mpikit_plugins.training import LearnedOptions, without_repeats


class TinyOptions(LearnedOptions):
    """Options of the network; those of the training are inherited."""

    features: int = Field(8, ge=1, description="Feature maps between the two convolutions")
    steps: int = Field(200, ge=1, description="Training steps at most")


def build(options):
    """Make the method; torch is imported here and not before."""
    from torch import nn
    from torch.nn.functional import mse_loss

    from mpikit_plugins.training import LearnedMethod

    class Tiny(LearnedMethod):
        name = "tiny"

        def new_network(self, channels, *, coarse):
            around = {"kernel_size": 7, "padding": 3, "padding_mode": "circular", "bias": False}
            return nn.Sequential(
                nn.Conv1d(channels, self.options.features, **around),
                nn.PReLU(),
                nn.Conv1d(self.options.features, channels, **around),
            )

        def distance(self, output, target):
            return mse_loss(output, target)

    return Tiny(options)


@hookimpl
def mpikit_denoisers():
    yield Denoiser(
        name="tiny",
        summary="Two convolutions, trained on pairs of noisy repeats",
        options=TinyOptions,
        build=build,
        missing=without_repeats,
        homogeneous=True,
        learned=True,
        removes_background=removes_background,
    )
