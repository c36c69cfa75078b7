"""
From a calibration to an image
==============================

A scan is a row of voltages, an image is a map of tracer. A *calibration* leads from one to the other: it has
measured what each place of the scanner sounds like. We look at one, make images with it, and see what each
setting does: the weight λ, the sweeps, the threshold of the signal-to-noise ratio (SNR), the background. At
the end λ is chosen by the data, and we tell the solver what images look like.

The settings are those of ``mpikit reconstruct``. :doc:`/explanation/reconstruction` says what is behind them.
"""

# %%
# A scan and a calibration
# ------------------------
# We simulate both, so that the right answer is known. The scan has ten frames of a smile, noise of its own
# in each frame, and a *background* that is three times as strong as the signal: harmonics of the drive
# field, which an empty scanner shows as well. Ten more frames are of the empty scanner.
#
# The *calibration* holds the signal of a small sample at each of 26 by 26 places. Scan and calibration get
# different seeds. With the same one they would share their noise, as no two real measurements do.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import mdf
from mpikit.simulate import How, make_phantom, preset, simulate_calibration_file, simulate_file

folder = Path("reconstruction")
folder.mkdir(exist_ok=True)
scan_file, calibration_file = folder / "scan.mdf", folder / "system-matrix.mdf"

scanner = preset("openmpi-2d")
dose = scanner.calibration.concentration  # mol of iron in a litre, in the smile as in the sample
rng = np.random.default_rng(1)
smile = make_phantom("smile", scanner.phantom.grid(), concentration=dose, count=1, rng=rng)
noise = ["gaussian:level=channel,snr_db=22", "background:sbr_db=-10"]
simulate_file(scanner, scan_file, phantom=smile, frames=10, noise=noise, how=How(seed=1, overwrite=True))

grid = mdf.Grid(np.array([26, 26, 1]), np.array([0.026, 0.026, 0.001]), np.zeros(3))  # voxels of 1 mm
simulate_calibration_file(scanner, calibration_file, grid=grid, how=How(seed=2, overwrite=True))
truth = make_phantom("smile", grid, concentration=1.0, count=1, rng=rng).images[0, 0]

# %%
# What a calibration holds
# ------------------------
# For each place a spectrum; or, seen the other way round, for each frequency a map of the field of view. The
# maps are the *rows* of the system matrix. Two drive fields of frequencies f\ :sub:`x` and f\ :sub:`y` make
# signal at all sums n f\ :sub:`x` + m f\ :sub:`y`. The *mixing order* \|n\| + \|m\| says how fine the pattern
# of a row is: low orders are coarse and strong, high orders are fine and weak.
#
# ``file.system_matrix`` reads single rows, without the rest of the file.

from mpikit.reconstruct.mixing import mixing_table

rate = scanner.receiver.sampling_rate
mixing = mixing_table(scanner.drive_field, samples=scanner.samples, sampling_rate=rate)
with mdf.open(calibration_file) as file:
    matrix = file.system_matrix
    frequencies, snr = matrix.frequencies, matrix.snr[0]  # (K,) in Hz, (C, K)
    wanted = [(2, 0), (3, 0), (2, 1), (3, 2), (4, 5), (9, 0)]  # n and m
    lines = [int(np.flatnonzero((mixing.factors[:, :2, 0] == pair).all(axis=1))[0]) for pair in wanted]
    rows = matrix.rows([(0, 0, line) for line in lines]).reshape(-1, *grid.shape[1:])

figure, panels = plt.subplots(1, len(rows), figsize=(9, 2), layout="constrained")
for panel, (n, m), line, row in zip(panels, wanted, lines, rows, strict=True):
    turned = row * np.exp(-1j * np.angle(row.flat[np.abs(row).argmax()]))  # the phase of its largest value
    most = np.abs(turned).max()
    panel.imshow(turned.real, origin="lower", cmap="RdBu_r", vmin=-most, vmax=most)
    where = f"{frequencies[line] / 1e3:.0f} kHz, SNR {snr[0, line]:.0f}"
    panel.set_title(f"n = {n}, m = {m}\n{where}", fontsize="small")
    panel.set_axis_off()

