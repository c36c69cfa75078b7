"""
How a scan comes about
======================

Magnetic Particle Imaging (MPI) has few parts: particles, fields, coils, electronics. Here we build a scan
from them, step by step, and look at each step. At the end there is a file like that of a scanner.

You need some Python, and have to know nothing about MPI. All fields are flux densities in tesla (T).
"""

# %%
# A preset is a whole scanner with its particles and its sequence, as data. ``openmpi-2d`` is the scanner of
# the public data set OpenMPIData. ``peng2023`` is the simulated scanner of a paper. To read one, type
# ``mpikit simulate openmpi-2d --show``.

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
# A particle is a tiny magnet, some 20 nm wide. Heat shakes it, and a field turns it. The two together give
# the *Langevin curve*: in a weak field the magnetisation grows in proportion to the field. In a strong field
# all particles point the same way, and nothing more can happen: they are *saturated*. The larger the cores,
# the weaker the field that saturates them, by the third power of the diameter.
#
# No two cores are alike. mpikit takes the logarithm of the diameter to be normally distributed. The large
# cores hold most of the iron, and they give most of the signal.

particle = scanner.particle
mixed = replace(particle, diameter_spread=0.2)
field = np.linspace(-0.02, 0.02, 801)  # T
diameter = np.linspace(5e-9, 60e-9, 400)  # m


def magnetisation(some, field):
    """Return the magnetisation in a field, as a share of the highest one."""
    return field * some.magnetisation(field**2)[0]


figure, (curves, sizes) = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
curves.set(xlabel="field in mT", ylabel="share of saturation", title="magnetisation")
for nanometres in (15, 20, 25, 30):
    one = replace(particle, core_diameter=nanometres * 1e-9)
    curves.plot(1e3 * field, magnetisation(one, field), lw=1, label=f"{nanometres} nm")
curves.plot(1e3 * field, magnetisation(mixed, field), "k--", lw=1, label="25 nm, spread 0.2")
sizes.set(xlabel="core diameter in nm", ylabel="relative density", title="25 nm, spread 0.2")
spread, median = mixed.diameter_spread, mixed.core_diameter
for what, middle in {"cores": median, "iron": median * np.exp(3 * spread**2)}.items():
    density = np.exp(-(np.log(diameter / middle) ** 2) / (2 * spread**2)) / diameter
    sizes.plot(1e9 * diameter, density / density.max(), lw=1, label=what)
for axes in (curves, sizes):
    axes.legend(fontsize="small")

# %%
# The point spread function
# -------------------------
# Only particles that can still turn give a signal. So what counts is the *slope* of the curve, and it is
# steep in weak fields only. The scanner makes a field that vanishes in one point, the *field-free point*, and
# grows with the distance from it, by so many tesla a metre: the *gradient*. It turns the slope over the field
# into a slope over the distance. This is the point spread function: it says how wide a single point looks.
#
# Its full width at half maximum (FWHM) is 4.16 times the field at which the Langevin curve bends, over the
# gradient. 20 nm and 0.4 T/m give 21.5 mm, which is coarse. 25 nm and 1 T/m give 4.4 mm.
#
# In two dimensions it is not round. A magnetisation that points along x can turn sideways as well, so the
# function reaches farther in y. A coil along y sees the same, turned by 90°.

distance = np.linspace(-0.025, 0.025, 5001)  # m

figure, (profile, plane) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
for some in (peng, scanner):
    gradient = abs(some.selection_field.gradient[0, 0, 0, 0])  # T/m along x
    slope = np.gradient(magnetisation(some.particle, gradient * distance))
    measured = np.ptp(distance[slope > slope.max() / 2])
    print(
        f"{some.name}: FWHM {1e3 * some.particle.resolution(gradient):.1f} mm, here {1e3 * measured:.1f} mm"
    )
    profile.plot(1e3 * distance, slope / slope.max(), lw=1, label=some.name)
profile.legend(fontsize="small")
profile.set(xlabel="distance in mm", ylabel="relative", title="along the gradient")

x, y = np.meshgrid(distance[::50], distance[::50])
even, growth = scanner.particle.magnetisation(x**2 + y**2)  # at 1 T/m, 1 mm is 1 mT
plane.set(xlabel="x in mm", ylabel="y in mm", title=f"{scanner.name}, coil along x")
plane.pcolormesh(1e3 * x, 1e3 * y, even + growth * x**2, cmap="magma")
plane.set_aspect("equal")

# %%
# Fields
# ------
# A coil feels only what changes, so the field-free point has to move. Two *drive fields*, along x and y,
# swing with almost the same frequency, 24.5 and 26.0 kHz. Together with the static field they lead the point
# along a Lissajous figure. It closes after 0.65 ms: this is one *period* of the scan, 1632 samples.

