"""
Tune a reconstruction
=====================

An image is poor: noisy, blurred, with rings or spots that cannot be. Which setting first? This page goes
through them in the order in which they pay: rows, weights, λ, sweeps, positivity, priors, and at the end how
sure each voxel is. What the settings mean stands in :doc:`/explanation/reconstruction`; the commands alone
are in :doc:`/howto/tune-reconstruction`.
"""

# %%
# A scan with a problem
# ---------------------
# Ten frames of a smile, and twenty frames of the empty scanner. Some device in the next room disturbs all
# lines from 200 to 300 kHz: there the noise is ten times as strong. The calibration was measured in the same
# room. All is simulated, so that the truth is known.

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import mdf
import mpikit
from mpikit.simulate import How, make_phantom, preset, simulate_calibration_file, simulate_file

FAST = "MPIKIT_FAST" in os.environ  # the tests of this page have less time than you
folder = Path("tune")
folder.mkdir(exist_ok=True)
scan, calibration = folder / "scan.mdf", folder / "system-matrix.mdf"
band = "frequencies=1e3,199e3,200e3,300e3,301e3,1250e3,levels=1,1,100,100,1,1"

scanner, rng = preset("openmpi-2d"), np.random.default_rng(1)
dose = scanner.calibration.concentration
smile = make_phantom("smile", scanner.phantom.grid(), concentration=dose, count=1, rng=rng)
noise = [f"coloured:level=channel,snr_db=15,{band}"]
how = How(seed=1, overwrite=True)
simulate_file(scanner, scan, phantom=smile, frames=10, background_frames=20, noise=noise, how=how)

grid = mdf.Grid(np.array([26, 26, 1]), np.array([0.026, 0.026, 0.001]), np.zeros(3))  # voxels of 1 mm
noise = [f"coloured:level=channel,snr_db=45,{band}"]
how = How(seed=2, overwrite=True)
simulate_calibration_file(scanner, calibration, grid=grid, noise=noise, how=how)
truth = make_phantom("smile", grid, concentration=1.0, count=1, rng=rng).images[0, 0]

# %%
# ``mpikit.reconstruct`` takes every setting by its name, as ``-p name=value`` does on the command line. One
# image of the mean of all frames is enough here.


def image_of(source=scan, **settings):
    """Reconstruct one image, 1 is the concentration of the smile."""
    return mpikit.reconstruct(source, calibration, average_frames=True, **settings)


def show(settings):
    """Draw images by their titles, with their distance to the truth as a share of its norm."""
    _, panels = plt.subplots(1, len(settings), figsize=(2.1 * len(settings), 2.5), layout="constrained")
    for panel, (title, given) in zip(panels, settings.items(), strict=True):
        found = image_of(**given)
        image = found.values[0, 0]
        error = np.linalg.norm(image - truth) / np.linalg.norm(truth)
        panel.imshow(image, origin="lower", cmap="magma", vmin=0, vmax=1.2)
        panel.set_title(f"{title}\n{found.figures['rows']} rows, error {error:.2f}", fontsize="small")
        panel.set_axis_off()


show(
    {
        "λ = 0.01 (default)": {},
        "λ = 0.1": {"lambda_": 0.1},
        "λ = 1": {"lambda_": 1.0},
    }
)

# %%
# The default is far too noisy here. A large λ hides the noise, and makes all of the smile dim. Before we
# settle between the two, we look at the rows.
#
# Rows
# ----
# What is bad should not be used at all. ``mpikit noise scan.mdf`` shows where the noise is,
# ``mpikit plot --kind snr`` which rows of the calibration stand out. Settings that choose rows are
# *min_frequency*, *max_frequency*, *stop_bands*, *snr_threshold*, *receive_channels*, *max_mixing_order*
# and *best*.

show(
    {
        "all from 80 kHz": {"lambda_": 0.1},
        "without 200–300 kHz": {"lambda_": 0.1, "stop_bands": (200e3, 300e3)},
        "SNR of 20 or more": {"lambda_": 0.1, "snr_threshold": 20.0},
        "mixing order ≤ 8": {"lambda_": 0.1, "max_mixing_order": 8},
        "one channel": {"lambda_": 0.1, "receive_channels": (0,)},
    }
)

# %%
# The disturbed band has to go. A high threshold of the SNR does nearly the same, for the SNR was measured
# in the same room. Few mixing orders leave a blur: fine patterns are in the high orders. One of two
# channels gives away half of the data; leave one out only if it is broken.
#
# Rows below 80 kHz are the strongest of all. They are left out because the empty scanner has most of its
# signal there. If the background is steady, and subtracted, try them: ``min_frequency=0``.
#
# Weights
# -------
# Rather than throw rows away, weigh them by their noise. ``whitening`` takes it from the empty frames of the
# calibration. ``row-norm`` makes all rows equally strong, those of noise alone too.

show(
    {
        "none": {"lambda_": 0.1},
        "whitening": {"lambda_": 0.1, "weighting": ("whitening",)},
        "row-norm": {"lambda_": 0.1, "weighting": ("row-norm",)},
    }
)