# %%
# The calibration was repeated without a sample, and so the file knows the SNR of each row. It falls with the
# order. Rows below the noise, at an SNR of about 1, hold nothing. ``mpikit plot system-matrix.mdf`` and
# ``mpikit plot --kind snr system-matrix.mdf`` draw pictures like these of any calibration.

figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
for channel, values in enumerate(snr):
    axes.semilogy(frequencies / 1e3, values, ".", ms=3, label=f"receive channel {channel}")
axes.axhline(2, color="k", lw=0.7, ls=":", label="threshold of the first image")
axes.axvline(80, color="k", lw=0.7, label="80 kHz")
axes.set(xlabel="frequency in kHz", ylabel="SNR of a row", xlim=(0, 800))
_ = axes.legend(fontsize="small")

# %%
# A first image
# -------------
# One call reads both files, checks that they belong together, and writes an image for each frame: as an MDF
# file, and as a picture. On the command line this is ``mpikit reconstruct scan.mdf --system-matrix
# system-matrix.mdf --lambda 0.1``.

from mpikit.reconstruct import reconstruct_file

result = reconstruct_file(
    scan_file, system_matrix=calibration_file, output=folder / "image.mdf", lambda_=0.1, overwrite=True
)
print(f"{len(result.images.values)} images, {result.figures['rows']} rows of the system matrix")


def show(panel, image, title):
    """Draw an image, 1 is the concentration of the smile."""
    drawn = panel.imshow(image, origin="lower", extent=(-13, 13, -13, 13), cmap="magma", vmin=0, vmax=1.2)
    panel.set_title(title, fontsize="medium")
    panel.set_axis_off()
    return drawn


def error(image):
    """Distance to the truth, as a share of its norm."""
    return np.linalg.norm(image - truth) / np.linalg.norm(truth)


figure, panels = plt.subplots(1, 2, figsize=(6, 2.6), layout="constrained")
show(panels[0], truth, "truth")
drawn = show(panels[1], result.images.values[0, 0], "first frame")
_ = figure.colorbar(drawn, ax=panels)

# %%
# The steps in between
# --------------------
# ``read_system`` makes a linear system of the two files, *matrix* times image = *data*. A row belongs to
# one frequency in one receive channel; a column of the matrix belongs to a voxel, a column of the data to a
# frame. Rows are left out below 80 kHz, and where the SNR of the calibration is below 2. The background is
# subtracted from both.
#
# ``kaczmarz`` solves it. It minimises the misfit of the data plus λ times the energy of the image.

from mpikit.reconstruct import Kaczmarz, kaczmarz, read_system

told = []  # what the steps say of themselves
scan, calibration = mdf.open(scan_file), mdf.open(calibration_file)
system = read_system(scan, calibration, Kaczmarz(), tell=told.append)
print(f"matrix {system.matrix.shape}, data {system.data.shape}")
for name, count in system.rows.removed.items():
    print(f"{count} rows {name}")


def row_of_images(images):
    """Draw images by their titles, with their errors."""
    _, panels = plt.subplots(1, len(images), figsize=(2 * len(images), 2.4), layout="constrained")
    for panel, (title, image) in zip(panels, images.items(), strict=True):
        show(panel, image, f"{title}\nerror {error(image):.2f}")


def image_of(system, **settings):
    """Reconstruct the first frame."""
    return kaczmarz(system.matrix, system.data[:, :1], **settings).reshape(grid.shape)[0]


# %%
# λ
# -
# λ is *relative*: 1 stands for the mean energy of a column of the matrix. So the same number means about
# the same for any scanner. Small λ: the image explains the noise too. Large λ: smooth, and too low, for the
# energy of the image costs too much. In between there is no sharp border: 0.1 and 1 have about the same
# error here, one by noise and the other by blur.

row_of_images({f"λ = {weight:g}": image_of(system, lambda_=weight) for weight in (0.001, 0.01, 0.1, 1, 10)})

# %%
# Sweeps
# ------
# Kaczmarz goes through the rows one by one. A *sweep* is one pass over all of them. The first sweeps find
# what is strong, the later ones what is weak, noise included. So few sweeps act as a larger λ would, and to
# stop early is a second way to regularise. An image can be repeated only if both are known.

for weight in (0.01, 1):
    images = {}
    for sweeps in (1, 3, 10, 100):
        images[f"λ = {weight}, sweeps {sweeps}"] = image_of(system, lambda_=weight, iterations=sweeps)
    row_of_images(images)