times = np.arange(scanner.samples) / scanner.receiver.sampling_rate
drive = scanner.drive_field.field(times)  # (samples, 2), T
gradient = scanner.selection_field.gradient[0, 0, :2, :2]  # T/m
point = -np.linalg.solve(gradient, drive.T).T  # where gradient · r + drive = 0; (samples, 2), m

figure, (static, waves, path) = plt.subplots(
    1, 3, figsize=(10, 3), width_ratios=(2, 3, 2), layout="constrained"
)
places = np.stack(np.meshgrid(np.linspace(-12, 12, 9), np.linspace(-12, 12, 9)), axis=-1)  # mm
arrows = places @ gradient.T  # mT
static.quiver(places[..., 0], places[..., 1], arrows[..., 0], arrows[..., 1], pivot="mid")
static.set(xlabel="x in mm", ylabel="y in mm", title="static field", aspect="equal")
waves.set(xlabel="time in µs", ylabel="field in mT", title="drive fields", xlim=(0, 653))
for axis, values in zip("xy", drive.T, strict=True):
    waves.plot(1e6 * times, 1e3 * values, lw=0.7, label=f"along {axis}")
waves.legend(fontsize="small", loc="upper right")
path.plot(*1e3 * point.T, lw=0.6)
path.plot(*1e3 * point[0], "o", ms=4)
_ = path.set(xlabel="x in mm", ylabel="y in mm", title="path of the field-free point", aspect="equal")

# %%
# The signal of one point
# -----------------------
# Now we put tracer into a single voxel. ``Signals`` gives the voltage in each receive coil. Whenever the
# field-free point passes near the tracer, the particles turn over, and the coils feel it.

from mpikit.simulate import Signals, make_phantom

rng = np.random.default_rng(1)
grid = scanner.phantom.grid()  # 48 x 48 voxels of 0.5 mm
place = (0.005, -0.003, 0.0)  # m
dose = 0.1  # mol of iron in a litre
spot = make_phantom("point", grid, concentration=dose, count=1, rng=rng, centre=place)
voltage = Signals(scanner, grid).of(spot)[0, 0]  # of one phantom in one period: (coils, samples), V

figure, (near, seen) = plt.subplots(2, 1, figsize=(8, 4), sharex=True, layout="constrained")
near.set(ylabel="mm", title="distance from the field-free point to the tracer")
near.plot(1e6 * times, 1e3 * np.hypot(*(point - place[:2]).T), "k", lw=0.7)
seen.set(xlabel="time in µs", ylabel="µV", title="signal", xlim=(0, 653))
for axis, values in zip("xy", voltage, strict=True):
    seen.plot(1e6 * times, 1e6 * values, lw=0.7, label=f"coil along {axis}")
_ = seen.legend(fontsize="small", loc="upper right")

# %%
# The signal of a phantom
# -----------------------
# A *phantom* is any distribution of tracer. Its signal is the sum of the signals of its voxels.

smile = make_phantom("smile", grid, concentration=dose, count=1, rng=rng)
clean = Signals(scanner, grid).of(smile)[0, 0]

figure, (image, seen) = plt.subplots(1, 2, figsize=(8, 2.8), width_ratios=(1, 2), layout="constrained")
image.imshow(smile.images[0, 0], origin="lower", extent=(-12, 12, -12, 12))
image.set(xlabel="x in mm", ylabel="y in mm", title="phantom")
seen.set(xlabel="time in µs", ylabel="mV", title="signal", xlim=(0, 653))
for values in clean:
    seen.plot(1e6 * times, 1e3 * values, lw=0.6)

# %%
# mpikit has two ways to form this sum. The *direct* form adds up voxel by voxel. The *x-space* form convolves
# the phantom with the point spread function. Then it follows the field-free point through the result, and
# takes it times the speed. The two are written apart from each other, and they agree:

for some in (scanner, peng):
    same = make_phantom("smile", some.phantom.grid(), concentration=dose, count=1, rng=rng)
    direct, x_space = (Signals(some, same.grid, form=form).of(same) for form in ("direct", "x-space"))
    difference = np.max(np.abs(x_space - direct)) / np.max(np.abs(direct))
    taken = Signals(some, same.grid).forms[0]
    print(f"{some.name}: they differ by {difference:.0e} of the peak; the faster one is {taken}")

# %%
# If you do not say which, the faster one is taken. A wide point spread function is known everywhere from few
# places. That is why the x-space form wins for ``peng2023``, by a factor of about fifty.
#
# The spectrum
# ------------
# Particles answer to a sine with a distorted sine. So the spectrum holds multiples of the drive frequencies,
# the *harmonics*. With two drive frequencies there are sums and differences of them as well, which stand in
# bunches. Odd orders are strong. Even orders come from objects that look different upside down, as the smile.

