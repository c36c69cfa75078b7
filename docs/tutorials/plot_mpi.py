"""
MPI in pictures
===============

Magnetic Particle Imaging (MPI) shows where magnetic nanoparticles are, and how many. Tissue gives no signal.
This page goes from one particle to an image, one picture for each step. Nothing has to be known before. The
code beside the pictures makes them, and you need not read it.

The words are explained once more in :doc:`/explanation/mpi`. How each step is simulated in detail, with
noise and the electronics of a receiver, is in :doc:`/auto_tutorials/plot_simulated_scan`.
"""

# %%
# A particle answers with harmonics
# ---------------------------------
# A particle is a magnet of some 20 nm, shaken by heat. A weak field turns it a little, a strong field
# turns it fully, and a still stronger one changes nothing more: it is *saturated*. The curve is that of
# Langevin.
#
# Let the field swing as a sine. Near zero field the particles turn over with each swing, and a coil feels
# the change of their magnetisation. As the curve is bent, the answer is no sine. Its spectrum has
# *harmonics*: lines at multiples of the drive frequency. They come from particles alone, for the drive field
# is a pure sine. With a strong static field on top (below) the particles stay saturated, and give next to
# nothing. This is the whole trick of MPI.

import matplotlib.pyplot as plt
import numpy as np

from mpikit.simulate import preset

scanner = preset("openmpi-2d")  # the scanner of the public data set OpenMPIData, simulated
particle = scanner.particle
turns = np.arange(1000) / 1000  # one swing of the drive field
swing = 0.012 * np.sin(2 * np.pi * turns)  # T


def answer(field):
    """Return the magnetisation in a field along one axis, as a share of the highest one."""
    return field * particle.magnetisation(field**2)[0]


curve = np.linspace(-0.04, 0.04, 801)  # T
figure, panels = plt.subplots(2, 4, figsize=(10, 4.6), layout="constrained")
for row, (static, name) in zip(
    panels, {0.0: "no static field", 0.025: "static field 25 mT"}.items(), strict=True
):
    felt = answer(static + swing)
    voltage = -np.gradient(felt, turns, edge_order=2)
    harmonics = np.abs(np.fft.rfft(voltage))[1:16]
    row[0].plot(1e3 * curve, answer(curve), "0.6", lw=1)
    row[0].plot(1e3 * (static + swing), felt, "C3", lw=2.5)
    row[0].set(ylabel=name, xlabel="field in mT")
    row[1].plot(turns, felt, "C3", lw=1)
    row[1].set(ylim=(-1.1, 1.1), xlabel="time in swings")
    row[2].plot(turns, voltage, lw=1)
    row[2].set(ylim=(-45, 45), xlabel="time in swings")
    row[3].bar(np.arange(1, 16), harmonics, width=0.5)
    row[3].set(ylim=(0, 7000), xlabel="multiple")
titles = ("magnetisation over field", "magnetisation over time", "signal of a coil", "its spectrum")
for panel, title in zip(panels[0], titles, strict=True):
    panel.set_title(title, fontsize="medium")

# %%
# A point without field
# ---------------------
# A *selection field* is zero in one point and grows away from it, here by 1 tesla per metre. Only around this
# *field-free point* are particles free to turn. It has to visit every place: two *drive fields* that swing at
# slightly different frequencies shift it along a Lissajous figure. After 0.65 ms the figure is closed. One
# round is a *period*.

times = np.arange(scanner.samples) / scanner.receiver.sampling_rate  # s
gradient = scanner.selection_field.gradient[0, 0, :2, :2]  # T/m
drive = scanner.drive_field.field(times)  # (samples, 2), T
point = -np.linalg.solve(gradient, drive.T).T  # m, where selection field and drive field cancel

