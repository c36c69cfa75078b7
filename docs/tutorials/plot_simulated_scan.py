"""
How a scan comes about
======================

Magnetic Particle Imaging (MPI) has few parts: particles, fields, coils, electronics. Here we build a scan from
them, step by step, and look at each step. At the end there is a file, as a scanner would write it.

You need Python, and nothing from MPI. All fields are flux densities in tesla (T), lengths are in metres.
"""

# %%
# A preset is a whole scanner with its particles and its sequence, as data. ``openmpi-2d`` is the scanner of the
# public data set OpenMPIData. ``peng2023`` is the simulated scanner of a paper. ``mpikit simulate openmpi-2d
# --show`` prints such a preset.

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

from mpikit.simulate import preset, preset_names

print(*preset_names())
scanner = preset("openmpi-2d")
peng = preset("peng2023")

# %%
# Particles
# ---------
# A particle is a tiny magnet, some 20 nm wide. Heat shakes it; a field turns it. The two together give the
# *Langevin curve*: in a weak field the magnetisation grows in proportion to it, and in a strong field all
# particles point the same way and nothing more can happen. The particles are *saturated*.
#
# Large cores saturate in weaker fields: the magnetic moment grows with the third power of the diameter.

particle = scanner.particle
field = np.linspace(-0.02, 0.02, 801)  # T


def magnetisation(some, field):
    """Return the magnetisation in a field, as a share of the highest one."""
    return field * some.magnetisation(field**2)[0]


figure, (curves, sizes) = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
for nanometres in (15, 20, 25, 30):
    one = replace(particle, core_diameter=nanometres * 1e-9)
    curves.plot(1e3 * field, magnetisation(one, field), lw=1, label=f"{nanometres} nm")
mixed = replace(particle, diameter_spread=0.2)
curves.plot(1e3 * field, magnetisation(mixed, field), "k--", lw=1, label="25 nm, spread 0.2")
curves.legend(fontsize="small")
curves.set(xlabel="field in mT", ylabel="share of saturation", title="magnetisation")

# No batch of particles is all alike. mpikit takes the logarithm of the diameters for normally distributed. The
# large cores hold most of the iron, and they give most of the signal.
diameter = np.linspace(5e-9, 60e-9, 400)
spread, median = mixed.diameter_spread, mixed.core_diameter
for what, middle in {"cores": median, "iron": median * np.exp(3 * spread**2)}.items():
    density = np.exp(-(np.log(diameter / middle) ** 2) / (2 * spread**2)) / diameter
    sizes.plot(1e9 * diameter, density / density.max(), lw=1, label=what)
sizes.legend(fontsize="small")
_ = sizes.set(xlabel="core diameter in nm", ylabel="relative density", title="spread 0.2")

# %%
# The point spread function
# -------------------------
# Only particles that can still turn give a signal. So what counts is the *slope* of the curve, and the slope is
# large only where the field is weak. The scanner makes a field that is zero in one point and grows with the
# distance from it, by so many tesla a metre. This *gradient* turns the slope over the field into a slope over the
# distance: the point spread function, which is how wide a single point looks.
#
# Its full width at half maximum (FWHM) is 4.16 times the field at which the Langevin curve bends, over the
# gradient. 20 nm and 0.4 T/m give 21.5 mm: coarse. 25 nm and 1 T/m give 4.4 mm.

distance = np.linspace(-0.025, 0.025, 501)  # m
figure, (profile, plane) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
for some in (peng, scanner):
    gradient = abs(some.selection_field.gradient[0, 0, 0, 0])  # T/m along x
    width = some.particle.resolution(gradient)
    slope = np.gradient(magnetisation(some.particle, gradient * distance), distance)
    profile.plot(1e3 * distance, slope / slope.max(), lw=1, label=f"{some.name}: {1e3 * width:.1f} mm")
    print(f"{some.name}: FWHM {1e3 * width:.1f} mm, measured {1e3 * np.ptp(distance[2 * slope > slope.max()]):.1f} mm")
profile.legend(fontsize="small", loc="lower center")
profile.set(xlabel="distance in mm", ylabel="relative", title="along the gradient")

# %%
# In two dimensions the function is not round: the magnetisation along x can also turn sideways, so it reaches
# farther across. A receive coil along y sees the same, turned by 90°.

x, y = np.meshgrid(distance[::5], distance[::5])
even, growth = scanner.particle.magnetisation(x**2 + y**2)  # 1 T/m: 1 mm is 1 mT
spread_function = even + growth * x**2
plane.imshow(spread_function, extent=(-25, 25, -25, 25), origin="lower", cmap="magma")
plane.set(xlabel="x in mm", ylabel="y in mm", title="drive and coil along x")
figure