frequencies = np.fft.rfftfreq(scanner.samples, 1 / scanner.receiver.sampling_rate)  # Hz


def draw_spectrum(axes, signal, **style):
    """Draw the amplitudes of the lines up to 400 kHz."""
    amplitudes = 2 / len(signal) * np.abs(np.fft.rfft(signal))
    axes.semilogy(frequencies / 1e3, 1e6 * amplitudes, **style)
    axes.set(xlabel="frequency in kHz", ylabel="amplitude in µV", xlim=(0, 400))


figure, axes = plt.subplots(figsize=(8, 2.8), layout="constrained")
draw_spectrum(axes, clean[0], lw=0.6)
axes.set(ylim=(1e-4, 1e4), title="coil along x; dotted: multiples of 24.5 kHz")
for order in range(1, 17):
    axes.axvline(order * scanner.drive_field.frequencies[0, 0] / 1e3, color="k", lw=0.4, ls=":")

# %%
# Relaxation
# ----------
# The drive fields are cosines, so each period runs backwards as it ran forwards. Particles that follow at
# once do the same. Their signal is then exactly *odd* in time, and its spectrum is imaginary. What is even in
# time can only be noise.
#
# Real particles lag behind by some microseconds. mpikit takes this for a low-pass filter with the relaxation
# time τ (Debye). It turns each line of the spectrum by an angle that depends on the frequency, and not on the
# object. So the symmetry is not lost. It is turned, by an angle that can be measured.

late = preset("openmpi-2d", ["particle.relaxation_time=2e-6"])
delayed = Signals(late, grid).of(smile)[0, 0]

figure, panels = plt.subplots(1, 2, figsize=(8, 2.8), sharey=True, layout="constrained")
for axes, some, signal in zip(panels, (scanner, late), (clean, delayed), strict=True):
    backwards = np.roll(signal[:, ::-1], 1, axis=-1)
    even = np.std(signal + backwards) / 2 / np.std(signal)
    microseconds = 1e6 * some.particle.relaxation_time
    print(f"τ = {microseconds:g} µs: the part that is even in time has {even:.1g} of the rms")
    lines = np.fft.rfft(signal[0])
    strong = np.abs(lines) > 1e-3 * np.abs(lines).max()
    angle = np.degrees(np.angle(lines[strong] / 1j)) + 90  # 90 where a line is imaginary and positive
    axes.plot(frequencies[strong] / 1e3, angle % 180 - 90, ".", ms=3, label="lines of the signal")
    debye = np.degrees(np.angle(some.particle.relaxation(frequencies)))
    axes.plot(frequencies / 1e3, debye, "k", lw=0.6, label="Debye filter")
    axes.set(xlabel="frequency in kHz", title=f"τ = {microseconds:g} µs", xlim=(0, 400), ylim=(-90, 90))
panels[0].set_ylabel("angle to the imaginary axis, °")
for axes in panels:
    axes.legend(fontsize="small", loc="upper right")

# %%
# The receive chain
# -----------------
# The receive coils feel the drive fields too, hundreds of times stronger than the particles. This is the
# *feed-through*. A *notch* filter takes the drive frequencies away, and weakens what is beside them. The
# *ADC* turns volts into whole numbers. Its range has to hold the largest voltage. So without the notch its
# steps are too coarse for the particles.
#
# Each of these is an entry of the preset, which we change. The second argument of ``preset`` is what
# ``mpikit simulate --param`` takes.

from mpikit.simulate import simulate_scan

feed_through = "receiver.feed_through=[[1e-3, 2e-4], [2e-4, 1e-3]]"  # m², from both drive fields to each coil
notch = "receiver.notch={quality=5}"
chains = {
    "no notch, ±4 V": [feed_through, "receiver.adc={bits=12, full_scale=4}"],
    "notch, ±20 mV": [feed_through, notch, "receiver.adc={bits=12, full_scale=0.02}"],
}

figure, panels = plt.subplots(2, 2, figsize=(9, 5), sharex="col", layout="constrained")
for (spectra, samples), (name, changes) in zip(panels, chains.items(), strict=True):
    some = preset("openmpi-2d", changes)
    signals = Signals(some, grid)
    particles, empty = signals.of(smile)[0, 0], signals.empty()[0]
    draw_spectrum(spectra, (particles + empty)[0], lw=0.6, label="all that arrives")
    draw_spectrum(spectra, particles[0], lw=0.6, label="particles")
    spectra.set(title=f"{name}: at the ADC", ylim=(1e-4, 1e8))
    spectra.legend(fontsize="small")
    scan, _ = simulate_scan(some, smile, frames=1, background_frames=1, rng=rng)
    read_out = scan.signal[0, 0] - scan.background[0, 0]  # less the empty scanner
    samples.plot(1e6 * times, 1e3 * read_out[0], lw=0.7)
    samples.set(
        xlim=(100, 200), xlabel="time in µs", ylabel="mV", title=f"{name}: behind it, less empty scan"
    )
    rounding = np.std(read_out - particles) / np.std(particles)
    print(f"{name}: rounding makes {100 * rounding:.1f} % of the particle signal")