places = np.linspace(-0.018, 0.018, 181)  # m
x, y = np.meshgrid(places, places)
moments = {"start": 0, "460 samples on": 460}
figure, panels = plt.subplots(1, 3, figsize=(10, 3.3), layout="constrained")
for panel, (name, sample) in zip(panels, moments.items(), strict=False):
    total = np.stack([x, y], axis=-1) @ gradient.T + drive[sample]  # T
    drawn = panel.pcolormesh(1e3 * x, 1e3 * y, 1e3 * np.hypot(*np.moveaxis(total, -1, 0)), vmin=0, vmax=30)
    panel.plot(*1e3 * point[: sample + 1].T, "w", lw=0.8)
    panel.plot(*1e3 * point[sample], "wo", ms=5)
    panel.set_title(f"field, {name}", fontsize="medium")
figure.colorbar(drawn, ax=panels[:2], label="field in mT", shrink=0.9)
panels[2].plot(*1e3 * point.T, lw=0.6)
panels[2].set_title("path of one period", fontsize="medium")
for panel in panels:
    panel.set(xlabel="x in mm", ylabel="y in mm", aspect="equal", xlim=(-18, 18), ylim=(-18, 18))

# %%
# The signal knows the place
# --------------------------
# Two small clouds of tracer, one after the other in the same scanner. Whenever the point comes by, the coil
# feels a kick. The kicks come at other times for another place, so the signal says where the cloud is. Twice
# the tracer would give twice the signal: it says how much there is, too.
#
# In the spectrum the harmonics of both drive frequencies, their sums and their differences stand side by
# side. They are strong in bunches around the multiples of the drive frequency (dotted).

from mpikit.simulate import Signals, make_phantom

rng = np.random.default_rng(1)
grid = scanner.phantom.grid()
clouds = {"cloud at (6, 4) mm": (0.006, 0.004, 0.0), "cloud at (−2, −7) mm": (-0.002, -0.007, 0.0)}
kilohertz = np.fft.rfftfreq(scanner.samples, 1 / scanner.receiver.sampling_rate) / 1e3

figure = plt.figure(figsize=(10, 4.2), layout="constrained")
panels = figure.subplots(2, 3, width_ratios=(1, 2, 2))
for row, (name, centre) in zip(panels, clouds.items(), strict=True):
    spot = make_phantom("point", grid, concentration=0.1, count=1, rng=rng, centre=centre)
    signal = Signals(scanner, grid).of(spot)[0, 0, 0]  # coil along x, V
    row[0].plot(*1e3 * point.T, "0.8", lw=0.4)
    row[0].plot(*(1e3 * place for place in centre[:2]), "C3o", ms=6)
    row[0].set(title=name, xlabel="x in mm", aspect="equal")
    row[1].plot(1e6 * times, 1e6 * signal, lw=0.7)
    row[1].set(title="signal of the coil along x, µV", xlabel="time in µs", xlim=(0, 653))
    row[2].semilogy(kilohertz, 2 / len(signal) * np.abs(np.fft.rfft(1e6 * signal)), lw=0.6)
    row[2].set(title="its spectrum, µV", xlabel="frequency in kHz", xlim=(0, 400), ylim=(1e-5, 10))
    for order in range(1, 17):
        row[2].axvline(order * scanner.drive_field.frequencies[0, 0] / 1e3, color="k", lw=0.3, ls=":")
for panel in panels.ravel():
    panel.title.set_fontsize("medium")

# %%
# A library of signals
# --------------------
# Measure a small sample at every place of a grid, and keep the spectra. This is the *system matrix*: one
# column for each place, one row for each line of the spectrum. Drawn as an image, a row says from which
# places its line comes. A line is at :math:`m_x f_x + m_y f_y`, and :math:`|m_x| + |m_y|` is its *mixing
# order*. As a rule, the higher the order, the finer and the weaker the pattern: fine detail has to be won
# from the weakest lines. This is why noise costs resolution.

from mdf import Grid
from mpikit.simulate import system_matrix