# %%
# With the large λ hardly anything changes after three sweeps: the limit is reached, and the image no
# longer depends on where we stopped. This is the safer way.
#
# SNR threshold
# -------------
# High orders hold the details, and are weak. Rows of the calibration that are little but noise cannot help:
# they let in the noise of the scan, and they are wrong themselves. A high threshold leaves few rows, and
# the details are gone. The MDF standard does not define this SNR, so a threshold that suits one scanner may
# not suit another.


def with_options(**options):
    """Make the linear system with other options."""
    return read_system(scan, calibration, Kaczmarz(**options), tell=told.append)


images = {}
for threshold in (0, 2, 5, 20, 50):
    chosen = with_options(snr_threshold=threshold)
    images[f"SNR ≥ {threshold}, {len(chosen.rows)} rows"] = image_of(chosen, lambda_=0.1)
row_of_images(images)

# %%
# A λ of 0.1 holds weak rows back already. The threshold matters only once it is too high. What it always
# saves is time.
#
# Background
# ----------
# Without subtraction the lines of the empty scanner are taken for tracer. Most of the background is on the
# low harmonics, which is why the rows begin at 80 kHz. With a background as strong as this one, that does
# not do. And the strongest part of the particle signal is below 80 kHz too. Once the background is
# subtracted, these rows can be used:

images = {}
for lowest in (80e3, 0):
    for background in ("none", "static"):
        chosen = with_options(min_frequency=lowest, background=background)
        images[f"{background}, from {lowest / 1e3:g} kHz"] = image_of(chosen, lambda_=0.1)
row_of_images(images)

# %%
# In a real scanner the background drifts more than here, and the low lines are worth less. Then there is
# ``interpolated``, between empty frames before and after, and ``dictionary``, which estimates the
# background together with the image.
#
# λ from the data
# ---------------
# The empty frames say how strong the noise is. An image should leave just this much of the data
# unexplained, not less (that would fit the noise) and not more. This is the *discrepancy principle*.
# ``--lambda auto`` uses it where the noise is known and plausible, and generalised cross-validation
# otherwise.

from mpikit.reconstruct.choosing import choose_lambda

choice = choose_lambda(system.matrix, system.data, noise=system.noise)
print(choice.reason)

figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
axes.loglog(choice.curve.lambdas, choice.curve.residuals, label="residual")
axes.axhline(choice.target, color="k", lw=0.7, ls=":", label="norm of the noise")
axes.axvline(choice.relative, color="C3", lw=0.7, label=f"chosen, λ = {choice.relative:.2g}")
axes.set(xlabel="relative λ", ylabel="norm")
axes.legend(fontsize="small")

# %%
# What images are like
# --------------------
# The energy of the image is an arbitrary penalty. *Total variation* counts differences between neighbours
# instead: it likes even areas with short borders, as the smile has. ``fista`` minimises the same misfit
# with such a *prior*. Its weight µ is relative as λ is. ``mpikit reconstruct --method fista -p prior=tv -p
# mu=0.1``.

from mpikit.reconstruct.solvers import TotalVariation, fista

prior = TotalVariation(grid.shape)
images = {f"chosen λ = {choice.relative:.2g}": image_of(system, lambda_=choice.relative)}
for weight in (0.03, 0.1, 0.3):
    image = fista(system.matrix, system.data[:, :1], lambda_=1e-3, prior=prior, mu=weight)
    images[f"total variation, µ = {weight:g}"] = image.reshape(grid.shape)[0]
row_of_images(images)

# %%
# The noise is gone, the areas are even, and with a large µ they run together and become too low. A prior
# helps as far as it is true. Blood vessels are no even areas, and no number here says whether an edge is in
# the object or was made by the prior. So look at several weights, and publish them with the image. They are
# in the file, and ``mpikit reconstruct --rerun image.mdf`` repeats it bit for bit:

from mpikit.reconstruct.files import rerun_file

scan.close()
calibration.close()
again = rerun_file(folder / "image.mdf", overwrite=True, tell=told.append)
print(told[-1].text)
print(np.array_equal(again.images.values, result.images.values))

# %%
# Next step: :doc:`plot_tune` goes through the other settings, in the order in which to try them.