# %%
# Fields
# ------
# The point without field must move, or there is no signal: a coil feels only what changes. Two *drive fields*,
# along x and y, swing at almost the same frequency, 24.5 and 26.0 kHz. They move the *field-free point* along a
# Lissajous figure. It closes after 0.65 ms: one *period* of the scan, 1632 samples.

times = np.arange(scanner.samples) / scanner.receiver.sampling_rate
drive = scanner.drive_field.field(times)  # (samples, 2), T
gradient = scanner.selection_field.gradient[0, 0, :2, :2]
point = -np.linalg.solve(gradient, drive.T).T  # where gradient · r + drive = 0, in m

figure, (waves, path) = plt.subplots(
    1, 2, figsize=(8, 3.2), width_ratios=(3, 2), layout="constrained"
)
for axis, values in zip("xy", drive.T, strict=True):
    waves.plot(1e6 * times, 1e3 * values, lw=0.7, label=f"along {axis}")
waves.legend(fontsize="small", loc="upper right")
waves.set(xlabel="time in µs", ylabel="drive field in mT", title="drive field", xlim=(0, 653))
path.plot(*1e3 * point.T, lw=0.6)
path.plot(*1e3 * point[0], "o", ms=4)
_ = path.set(xlabel="x in mm", ylabel="y in mm", title="path of the field-free point", aspect="equal")

# %%
# The signal of one point
# -----------------------
# Now we put tracer into a single voxel. ``Signals`` knows scanner and grid and gives the voltage in each receive
# coil. Whenever the field-free point passes the tracer, the particles turn over and the coils feel it.

from mpikit.simulate import Signals, make_phantom

rng = np.random.default_rng(1)
grid = scanner.phantom.grid()  # 48 x 48 voxels of 0.5 mm
place = (0.005, -0.003, 0.0)  # m
dose = 0.1  # mol of iron in a litre
spot = make_phantom("point", grid, concentration=dose, count=1, rng=rng, centre=place)
voltage = Signals(scanner, grid).of(spot)[0, 0]  # of one phantom and one period: (coils, samples), V

figure, (near, seen) = plt.subplots(2, 1, figsize=(7, 4), sharex=True, layout="constrained")
near.plot(1e6 * times, 1e3 * np.hypot(*(point - place[:2]).T), "k", lw=0.7)
near.set(ylabel="distance in mm", title="from the field-free point to the tracer")
for channel, values in enumerate(voltage):
    seen.plot(1e6 * times, 1e6 * values, lw=0.7, label=f"coil along {'xy'[channel]}")
seen.legend(fontsize="small", loc="upper right")
_ = seen.set(xlabel="time in µs", ylabel="voltage in µV", title="signal", xlim=(0, 653))

# %%
# The signal of a phantom
# -----------------------
# A *phantom* is any distribution of tracer. Its signal is the sum of the signals of its voxels.

smile = make_phantom("smile", grid, concentration=dose, count=1, rng=rng)
clean = Signals(scanner, grid).of(smile)[0, 0]

figure, (image, seen) = plt.subplots(
    1, 2, figsize=(8, 2.8), width_ratios=(1, 2), layout="constrained"
)
image.imshow(smile.images[0, 0], origin="lower", extent=(-12, 12, -12, 12))
image.set(xlabel="x in mm", ylabel="y in mm", title="smile")
for values in clean:
    seen.plot(1e6 * times, 1e3 * values, lw=0.6)
_ = seen.set(xlabel="time in µs", ylabel="voltage in mV", title="signal", xlim=(0, 653))

# %%
# mpikit has two ways to form this sum. The *direct* form adds up voxel by voxel. The *x-space* form convolves the
# phantom with the point spread function and follows the field-free point through the result, times its speed.
# They are written apart from each other, and they agree:

for some in (scanner, peng):
    box = some.phantom.grid()
    same = make_phantom("smile", box, concentration=dose, count=1, rng=rng)
    direct = Signals(some, box, form="direct").of(same)
    x_space = Signals(some, box, form="x-space").of(same)
    print(f"{some.name}: largest difference {np.max(np.abs(x_space - direct)) / np.max(np.abs(direct)):.0e} of the peak")

# %%
# ``auto``, the default, takes whatever costs less. A wide point spread function needs few places to describe it:
# with ``peng2023`` the x-space form is a hundred times faster.

print("auto takes", *Signals(scanner, grid).forms, "for", scanner.name)
print("auto takes", *Signals(peng, peng.phantom.grid()).forms, "for", peng.name)

