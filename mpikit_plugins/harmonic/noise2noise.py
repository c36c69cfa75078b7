"""``harmonic-n2n``: self-supervised learning on the coefficients of the lines, in closed form and beyond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpikit import Finding, Run, Scan, Warned
from mpikit.errors import InputError
from mpikit.signal import (
    CleanSignals,
    FactorModel,
    LowRankFilter,
    fit_factors,
    fit_noise2noise,
    mirror_views,
    stack_repeats,
    symmetry_center,
)
from mpikit_plugins.background import clear
from mpikit_plugins.harmonic.gaussian import is_gaussian
from mpikit_plugins.harmonic.lines import LineMethod
from mpikit_plugins.harmonic.low_rank import describe_rank
from mpikit_plugins.harmonic.noise2noise_options import ENOUGH, HarmonicNoise2NoiseOptions
from mpikit_plugins.harmonic.options import symmetry_missing
from mpikit_plugins.harmonic.space import (
    Parts,
    Places,
    Space,
    hidden_groups,
    noise_of_parts,
    parts_of_signal,
    places_of,
    space_of_factors,
    space_of_filter,
)
from mpikit_plugins.harmonic.views import Views, mirrored, views_of

if TYPE_CHECKING:
    from mpikit_plugins.harmonic.correction import Correction
    from mpikit_plugins.harmonic.learning import Examples

__all__ = ["HarmonicNoise2Noise", "HarmonicNoise2NoiseOptions", "missing"]
PARTITIONS = 4  # of the lines into groups that are hidden together
FEWEST = 10  # clean signals, so that some can be kept back
Kind = Literal["repeats", "mirror", "blind-spot"]
KINDS: tuple[Kind, ...] = ("repeats", "mirror", "blind-spot")


class HarmonicNoise2Noise(LineMethod[HarmonicNoise2NoiseOptions, LowRankFilter]):
    """Learn to predict one noisy view of a signal from another: linear in closed form, then by a network.

    f(u) = W u + g(u), with g in the few directions that W lets through. The coefficients u of a period are in
    units of the noise, g sees them in units of the period's own size: f(a u) = a f(u) for a > 0. It also sees
    the magnitudes of the even parts of the lines, which hold no signal but the noise of this very period.
    """

    name = "harmonic-n2n"

    def __init__(self, options: HarmonicNoise2NoiseOptions) -> None:
        super().__init__(options)
        self.kind: Kind = "repeats"
        self.space: Space | None = None
        self.network: Correction | None = None

    def learn(self, clean: CleanSignals, scans: Sequence[Scan], *, run: Run) -> LowRankFilter:
        """Learn the linear filter, and the network if it is worth it."""
        self.space = self.network = None
        stacks = [stack_repeats(scan.signal, scan.repeats) for scan in scans]
        repeated = [stack for stack in stacks if stack.shape[1] > 1]
        self.kind = self._kind(bool(repeated))
        if self.kind == "repeats" and not repeated:
            raise InputError(
                f"{scans[0].name} has no repeats to learn from", hint="use pairs=mirror, or another method"
            )
        if self.kind == "mirror":
            self._keep_lines_with_symmetry(run)
        lines = self.known_lines()
        groups = [parts_of_signal(lines, each) for each in (repeated if self.kind == "repeats" else stacks)]
        model: LowRankFilter | FactorModel
        if self.kind == "blind-spot":
            views = views_of(groups)
            model = fit_factors(clean.means, noise_of_parts(lines, views.parts), clean.noise)
            found = model.filter
        else:
            groups = [mirrored(group) for group in groups] if self.kind == "mirror" else groups
            variance = 2.0 if self.kind == "mirror" else 1.0
            model = found = fit_noise2noise([group.signal for group in groups], variance=variance)
            views = views_of(groups)
        run.tell(describe_rank(found))
        if found.rank and self._wants_network(views, run):
            self._learn_network(model, views, run)
        return found

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:
        """Return the denoised foreground, shape (N, J, C, V)."""
        if self.network is None or self.space is None or self.filter is None:
            return super().denoise(scan, run=run)
        lines = self.known_lines()
        seen = parts_of_signal(lines, clear(scan, self.options).signal)
        flat = seen.flat()
        network = self.network.to(run.device)
        if self.kind == "mirror":
            views = mirror_views(np.concatenate([flat.signal, flat.empty], axis=-1))
            both = [Parts(views[:, view], flat.empty[:, :0]) for view in (0, 1)]
        else:
            both = [flat]
        added = np.mean([network.added(self.space, each, run.device) for each in both], axis=0)
        return lines.back(self.filter(seen.signal) + added.reshape(seen.signal.shape))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return lines, filter and network."""
        state = super().state()
        if state and self.network is not None and self.space is not None:
            state |= {**self.space.state(), **self.network.weights_state()}
            state["kind"] = np.array(KINDS.index(self.kind))
        return state

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back lines, filter and network."""
        super().restore(state)
        self.space = self.network = None
        if "kind" not in state:
            return
        from mpikit_plugins.harmonic.correction import Correction

        self.kind = KINDS[int(state["kind"])]
        self.space = Space.restore(state)
        self.network = Correction.restore(state, self.space)

    def restored(self, state: Mapping[str, NDArray[Any]]) -> LowRankFilter:
        """Take the filter back."""
        return LowRankFilter.restore(state)

    def _kind(self, repeated: bool) -> Kind:
        if self.options.pairs != "auto":
            return self.options.pairs
        return "repeats" if repeated else "mirror"

    def _keep_lines_with_symmetry(self, run: Run) -> None:
        lines = self.known_lines()
        symmetry, keep = lines.harmonic.symmetry, lines.harmonic.keep
        if symmetry is None:
            raise InputError(
                "the scan has no symmetry, so that a mirror image is no view of the signal",
                hint="use pairs=repeats, or symmetry=fit with a drive field that is retraced",
            )
        self.lines = lines = replace(lines, harmonic=replace(lines.harmonic, keep=keep & symmetry.holds))
        kept = int(lines.harmonic.keep.sum())
        run.tell(Finding("mirror", kept, f"learns from mirror images, on the {kept} lines with the symmetry"))

    def _wants_network(self, views: Views, run: Run) -> bool:
        if self.options.network == "on" and views.count < FEWEST:
            run.tell(
                Warned(f"{views.count} different signals teach a network nothing: the linear filter is used")
            )
            return False
        if self.options.network != "auto":
            return self.options.network == "on"
        return views.count >= ENOUGH and not is_gaussian(views, self._places())

    def _places(self) -> Places:
        """Places of the coefficients in the views."""
        places = places_of(self.known_lines())
        return places.without_empty() if self.kind == "mirror" else places

    def _learn_network(self, model: LowRankFilter | FactorModel, views: Views, run: Run) -> None:
        from mpikit_plugins.harmonic.learning import examples_of, fingerprint_of, learn_correction

        options, places = self.options, self._places()
        training, held_out = views.split()
        if isinstance(model, FactorModel):
            hidden = hidden_groups(places.lines, options.hidden, PARTITIONS, run.rng)
            space = space_of_factors(model, hidden, places, training.parts)
        else:
            noise = 2.0 if self.kind == "mirror" else 1.0
            space = space_of_filter(model, places, training.parts, noise)

        def examples(chosen: Views, redrawn: bool) -> Examples:
            return examples_of(chosen, space, places, redrawn=redrawn, batch=options.batch, device=run.device)

        identity = fingerprint_of(views.parts, options.model_dump_json()) if run.checkpoint else b""
        self.network = learn_correction(
            space,
            examples(training, options.noise == "redrawn"),
            examples(held_out, False),
            options.training(),
            width=options.width,
            run=run,
            fingerprint=identity,
        )
        self.space = space if self.network is not None else None


def missing(scan: Scan, options: Any) -> str | None:
    """Say what a scan without repeats and without symmetry lacks."""
    if options.pairs == "blind-spot":
        return symmetry_missing(scan, options)
    mirrored = options.symmetry != "off" and symmetry_center(scan.drive_field) is not None
    if options.pairs == "mirror" and not mirrored:
        return "a drive field that is retraced, and symmetry=fit or exact"
    if options.pairs == "repeats" and scan.repeats == "none":
        return "frames or periods that repeat"
    if scan.repeats == "none" and not mirrored:
        return "frames or periods that repeat, or a drive field that is retraced"
    return symmetry_missing(scan, options)