# %%
# This feed-through is a pure sine, so the notch takes all of it. In a real scanner the amplifiers add
# harmonics of their own. We come to them now.
#
# Noise
# -----
# Noise comes after the receive chain and before the ADC. There are several models, and they add up. Three of
# them: *gaussian* is thermal noise, alike on all lines. *harmonic* is on the lines of the signal, in
# proportion to them. *background* is what an empty scanner shows: harmonics of the drive fields, the same in
# all frames but for a slow drift. A *frame* is what belongs to one image, here one period.

from mpikit.plugins import parse_noise

models = ("gaussian:snr_db=10", "harmonic:sir_db=10", "background:sbr_db=10")

figure, panels = plt.subplots(1, 3, figsize=(10, 2.8), sharey=True, layout="constrained")
for axes, model in zip(panels, models, strict=True):
    scan, exact = simulate_scan(scanner, smile, frames=20, noise=[parse_noise(model)], rng=rng)
    noise = scan.signal - exact  # (frames, periods, coils, samples), V
    each, mean = 1e3 * noise.std(), 1e3 * noise.mean(axis=0).std()
    print(f"{model}: {each:.2f} mV in a frame, {mean:.2f} mV in the mean of 20 frames")
    draw_spectrum(axes, exact[0, 0, 0], lw=0.6, color="0.7", label="signal")
    draw_spectrum(axes, noise[0, 0, 0], lw=0.6, color="C3", label="noise")
    axes.set(title=model, ylim=(1e-2, 1e5))
    axes.label_outer()
for axes in panels:
    axes.legend(fontsize="small", ncols=2, loc="upper right")

# %%
# A mean over 20 frames lowers noise by √20 if each frame has a draw of its own. The background stays. It goes
# away when frames of the empty scanner are subtracted.
#
# A file, and a calibration
# -------------------------
# ``simulate_file`` writes a scan with noise and empty frames, and how it was made. So does the command
# ``mpikit simulate openmpi-2d --phantom smile --noise gaussian:snr_db=15 -o scan.mdf``. The file named by
# ``clean`` gets the particle signal alone, to judge results by.

from pathlib import Path

import mdf
from mpikit.simulate import How, simulate_calibration_file, simulate_file

folder = Path("simulated-scan")
folder.mkdir(exist_ok=True)
how = How(seed=1, overwrite=True)

noise = ["gaussian:level=channel,snr_db=15", "background:sbr_db=10"]
clean_file = folder / "scan.clean.mdf"
made = simulate_file(
    scanner, folder / "scan.mdf", phantom=smile, frames=10, noise=noise, clean=clean_file, how=how
)
print(f"{made.path}: {made.frames} frames and {made.background_frames} empty ones, SNR {made.snr_db:.1f} dB")

# %%
# To make an image of a scan one has to know the signal of a small sample at every place. This is the
# *calibration*, or system matrix. In a real scanner a robot moves the sample about for hours. Each row
# belongs to one frequency and shows which places give it. High orders have fine stripes: they hold the
# details of an image.

grid = scanner.calibration.grid()  # 19 x 19 places, wider than the path of the field-free point
simulate_calibration_file(scanner, folder / "system-matrix.mdf", grid=grid, how=how)

orders = {"2 fx": (2, 0), "3 fx": (3, 0), "fx + 2 fy": (1, 2), "7 fx": (7, 0)}
chosen = [
    (0, 0, 16 * x + 17 * y) for x, y in orders.values()
]  # period, coil, line; fx is line 16, fy line 17
with mdf.open(folder / "system-matrix.mdf") as file:
    rows = file.system_matrix.rows(chosen)
    ratios = [file.system_matrix.snr[row] for row in chosen]

figure, panels = plt.subplots(1, 4, figsize=(10, 3.2), sharey=True, layout="constrained")
for axes, name, row, ratio in zip(panels, orders, rows.imag, ratios, strict=True):
    image = row.reshape(grid.shape)[0]
    highest = np.max(np.abs(image))
    axes.set(title=f"{name}, SNR {ratio:.0f}", xlabel="x in mm")
    axes.imshow(image, origin="lower", extent=(-19, 19, -19, 19), cmap="RdBu", vmin=-highest, vmax=highest)

# %%
# :doc:`/auto_tutorials/plot_first_image` turns a scan and a calibration into an image.
# :doc:`/explanation/simulation` says how each step is computed, and what is left out.
#
# Next step: :doc:`plot_reconstruction` makes an image of such a file.
