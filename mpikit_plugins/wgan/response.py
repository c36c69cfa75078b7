"""What a generator does with empty measurements and with amplitudes: the two ways in which it may deceive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit import Finding, Warned
from mpikit.errors import InputError
from mpikit.metrics import dose_linearity
from mpikit_plugins.training.repeats import Signals

Floats = NDArray[np.float64]
Denoise = Callable[[Signals], Signals]
AMPLITUDES, TEMPLATES, BLANKS = 8, 8, 16  # of the measurement of linearity
ABOVE = 3.0  # times the largest trained amplitude up to which linearity is measured
OUTSIDE = 1.2  # an amplitude is known hardly better
SURE = 2.0  # times the floor, four standard deviations of the noise power: a weaker signal may be chance
ONE = 3.0  # ratio of the largest to the smallest amplitude below which there is hardly more than one


@dataclass(frozen=True)
class Response:
    """What was measured after the training; amplitudes are in units of the noise of a period.

    Parameters
    ----------
    blank : shape (2,)
        Power of the output over that of the input for noise samples, and how many there were.
    amplitudes : shape (8,)
        From the smallest trained amplitude to three times the largest.
    gains : shape (8,)
        Mean growth of the output with a signal of this amplitude, projected on that signal, over its
        amplitude: one where nothing is lost. Of signals of the training; others, between places say, may
        lose more.
    trained : shape (2,)
        Smallest and largest amplitude of a clean signal of the training.
    """

    blank: Floats
    amplitudes: Floats
    gains: Floats
    trained: Floats

    @property
    def blank_db(self) -> float:
        """Power that is left of noise alone, dB."""
        return float(10 * np.log10(max(self.blank[0], 1e-12)))

    def events(self) -> Iterator[Finding | Warned]:
        """Say what was measured."""
        used = int(self.blank[1])
        yield Finding(
            "blank response",
            {"power_ratio": float(self.blank[0]), "db": self.blank_db, "samples": used},
            f"blank response: without any sample {self.blank_db:.1f} dB of the power of the noise come out "
            f"(measured on {used} noise samples)",
        )
        found = dose_linearity(self.amplitudes, self.gains * self.amplitudes)
        low, high = self.trained
        words = f"log-log slope {found.slope:.3f}, R² {found.r2_log:.4f}"
        if found.left_out:
            words = "the output does not grow with the signal"
        yield Finding(
            "amplitude linearity",
            {
                "slope": found.slope,
                "r2": found.r2_log,
                "amplitudes": self.amplitudes.tolist(),
                "gains": self.gains.tolist(),
                "trained": self.trained.tolist(),
            },
            f"amplitude linearity: {words} from {low:.2g} to {ABOVE * high:.2g} "
            f"times the noise (trained: to {high:.2g}); gain {self.gains[0]:.2f} for the weakest, "
            f"{self.gains[-1]:.2f} for the strongest",
        )

    def one_amplitude(self) -> Warned | None:
        """Warn when there is hardly more than one amplitude to learn from."""
        low, high = self.trained
        if high >= ONE * low:
            return None
        return Warned(
            f"the clean signals to learn from have about one amplitude, {low:.2g} to {high:.2g} times the "
            "noise: nothing shows what happens to other concentrations, add measurements of some"
        )

    def outside(self, amplitudes: Floats, floor: float, name: str) -> Warned | None:
        """Warn when amplitudes (B,) of a scan are outside of what was trained; ``floor`` is the least one."""
        low, high = self.trained
        known = amplitudes[amplitudes > SURE * floor]
        if known.max(initial=0) > OUTSIDE * high:
            found, than, side = known.max(), f"to {high:.2g}", "above"
        elif known.min(initial=np.inf) < low / OUTSIDE:
            found, than, side = known.min(), f"from {low:.2g}", "below"
        else:
            return None
        return Warned(
            f"{name} has signals of {found:.2g} times the noise, {side} the trained range ({than}): what "
            "comes out there is not known to be true, look at the amplitude linearity"
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all as arrays."""
        return {f"response.{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> Response:
        """Take back what `state` returned; KeyError when something is missing."""
        found = cls(*(np.array(state[f"response.{field.name}"], np.float64) for field in fields(cls)))
        shapes = [array.shape for array in astuple(found)]
        if shapes != [(2,), (AMPLITUDES,), (AMPLITUDES,), (2,)]:
            raise InputError(
                "the state of the method is damaged: the response to amplitudes", hint="train anew"
            )
        return found


def measure_response(
    denoise: Denoise, templates: Signals, blanks: Signals, trained: tuple[float, float], noise: float
) -> Response:
    """Measure what becomes of noise alone, and of signals of many amplitudes in noise.

    The growth is that over the output for the same noise sample without a signal.

    Parameters
    ----------
    denoise : callable
        Takes and returns signals (n, C, W), free of background.
    templates : shape (T, C, W)
        The strongest signals that there are, of any amplitude: means of repeats, or outputs.
    blanks : shape (E, C, W)
        Noise samples, at best those that no network has learnt.
    trained : tuple of float
        Smallest and largest trained amplitude.
    noise : float
        Root mean square of a sample of the noise; trained amplitudes have the same unit.
    """
    empty = denoise(blanks)
    before = float(np.mean(blanks.astype(np.float64) ** 2))
    ratio = float(np.mean(empty.astype(np.float64) ** 2)) / before if before > 0 else 0.0  # no noise at all
    size = np.sqrt(np.mean(templates.astype(np.float64) ** 2, axis=(1, 2), keepdims=True))
    units = (templates / np.where(size > 0, size, 1))[:TEMPLATES].astype(np.float32)
    amplitudes = np.geomspace(trained[0], ABOVE * trained[1], AMPLITUDES)
    some, alone = blanks[:BLANKS], empty[:BLANKS]
    gains = [_gain(denoise, float(each), units, some, alone) for each in amplitudes]
    return Response(
        np.array([ratio, len(blanks)]), amplitudes / noise, np.array(gains), np.array(trained) / noise
    )


def _gain(denoise: Denoise, amplitude: float, units: Signals, blanks: Signals, alone: Signals) -> float:
    inputs = np.float32(amplitude) * units[:, None] + blanks
    outputs = denoise(inputs.reshape(-1, *blanks.shape[1:])).reshape(inputs.shape)
    growth = (outputs - alone).astype(np.float64)
    return float(np.mean(growth * units[:, None]) / amplitude / max(np.mean(units.astype(float) ** 2), 1e-30))