# %%
# The spectrum
# ------------
# Particles answer to a sine with a distorted sine. So the spectrum holds multiples of the drive frequencies, the
# *harmonics*, and with two drive frequencies sums and differences of such multiples as well. They make the bunches
# of lines. Odd harmonics are strong where the object is symmetric; even ones show that it is not.

frequencies = np.fft.rfftfreq(scanner.samples, 1 / scanner.receiver.sampling_rate)  # Hz


def amplitudes(signal):
    """Return the amplitude of each line, V."""
    return 2 / signal.shape[-1] * np.abs(np.fft.rfft(signal, axis=-1))


def spectrum(axes, signal, **style):
    """Draw the amplitudes of the lines up to 400 kHz, in µV."""
    axes.semilogy(frequencies / 1e3, 1e6 * amplitudes(signal), **style)
    axes.set(xlabel="frequency in kHz", ylabel="amplitude in µV", xlim=(0, 400))


figure, axes = plt.subplots(figsize=(8, 2.8), layout="constrained")
spectrum(axes, clean[0], lw=0.6)
for order in range(1, 16):
    axes.axvline(order * scanner.drive_field.frequencies[0, 0] / 1e3, color="k", lw=0.3, ls=":")
_ = axes.set(ylim=(1e-4, 1e4), title="coil along x; dotted: multiples of 24.5 kHz")

# %%
# Relaxation
# ----------
# Cosines are even in time: the fields run backwards as they ran forwards. Particles that follow at once do the
# same, so their signal is exactly *odd* in time. Its spectrum is imaginary. Half of the noise can be told from
# that alone.
#
# Real particles lag behind. mpikit takes a lag of a few microseconds as a low-pass filter with the relaxation time
# τ (Debye). It turns each line of the spectrum by an angle that depends on the frequency alone, and not on the
# object. So the symmetry is not lost: it is turned.

late = preset("openmpi-2d", ["particle.relaxation_time=2e-6"])
delayed = Signals(late, grid).of(smile)[0, 0]


def share_of_even(signal):
    """Return the rms of the part that is even in time, as a share of the whole."""
    backwards = np.roll(signal[..., ::-1], 1, axis=-1)
    return np.std(signal + backwards) / 2 / np.std(signal)


print(f"even part: {share_of_even(clean):.0e} without relaxation, {share_of_even(delayed):.2f} with τ = 2 µs")

figure, (before, after) = plt.subplots(1, 2, figsize=(8, 2.8), sharey=True, layout="constrained")
for axes, signal, title in ((before, clean, "at once"), (after, delayed, "τ = 2 µs")):
    lines = np.fft.rfft(signal[0])
    strong = np.abs(lines) > 1e-3 * np.abs(lines).max()
    angle = np.degrees(np.angle(1j * lines)) % 180  # from the imaginary axis, either way
    axes.plot(frequencies[strong] / 1e3, (angle[strong] + 90) % 180 - 90, ".", ms=3, label="lines of the signal")
    axes.set(xlabel="frequency in kHz", title=title, xlim=(0, 400), ylim=(-90, 90))
debye = np.degrees(np.angle(late.particle.relaxation(frequencies)))
after.plot(frequencies / 1e3, debye, "k", lw=0.6, label="Debye filter")
before.set(ylabel="angle to the imaginary axis in °")
_ = after.legend(fontsize="small", loc="upper right")

# %%
# The receive chain
# -----------------
# A receive coil feels the drive field too, and much more than the particles. Here the *feed-through* is some
# hundred times the signal. A *notch* takes the drive frequencies away, and weakens what lies beside them. The
# *ADC* turns volts into whole numbers. It must be set for the largest voltage, so without the notch its steps are
# far too coarse for the particles.
#
# Each step is an entry of the preset. Here we set them one by one.

from mpikit.simulate import simulate_scan

feed_through = "receiver.feed_through=[[1e-4, 2e-5], [2e-5, 1e-4]]"  # m², for each coil and drive field
coarse = preset("openmpi-2d", [feed_through, "receiver.adc={bits=12, full_scale=0.4}"])
fine = preset(
    "openmpi-2d", [feed_through, "receiver.notch={quality=5}", "receiver.adc={bits=12, full_scale=0.02}"]
)

