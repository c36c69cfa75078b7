"""
Your first image
================

From nothing to a denoised image: simulate a scan and the system matrix that goes with it, denoise the scan,
reconstruct both, and look. With a file of your own, start at the second step.
"""

# %%
# A scan to work on
# -----------------
# ``openmpi-2d`` is a scanner with a field-free point on a two-dimensional path. The phantom is a smile. Every
# frame shows the same object, so that the frames are repeats: this is all that denoising will need. We add
# white noise 5 dB below the signal.

import os
from pathlib import Path

import matplotlib.pyplot as plt

import mdf
from mpikit.simulate import How, Subject, preset, requested, simulate_calibration_file, simulate_file

FAST = "MPIKIT_FAST" in os.environ  # the tests of this page have less time than you
folder = Path("first-image")
folder.mkdir(exist_ok=True)
scan = folder / "scan.mdf"
system_matrix = folder / "system-matrix.mdf"

scanner = preset("openmpi-2d")
phantom, frames = requested(scanner, Subject(phantom="smile"))
how = How(overwrite=True)
simulate_file(scanner, scan, phantom=phantom, frames=frames, noise=["gaussian:snr_db=5"], how=how)
simulate_calibration_file(scanner, system_matrix, how=how)

# %%
# One period, as the receive coils see it:

with mdf.open(scan) as file:
    period = file.read_signal("foreground")[0, 0]
    rate = file.sampling_rate

figure, axes = plt.subplots(figsize=(7, 2.5), layout="constrained")
for channel, values in enumerate(period):
    axes.plot(
        [1e6 * sample / rate for sample in range(len(values))], values, label=f"channel {channel}", lw=0.7
    )
axes.set(xlabel="time in µs", ylabel="signal")
axes.legend()

# %%
# Denoise
# -------
# ``harmonic`` keeps the harmonics of the drive field that stand out of the noise. It is fast, and it is the
# simple method that every learned one must beat. On the command line:
# ``mpikit denoise --method harmonic scan.mdf``.

from mpikit.denoise_file import denoise_file

denoised = {"noisy": scan, "harmonic": folder / "scan.harmonic.mdf"}
denoise_file(scan, method="harmonic", output=denoised["harmonic"], overwrite=True)

# %%
# ``unet-gd`` trains a small network on pairs of noisy repeats of this very file, for a minute or two. It has
# seen no other data, and no clean data.

if not FAST:
    denoised["unet-gd"] = folder / "scan.unet-gd.mdf"
    denoise_file(scan, method="unet-gd", output=denoised["unet-gd"], overwrite=True)

# %%
# Reconstruct and look
# --------------------
# The same Kaczmarz reconstruction for each, with the same settings: ten sweeps, and a weight ``lambda_`` that
# trades detail for noise. We take the first frame alone: a mean over frames would denoise as well.

from mpikit.reconstruct import reconstruct_file

figure, panels = plt.subplots(1, len(denoised), figsize=(3 * len(denoised), 3), layout="constrained")
for panel, (name, path) in zip(panels, denoised.items(), strict=True):
    result = reconstruct_file(
        path, system_matrix=system_matrix, output=folder / f"{name}.mdf", lambda_=0.1, overwrite=True
    )
    image = result.images.values[0, 0]  # first frame, the one plane
    width, height = 1e3 * result.images.grid.field_of_view[:2]
    panel.imshow(image, origin="lower", extent=(-width / 2, width / 2, -height / 2, height / 2))
    panel.set(title=name, xlabel="x in mm", ylabel="y in mm")

# %%
# Every file says how it was made:

from mpikit.provenance import HISTORY, read_history

with mdf.open(folder / "harmonic.mdf") as file:
    for step in read_history(file.user_value(HISTORY)):
        print(step["command"], step["options"])

# %%
# Next step: :doc:`plot_denoise` trains a network on noisy repeats and judges it; :doc:`plot_reconstruction`
# says what the settings of the image mean.