# %%
# Whitening does as well as leaving out the right band, and nobody had to find the band. It needs some empty
# frames. From here on we keep it.
#
# The weight λ
# ------------
# λ is relative, so that the values to try are always the same: 0.001, 0.01, 0.1, 1. Two things make an image
# wrong. *Noise* moves it from frame to frame, and you can see it in your own data: reconstruct each frame by
# itself, and look how the images differ. An error that all frames share, such as *blur*, can be seen only by
# those who have the truth.

white = {"weighting": ("whitening",)}
weights, noise, shared = np.geomspace(0.01, 10, 4 if FAST else 7), [], []
for weight in weights:
    images = mpikit.reconstruct(scan, calibration, lambda_=float(weight), **white).values[:, 0]
    mean = images.mean(axis=0)
    noise.append(np.sqrt(np.mean(np.sum((images - mean) ** 2, axis=(1, 2)))) / np.linalg.norm(truth))
    shared.append(np.linalg.norm(mean - truth) / np.linalg.norm(truth))

found = image_of(lambda_="auto", **white)
chosen = found.figures["lambda"]["relative"]
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.loglog(weights, noise, ".-", label="noise: between the frames")
axes.loglog(weights, shared, ".-", label="shared: what the mean of all images lacks")
axes.loglog(weights, np.hypot(noise, shared), "k.-", label="both: the error of a frame")
axes.axvline(chosen, color="C3", ls=":", label=f"--lambda auto, for the mean frame: {chosen:.2g}")
axes.set(xlabel="relative λ", ylabel="share of the norm of the truth")
_ = axes.legend(fontsize="small")

# %%
# The shared error grows to the right, which is blur. It grows to the left too: an image that must not be
# negative can only grow by noise. The sum is flat around its least value: a factor of three hardly matters.
# The best λ falls with the noise, so the mean of ten frames takes a smaller one than a single frame.
# ``--lambda auto`` gives a place to start. It balances noise and misfit of the signal, not of the image,
# and may be several times too large or too small.
#
# Sweeps, and what is not negative
# --------------------------------
# Few sweeps regularise as a larger λ would. That is a second knob for the same thing: take as many as it
# needs until the image stays, and tune λ alone. Concentrations are not negative, and to say so (the
# default) takes away much noise. It makes empty space cleaner than it was measured, too.

show(
    {
        "1 sweep": {"lambda_": 0.03, "iterations": 1, **white},
        "10 sweeps (default)": {"lambda_": 0.03, **white},
        "100 sweeps": {"lambda_": 0.03, "iterations": 100, **white},
        "negative allowed": {"lambda_": 0.03, "enforce_positive": False, **white},
    }
)

# %%
# Priors
# ------
# A prior knows what images are like. Total variation likes even areas, *l1* few bright voxels, wavelets few
# patterns. With the wrong one the image looks clean, and is wrong: *l1* makes bright spots of even areas. λ
# is small with it; the weight of the prior is *mu*.

options = {"method": "fista", "lambda_": 1e-3, **white}
show(
    {
        "Kaczmarz, λ = 0.1": {"lambda_": 0.1, **white},
        "total variation": {"prior": "tv", "mu": 0.1, **options},
        "l1": {"prior": "l1", "mu": 0.1, **options},
        "wavelets": {"prior": "wavelet", "mu": 0.1, **options},
    }
)

# %%
# How sure is a voxel?
# --------------------
# ``uncertainty`` adds the standard deviation of each voxel: how much it would change if all were measured
# again. It says nothing about blur. With a large λ the map is dark, and the image is blurred all the same.

figure, panels = plt.subplots(2, 3, figsize=(7, 4.6), layout="constrained")
for column, weight in zip(panels.T, (0.01, 0.1, 1.0), strict=True):
    found = image_of(method="tikhonov", lambda_=weight, uncertainty="exact", **white)
    column[0].imshow(found.values[0, 0], origin="lower", cmap="magma", vmin=0, vmax=1.2)
    column[0].set_title(f"λ = {weight:g}", fontsize="small")
    drawn = column[1].imshow(found.deviation.values[0, 0], origin="lower", cmap="viridis", vmin=0, vmax=0.2)
    column[1].set_title("standard deviation", fontsize="small")
    for panel in column:
        panel.set_axis_off()
_ = figure.colorbar(drawn, ax=panels[1])

# %%
# The recipe
# ----------
#
# 1. Look at the noise and at the calibration. Leave out rows that are bad, or weigh them: ``-p
#    weighting=whitening``.
# 2. Take enough sweeps, and forget them.
# 3. Try λ in steps of ten, then of three. Look at single frames: what differs is noise.
# 4. A prior only if you know that it is true of your object.
# 5. Keep all settings: they are in the history of the image, and ``--rerun`` makes it again.
#
# Denoise *before* you tune, and tune anew afterwards: the best λ falls with the noise.
#
# Next step: :doc:`/howto/tune-reconstruction` has the commands, and :doc:`/explanation/reconstruction` the
# formulas.