figure, panels = plt.subplots(2, 2, figsize=(8, 4.6), layout="constrained")
for (lines, samples), some, title in zip(panels, (coarse, fine), ("no notch", "notch"), strict=True):
    signals = Signals(some, grid)
    arriving = signals.of(smile)[0, 0]
    spectrum(lines, arriving[0] + signals.empty()[0, 0], lw=0.5, label="with feed-through")
    spectrum(lines, arriving[0], lw=0.5, label="particles")
    lines.set(title=f"{title}: coil along x", ylim=(1e-4, 1e6))
    scan, _ = simulate_scan(some, smile, frames=1, background_frames=1, rng=rng)
    converted = scan.signal[0, 0] - scan.background[0, 0]  # less the empty scanner
    samples.plot(1e6 * times, 1e3 * converted[0], lw=0.6)
    samples.set(xlim=(100, 200), xlabel="time in µs", ylabel="mV", title="behind the ADC, less empty frame")
    error = np.std(converted - arriving) / np.std(arriving)
    print(f"{title}: rounding is {100 * error:.2f} % of the particle signal")
panels[0, 0].legend(fontsize="small")
for axes in panels[0]:
    axes.set_xlabel("")

# %%
# This feed-through is a pure sine, so the notch takes all of it. In a real scanner the amplifier adds harmonics of
# its own. They are below, under the name of background.
#
# Noise
# -----
# Noise comes in after the receive chain and before the ADC. There are several models, and they add up. Three of
# them: *gaussian* is thermal noise, alike on all lines. *harmonic* sits on the lines of the signal, in proportion
# to them. *background* is what an empty scanner shows: harmonics of the drive field, the same in every frame, but
# for a slow drift.

from mpikit.plugins import parse_noise

models = ("gaussian:snr_db=10", "harmonic:sir_db=10", "background:sbr_db=10")
figure, panels = plt.subplots(1, 3, figsize=(9, 2.6), sharey=True, layout="constrained")
for axes, model in zip(panels, models, strict=True):
    scan, exact = simulate_scan(scanner, smile, frames=20, noise=[parse_noise(model)], rng=rng)
    noise = scan.signal - exact  # (frames, periods, coils, samples)
    spectrum(axes, clean[0], lw=0.5, color="0.7")
    spectrum(axes, noise[0, 0, 0], lw=0.5, color="C3")
    axes.set(title=model, ylim=(1e-2, 1e4))
    print(f"{model}: {1e3 * noise.std():.2f} mV rms, and {1e3 * noise.mean(axis=0).std():.2f} mV in the mean of 20 frames")
for axes in panels[1:]:
    axes.set_ylabel("")

# %%
# The mean of 20 frames lowers what is drawn anew in each frame by √20. The background stays: subtract empty frames
# for that.
#
# A file, and its calibration
# ---------------------------
# The same goes into a file with ``simulate_file``: noise, empty frames, and how all of it was made. The command
# ``mpikit simulate openmpi-2d --phantom smile --noise ... -o scan.mdf`` does this too. ``clean`` writes the
# particle signal into a file of its own, to judge results by.

from pathlib import Path

import mdf
from mpikit.simulate.files import How, simulate_calibration_file, simulate_file

folder = Path("simulated-scan")
folder.mkdir(exist_ok=True)
how = How(seed=1, overwrite=True)
made = simulate_file(
    scanner,
    folder / "scan.mdf",
    phantom=smile,
    frames=10,
    noise=["gaussian:level=channel,snr_db=15", "background:sbr_db=10"],
    clean=folder / "scan.clean.mdf",
    how=how,
)
print(f"{made.path}: {made.frames} frames + {made.background_frames} empty, SNR {made.snr_db:.1f} dB")

# %%
# To get an image from a scan, one needs the signal of a small sample at every place of a grid: the *calibration*,
# or system matrix. In a real scanner a robot moves the sample for hours. Each row belongs to one frequency, and
# shows where in space this frequency comes from. Low orders are smooth, high ones have many stripes.

simulate_calibration_file(scanner, folder / "system-matrix.mdf", grid=scanner.calibration.grid(), how=how)

with mdf.open(folder / "system-matrix.mdf") as file:
    shape = file.grid.shape[1:]
    chosen = [(0, 0, 2 * 16), (0, 0, 3 * 16), (0, 0, 3 * 16 + 2), (0, 0, 7 * 16)]  # period, coil, line
    rows = file.system_matrix.rows(chosen)
    ratio = file.system_matrix.snr

figure, panels = plt.subplots(1, len(chosen), figsize=(9, 2.6), layout="constrained")
for axes, index, row in zip(panels, chosen, rows, strict=True):
    axes.imshow(row.imag.reshape(shape), origin="lower", extent=(-19, 19, -19, 19), cmap="RdBu")
    axes.set(title=f"{frequencies[index[2]] / 1e3:.1f} kHz, SNR {ratio[index]:.0f}", xlabel="x in mm")

# %%
# Scan and calibration are what :ref:`sphx_glr_auto_tutorials_plot_first_image.py` turns into an image. How each
# step is computed, and what is left out, is in the page :doc:`/explanation/simulation`.