calibration = Grid(np.array([28, 28, 1]), np.array([0.028, 0.028, 0.001]), np.zeros(3))  # voxels of 1 mm
dose = scanner.calibration.concentration  # mol of iron in a litre
columns = system_matrix(scanner, calibration, concentration=dose)[:, 0]  # (places, coils, samples), V
spectra = 2 / scanner.samples * np.fft.rfft(columns)  # (places, coils, lines), amplitudes in V
extent = (-14, 14, -14, 14)
f_x, f_y = np.rint(scanner.drive_field.frequencies[:, 0] * scanner.drive_field.cycle).astype(int)

figure, panels = plt.subplots(4, 5, figsize=(9, 7.6), layout="constrained")
for m_y, row in enumerate(panels):
    for m_x, panel in enumerate(row, start=1):
        values = spectra[:, 0, m_x * f_x + m_y * f_y]
        image = values.imag.reshape(28, 28)  # the lines of this scan are imaginary
        high = np.abs(image).max()
        panel.imshow(image, origin="lower", extent=extent, cmap="RdBu", vmin=-high, vmax=high)
        panel.set_title(f"$m_x$ = {m_x}, $m_y$ = {m_y}: {1e6 * high:.2g}", fontsize="small")
        panel.set(xticks=[], yticks=[])
_ = figure.suptitle("rows of the coil along x, each on its own scale; the figure is its highest value in µV")

# %%
# An image
# --------
# A scan of any object is a sum of these columns, and the amounts are the image. To find them is to solve a
# large system of equations, with noise in it. ``kaczmarz`` is the usual solver
# (:doc:`/auto_tutorials/plot_kaczmarz`). The more noise, the larger the weight λ of its penalty has to be,
# and detail is lost. The axes are in mm.
#
# Below is the other way to an image, *x-space*: each sample, divided by the speed of the field-free point, is
# put where the point was. It needs no calibration. The blur of the particles stays in it.

from mpikit.reconstruct import kaczmarz, trajectory, x_space

smile = make_phantom("smile", calibration, concentration=dose, count=1, rng=rng)
clean = Signals(scanner, calibration).of(smile)[0, 0]  # (coils, samples), V
path = trajectory(
    scanner.drive_field,
    scanner.selection_field,
    samples=scanner.samples,
    sampling_rate=scanner.receiver.sampling_rate,
)
lines = slice(53, 327)  # from 80 kHz to 500 kHz
matrix = spectra[..., lines].reshape(len(spectra), -1).T  # a row for each coil and line

figure, (by_matrix, by_place) = plt.subplots(2, 4, figsize=(10, 5), layout="constrained")


def draw(panel, image, name):
    """Draw an image on a scale of its own."""
    panel.imshow(image, origin="lower", extent=extent, cmap="magma", vmin=0, vmax=image.max())
    panel.set_title(name, fontsize="medium")
    panel.set(xticks=(-10, 0, 10), yticks=(-10, 0, 10))


draw(by_matrix[0], smile.images[0, 0] / dose, "the object")
by_place[0].set_axis_off()
cases = {"no noise": (0.0, 1e-3), "noise at −15 dB": (0.178, 0.1), "noise at −5 dB": (0.562, 1.0)}
for above, below, (name, (level, weight)) in zip(by_matrix[1:], by_place[1:], cases.items(), strict=True):
    noisy = clean + level * np.std(clean) * rng.standard_normal(clean.shape)
    data = 2 / scanner.samples * np.fft.rfft(noisy)[:, lines].reshape(-1, 1)
    image = kaczmarz(matrix, data, lambda_=weight, iterations=20)
    draw(above, image.reshape(28, 28), f"{name}, λ = {weight:g}")
    image, _ = x_space(noisy[None], path, size=(28, 28), field_of_view=(0.028, 0.028))
    draw(below, image[0, 0], f"{name}, x-space")

# %%
# What is left is noise. Averages lower it by the root of their number, and cost that many times the time. To
# gain the same without the time is what the denoisers of mpikit try.
#
# Next: make such images from files in :doc:`/auto_tutorials/plot_first_image`, or see what the noise can
# *not* hide in :doc:`/auto_tutorials/plot_symmetry`.
