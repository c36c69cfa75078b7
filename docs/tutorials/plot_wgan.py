"""
A generative network, and what to ask it
========================================

A network can learn from noisy periods and from the empty scanner alone, without pairs and without clean data:
two critics say whether what it leaves looks like a measurement, and what it takes away like noise. Such a
network can also invent. Here we train one on a small form of an experiment from the literature (Dahms et al.,
IWMPI 2026), and ask the three questions that show it: what does it make of nothing, does it keep amplitudes,
and are samples where they were?
"""

# %%
# The measurement
# ---------------
# ``dahms2026`` is a simulated scanner and a set of point samples: five concentrations at ten places to test,
# and four others at eleven other places to learn from. We take fewer periods than the preset has. The
# ``reference`` is the mean of 1000 periods of the test samples. ``averaged`` are the same samples again, ten
# periods averaged by the scanner.

import os
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import mdf
from mpikit.simulate import How, preset, simulate_parts

FAST = "MPIKIT_FAST" in os.environ  # the tests of this page have less time than you
folder = Path("wgan")
train_periods, test_periods, together = (30, 10, 10) if FAST else (200, 40, 10)

whole = preset("dahms2026")
periods = {"train": train_periods, "test": test_periods, "background": train_periods}
parts = [replace(part, periods=periods.get(part.name, part.periods)) for part in whole.parts]
test = next(part for part in parts if part.name == "test")
parts.append(replace(test, name="averaged", averages=together, periods=test_periods // together))
simulate_parts(replace(whole, parts=tuple(parts)), folder, how=How(seed=1, overwrite=True))


def samples(name):
    """Read the signals of point samples, (samples, periods, 102), their places in m and concentrations."""
    with mdf.open(folder / f"{name}.mdf") as file:
        known = [
            np.asarray(file.user_value(f"/_mpikit/sample_{each}")) for each in ("positions", "concentrations")
        ]
        return file.read_signal("foreground")[:, :, 0], *known


noisy, places, concentrations = samples("test")
reference, _, _ = samples("reference")
levels = np.unique(concentrations)
print("µg/mL of iron:", ", ".join(f"{55.845e3 * level:.3g}" for level in levels))

# %%
# Train
# -----
# On the command line:
#
# .. code-block:: sh
#
#    mpikit train --method wgan-sn -p steps=250 train.mdf --background-file background.mdf -o wgan.safetensors
#
# A few hundred steps are few, and it shows below. At the end the training measures two things itself, on
# noise samples that it has not learnt from: how much comes out where nothing is in, and how the output grows
# with the signal.

from mpikit.denoise_file import denoise_file
from mpikit.events import Finding
from mpikit.train import train_files


def show(event):
    """Print what a training says."""
    if isinstance(event, Finding):
        print(event.text)


empty = folder / "background.mdf"
model = folder / "wgan.safetensors"
steps = 15 if FAST else 250
train_files(
    [folder / "train.mdf"],
    model,
    method="wgan-sn",
    parameters=[f"steps={steps}"],
    background_files=[empty],
    device="cpu",
    overwrite=True,
    tell=show,
)

# %%
# Look at the *blank response* first. It is not zero, and must not be: a method that gives nothing for weak
# signals has no noise, and a detection limit that means nothing.
#
# Amplitude over concentration
# ----------------------------
# The fifth harmonic of every single period, and beside the network two methods that learn little or nothing.
# ``low-rank`` keeps the few directions in which the training samples vary. The amplitude is the projection on
# the phase of the strongest sample: a magnitude never averages to zero, and noise alone would look like
# tracer.

outputs = {"noisy": noisy}
for method in ("low-rank", "wgan-sn"):
    fitted = model if method == "wgan-sn" else folder / "low-rank.safetensors"
    if method == "low-rank":
        train_files([folder / "train.mdf"], fitted, method=method, background_files=[empty], overwrite=True)
    done = denoise_file(folder / "test.mdf", model=fitted, device="cpu", overwrite=True)
    outputs[method] = done.result.signal[:, :, 0]
done = denoise_file(folder / "averaged.mdf", model=model, device="cpu", overwrite=True)
outputs["wgan-sn, of averaged"] = done.result.signal[:, :, 0]
outputs["reference"] = reference

here = np.isclose(places[:, 0], 1e-3)


def fifth(signals):
    """Complex amplitude of the fifth harmonic, V."""
    return 2 * np.fft.rfft(signals.astype(float), axis=-1)[..., 5] / signals.shape[-1]


phase = np.angle(fifth(reference[here & (concentrations == levels[-1]), 0]))[0]
amounts = 55.845e3 * levels
figure, panels = plt.subplots(1, 3, figsize=(9, 3), sharey=True, layout="constrained")
for axes, name in zip(panels, ("noisy", "low-rank", "wgan-sn"), strict=True):
    found = np.array([fifth(outputs[name][here & (concentrations == level)]).ravel() for level in levels])
    projected, right = (found * np.exp(-1j * phase)).real, abs(fifth(reference[here])).max()
    axes.loglog(amounts, right * levels / levels[-1], color="0.7", label="proportional")
    axes.loglog(amounts, abs(found).mean(axis=1), "x--", lw=0.8, label="mean magnitude")
    axes.errorbar(amounts, projected.mean(axis=1), projected.std(axis=1), fmt="o", ms=4, label="projection")
    axes.set(title=name, xlabel="concentration in µg/mL", ylim=(right / 1e5, 3 * right))
    print(
        f"{name}: growth from {amounts[-2]:.3g} to {amounts[-1]:.3g} µg/mL, expected 10: "
        f"{projected[-1].mean() / projected[-2].mean():.2f}"
    )
panels[0].set_ylabel("fifth harmonic in V")
panels[0].legend(fontsize="small")

# %%
# The highest concentration lies above all that was trained. It grows on in proportion, for the network is
# built such that twice the signal above the background gives twice the output. But all of it is a little too
# low: this place lies between two of the training, and of a signal that it has not seen the network loses a
# part. The weak ones are *shrunk*: where a period is mostly noise, the network takes most of it away, and of
# the signal too. So its small error bars are no detection limit by themselves. A limit must be checked with
# samples of that concentration, and with blanks; ``mpikit.metrics.check_detection_limit`` does it.
#
# Where are the samples?
# ----------------------
# As in the paper, ten periods make one image (Kaczmarz, five sweeps, λ = 0.8). The position error is the
# distance of the largest voxel from the true place.

from mpikit.metrics import position_errors
from mpikit.reconstruct import kaczmarz
from mpikit.scan_file import read_scan
from mpikit.signal import subtract_background

calibration = subtract_background(read_scan(folder / "systemmatrix.mdf"))
with mdf.open(folder / "systemmatrix.mdf") as file:
    grid, ratio = file.grid, np.asarray(file.calibration.snr)[0, 0]
rows = np.flatnonzero(ratio >= 2)
rows = rows[rows >= 4]  # above the drive field and what its filter disturbs, 80 kHz
system = np.fft.rfft(calibration.signal[:, 0, 0].astype(float))


def images_of(signals):
    """Make images (n, z, y, x) of signals (n, 102)."""
    data = np.fft.rfft(signals.astype(float))
    strength = np.abs(data).mean(axis=0)
    used = rows[strength[rows] > 1e-6 * strength.max()]  # what a method took away is no measured zero
    matrix, right = (each[:, used].T.astype(np.complex64) for each in (system, data))
    found = kaczmarz(matrix, right, lambda_=0.8, iterations=5, enforce_real=True, enforce_positive=True)
    return found.real.T.reshape(-1, *grid.shape)


errors = {}
for name, signals in outputs.items():
    single = signals.shape[1] >= together  # else they are means already
    means = signals.reshape(50, -1, together, 102).mean(axis=2) if single else signals
    images = images_of(means.reshape(-1, 102)).reshape(*means.shape[:2], *grid.shape)
    errors[name] = position_errors(images, places[:, None], grid)

print(f"{'position error in mm':22} mean ± sd      " + "".join(f"{amount:8.3g}" for amount in amounts))
for name, found in errors.items():
    each = [1e3 * found.errors[concentrations == level].mean() for level in levels]
    words = "".join(f"{value:8.2f}" for value in each)
    print(f"{name:22} {1e3 * found.mean:.2f} ± {1e3 * found.deviation:.2f}    {words}")

# %%
# Read it with care:
#
# - The mean is made by the two lowest concentrations; from 8.5 µg/mL on everybody finds the sample. Of the
#   lowest one ten periods hold nothing: every method guesses there, and guesses rank nobody. The
#   ``reference``, which has a hundred times the measuring time, shows the background of the scanner instead.
# - At 0.85 µg/mL the network sees more here than the ten periods alone, or ``low-rank``, let see; in other
#   sessions it does not. It sees most if the periods are averaged first, and the mean is denoised once: what
#   a network takes for noise in every single period is lost, and no average brings it back.
# - The network takes the background out of files that have no empty frames, for it has learnt it.
# - Two trainings with other seeds differ. Compare several before you believe a difference.
#
# ``mpikit reproduce dahms-figure1 dahms-figure2 dahms-figure3`` is the whole experiment, with detection
# limits and their checks.
#
# Next step: :doc:`/howto/which-denoiser` sets this method beside others, :doc:`/results/index` has the
# figures of the paper.
