r"""
The symmetry of a scan, and the limit of denoising
==================================================

Two facts of physics tell how well a Magnetic Particle Imaging (MPI) signal can be freed from noise. The field
runs backwards as it ran forwards, and so does the signal. And a signal has thousands of samples, but only a
few numbers in it are free. This page derives both and measures them on a simulated scan. No network is
needed.

Letters: a period of the scan lasts :math:`T` and has :math:`V` samples. :math:`S_k` is line :math:`k` of its
discrete Fourier transform, at the frequency :math:`f_k = k / T`. The digits need the
:doc:`extra </install>` ``phantoms``.
"""

# %%
# Why the signal is odd
# ---------------------
# A receive coil of sensitivity :math:`p` sees the change of the magnetic moment,
#
# .. math:: s(t) = -\mu_0 \int p(r) \cdot \frac{\partial M(r, t)}{\partial t}\, d^3 r .
#
# Particles that follow the field at once know of the time through the drive field :math:`H_D(t)` alone. The
# selection field is static, and the tracer lies still. Let the drive field be retraced after some time
# :math:`c`, so that :math:`H_D(2c - t) = H_D(t)`. Then :math:`M(2c - t) = M(t)`. The derivative changes sign:
#
# .. math:: s(2c - t) = -s(t) .
#
# The signal is *odd* about :math:`c`, and about :math:`c + T/2` as well, since all is periodic. This holds
# for every object, every coil, every magnetisation curve without memory, in one, two or three dimensions.
#
# Here are handwritten digits in ``peng2023``, the simulated scanner of a paper. Its drive fields are cosines,
# so :math:`c = 0`.

import os
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

from mpikit.simulate import make_phantom, preset, simulate_scan

FAST = "MPIKIT_FAST" in os.environ  # the tests of this page have less time than you
training_count, test_count = (80, 20) if FAST else (500, 100)

peng = preset("peng2023")
grid = peng.phantom.grid()
rng = np.random.default_rng(1)
digits = make_phantom("digits", grid, concentration=0.1, count=training_count + test_count, rng=rng)
scan, clean = simulate_scan(peng, digits, frames=digits.count, periods=2, rng=rng)  # no noise yet
samples, frequencies = peng.samples, scan.frequencies
times = np.arange(samples) / scan.sampling_rate
milliseconds, signal = 1e3 * times, clean[0, 0, 0].astype(float)

figure, panels = plt.subplots(3, 1, figsize=(8, 4.5), sharex=True, layout="constrained")
panels[0].plot(milliseconds, 1e3 * peng.drive_field.field(times), lw=0.8)
panels[1].plot(milliseconds, -np.cumsum(signal - signal.mean()), lw=0.8)
panels[2].plot(milliseconds, 1e6 * signal, lw=0.8)
titles = ("drive fields in mT: even", "moment, in arbitrary units: even", "signal in µV: odd")
for axes, title in zip(panels, titles, strict=True):
    axes.axvline(milliseconds[samples // 2], color="k", lw=0.6, ls=":")
    axes.set_title(title, fontsize="medium")
_ = panels[2].set(xlabel="time in ms; dotted: c + T/2", xlim=(0, 2))

# %%
# When there is such a time
# -------------------------
# All drive fields must turn at the same moment. A field :math:`A \sin(2\pi f t + \varphi)` turns where
# :math:`2\pi f t + \varphi` is an odd multiple of :math:`\pi/2`. In one dimension that is always so. Cosines
# all turn at :math:`t = 0`: every Lissajous figure of cosines is retraced, which is how many scanners drive
# it. Sines have a common turn if their frequencies are odd multiples of that of the period. A triangle turns
# where its sine does. A ramp that jumps back never does. ``symmetry_center`` looks for it:

from mpikit.signal import symmetry_center

lissajous = preset("openmpi-2d").drive_field
fields = {"5 : 1, cosines": peng.drive_field, "17 : 16, cosines (Lissajous)": lissajous}
for name, field in list(fields.items()):
    sines = replace(field, phases=np.zeros_like(field.phases))
    fields[name.split(",")[0] + ", sines"] = sines
    if name.startswith("5"):
        fields["5 : 1, triangles"] = replace(sines, waveforms=np.full_like(sines.waveforms, "triangle"))
for name, field in sorted(fields.items()):
    center = symmetry_center(field)
    print(f"{name:30}", "no symmetry" if center is None else f"c = {center / field.cycle:g} T")

# %%
# A quarter of the period for the sines of 5 : 1, but nothing for those of 17 : 16. Tracer that moves, or a
# focus field that changes within the period, breaks the symmetry as well.
#
# Half of the noise goes
# ----------------------
# Every period is the sum of an odd and an even part,
#
# .. math:: s_\mathrm{odd}(t) = \tfrac{1}{2} \left( s(t) - s(2c - t) \right), \qquad
#           s_\mathrm{even}(t) = \tfrac{1}{2} \left( s(t) + s(2c - t) \right).
#
# All of the signal is in the first, and half of the noise in each. It is the same line by line. With
# :math:`U_k = S_k\, e^{2\pi i f_k c}` the odd part is what is imaginary in :math:`U_k`. Real and imaginary
# part of stationary noise have equal power, whatever its colour. So taking the odd part gains
# :math:`10 \log_{10} 2 = 3.01` dB, as a second measurement would.

sigma = 10 ** (-5 / 20) * np.std(signal)  # noise 5 dB below the signal
noisy = signal + sigma * rng.standard_normal(samples)


def split(period):
    """Return odd and even part about t = 0."""
    backwards = np.roll(period[..., ::-1], 1, axis=-1)
    return (period - backwards) / 2, (period + backwards) / 2


odd, even = split(noisy)
print(f"even part of the clean signal: {np.std(split(signal)[1]) / np.std(signal):.0e} of its rms")
for name, part in {"noisy": noisy - signal, "odd part": odd - signal, "even part": even}.items():
    print(f"noise power, {name}: {np.mean(part**2) / sigma**2:.3f} of all")

figure, panels = plt.subplots(1, 3, figsize=(10, 2.6), sharey=True, layout="constrained")
parts = {"noisy": noisy, "odd part": odd, "even part: nothing but noise": even}
for axes, (name, part) in zip(panels, parts.items(), strict=True):
    axes.plot(milliseconds, 1e6 * part, lw=0.3, color="C0")
    if part is not even:
        axes.plot(milliseconds, 1e6 * signal, lw=0.8, color="k")
    axes.set(title=name, xlabel="time in ms")
_ = panels[0].set_ylabel("signal in µV; black: clean")

# %%
# Real particles lag behind
# -------------------------
# Relaxation delays the particles, and the receive chain delays the voltage. Taken as linear filters, they
# multiply each line by a number :math:`a_k e^{i \theta_k}` that is the same for every object. So a line still
# lies on *one* axis of the complex plane, only not on the imaginary one. Debye relaxation has
# :math:`\theta_k = -\arctan 2\pi f_k \tau`. Whoever takes the odd part regardless throws signal away.
#
# The angle can be measured, without a calibration, from the noisy signals of many objects,
#
# .. math:: \theta_k = \tfrac{1}{2} \arg \Bigl( - \sum_m U_{m,k}^2 / P_m \Bigr) ,
#
# where :math:`P_m` is the noise power of signal :math:`m`, measured on lines that hold no signal. The
# square of noise has a random phase, and drops out of the sum. ``fit_harmonic_filter`` does this on all
# lines that stand out of the noise; methods have it as ``symmetry=fit``, the default. Here with a
# relaxation of 20 µs, which is long, and with coloured noise.

from mpikit.errors import InputError
from mpikit.plugins import parse_noise
from mpikit.signal import Symmetry, fit_harmonic_filter


def measure(changes, *noise, seed=2):
    """Simulate the first digits in another scanner."""
    models = [parse_noise(model) for model in noise]
    some = digits.part(slice(0, training_count // 4))
    rng = np.random.default_rng(seed)
    return simulate_scan(
        preset("peng2023", changes), some, frames=some.count, periods=2, noise=models, rng=rng
    )


relaxation = "particle.relaxation_time=20e-6"
late, late_clean = measure([relaxation], "coloured:level=channel,snr_db=10,corner=2e4")
fitted = fit_harmonic_filter([late])
lines = fitted.keep[0]
exact = np.degrees(np.angle(preset("peng2023", [relaxation]).particle.relaxation(frequencies)))
angles = np.degrees(-fitted.symmetry.angle[0])  # c is 0, so the rest is θ
angles = exact + (angles - exact + 90) % 180 - 90  # known up to half a turn
power = np.mean(np.abs(np.fft.rfft(late_clean[:, 0, 0])) ** 2, axis=0)
print(f"{lines.sum()} lines stand out of the noise; the strongest:")
for line in np.argsort(power)[:-4:-1]:
    print(f"{frequencies[line] / 1e3:5.1f} kHz: θ fitted {angles[line]:6.1f}°, exact {exact[line]:6.1f}°")

# %%
# What would the two projections leave of the clean signal? The ideal one, :math:`\theta_k = 0`, loses much.
# mpikit refuses it on such data: ``symmetry=exact`` is for scans that do not contradict it.


def lost(symmetry, signals):
    """Signal over what a projection takes from it, in dB."""
    spectra = np.fft.rfft(signals.astype(float)) * fitted.keep
    taken = spectra - symmetry.project(spectra)
    return 10 * np.log10(np.sum(np.abs(spectra) ** 2) / np.sum(np.abs(taken) ** 2))


everywhere = np.ones(fitted.keep.shape)
ideal = Symmetry(0 * everywhere, everywhere > 0, everywhere)  # what symmetry=exact projects on
print(f"the best SNR that each can reach: ideal {lost(ideal, late_clean):.1f} dB, ", end="")
print(f"fitted {lost(fitted.symmetry, late_clean):.1f} dB")
try:
    fit_harmonic_filter([late], symmetry="exact")
except InputError as refused:
    print("symmetry=exact:", refused)

# %%
# **The coherence test.** Whether a line keeps to one axis is seen in the data too,
#
# .. math:: \kappa_k = \frac{\left| \sum_m U_{m,k}^2 \right|}{\sum_m ( |U_{m,k}|^2 - \text{noise} )} ,
#
# which is 1 if it does, and less if its angle depends on the object. Relaxation that depends on the field
# lowers it, and so does interference. A line below 0.9, by more than the noise explains, is not projected.
# As an example the red points have an interference in proportion to the signal, which is the same in both
# periods, so that no repeat can tell it from signal.

locked, _ = measure([], "gaussian:level=channel,snr_db=10", "harmonic:sir_db=5,shared=true", seed=3)
disturbed = fit_harmonic_filter([locked])

figure, (phase, coherence) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
phase.plot(frequencies / 1e3, exact, "k", lw=0.7, label="Debye, 20 µs")
phase.plot(frequencies[lines] / 1e3, angles[lines], ".", label="fitted to noisy signals")
phase.set(xlabel="frequency in kHz", ylabel="θ in degrees", xlim=(0, 16), ylim=(-90, 5))
for found, style, label in ((fitted, "C0.", "relaxation"), (disturbed, "C3.", "interference")):
    kept = found.keep[0]
    coherence.plot(frequencies[kept] / 1e3, found.symmetry.coherence[0, kept], style, label=label)
    print(f"{label}: the symmetry holds on {(found.symmetry.holds & found.keep).sum()} of {kept.sum()} lines")
coherence.axhline(0.9, color="k", lw=0.6, ls=":")
coherence.set(xlabel="frequency in kHz", ylabel="coherence", xlim=(0, 16), ylim=(0, 1.05))
for axes in (phase, coherence):
    axes.legend(fontsize="small")

# %%
# Weak lines scatter by their own noise. Nearly all of them are projected all the same.
#
# The other half is a gift
# ------------------------
# The even part holds no signal. It is a sample of the noise, taken at the same time, through the same
# electronics. Its power on each line, doubled, is that of the noise: no empty scanner and no second
# period is needed.

spectra = np.fft.rfft(late.signal[:, 0, 0].astype(float))
rest = spectra - fitted.symmetry.project(spectra[:, None])[:, 0]
whole = np.where(fitted.symmetry.holds[0], 2 * rest.real**2 + 2 * rest.imag**2, np.nan)
idle = ~lines & (frequencies > 0)  # no angle was fitted there: take the ideal one, half of the noise is left
whole[:, idle] = 2 * spectra.real[:, idle] ** 2
seen = np.mean(whole, axis=0)
true = np.mean(np.abs(np.fft.rfft((late.signal - late_clean)[:, 0, 0])) ** 2, axis=0)
used = np.isfinite(seen) & (frequencies > 0) & (frequencies < frequencies[-1])
print(f"noise power from the even part, over the true one: {seen[used].sum() / true[used].sum():.3f}")

figure, axes = plt.subplots(figsize=(8, 2.8), layout="constrained")
axes.loglog(
    frequencies / 1e3, np.mean(np.abs(spectra) ** 2, axis=0), lw=0.5, color="0.7", label="signal and noise"
)
axes.loglog(frequencies[used] / 1e3, true[used], "k", lw=0.5, label="true noise")
axes.loglog(frequencies[used] / 1e3, seen[used], "C1", lw=0.5, label="twice the even part")
axes.set(xlabel="frequency in kHz", ylabel="power")
_ = axes.legend(fontsize="small")

# %%
# Few numbers hold the signal
# ---------------------------
# White noise is on all lines alike, signal is not. How many lines hold 99.99 % of its energy? And how many
# *principal components*, that is, patterns of lines that go together? The preset sweeps 20 mm; beside it is a
# sweep of 120 mm, which is richer in harmonics.

wide = preset("peng2023", ["drive_field.amplitudes=[0.024, 0.024]"])
forty = make_phantom("digits", wide.phantom.grid((), (0.12, 0.12)), concentration=0.1, count=40, rng=rng)
_, wide_clean = simulate_scan(wide, forty, frames=40, periods=2, rng=rng)


def energies(signals):
    """Shares of the energy on the strongest lines, and in the strongest components."""
    power = np.mean(np.abs(np.fft.rfft(signals)) ** 2, axis=0)
    values = np.linalg.svd(signals, compute_uv=False) ** 2
    return np.sort(power)[::-1] / power.sum(), values / values.sum()


figure, axes = plt.subplots(figsize=(8, 2.8), layout="constrained")
for name, signals, colour in (("20 mm", clean, "C0"), ("120 mm", wide_clean, "C1")):
    shares = energies(signals[:40, 0, 0].astype(float))
    for what, share, style in zip(("lines", "components"), shares, ("-", "--"), strict=True):
        left = np.maximum(1 - np.cumsum(share), 1e-9)
        print(f"{name}: {1 + int(np.argmax(left < 1e-4))} {what} of {len(share)} hold 99.99 %")
        axes.semilogy(np.arange(len(share)) + 1, left, style, color=colour, label=f"{what}, {name}")
axes.axhline(1e-4, color="k", lw=0.6, ls=":")
axes.set(xlabel="strongest so many", ylabel="share of energy left out", xlim=(0, 120), ylim=(1e-8, 1))
_ = axes.legend(fontsize="small")

# %%
# Now all of them in white noise of the same strength, 10 dB below the mean signal. The lines that stand out
# of it are known at once. To find the components, take what the lines of all signals have in common: the
# eigenvalues of their covariance. Noise alone has eigenvalues too, and with :math:`M` signals of :math:`P`
# coefficients these reach up to :math:`(1 + \sqrt{P/M})^2` times its power, the edge of Marchenko and
# Pastur. What is above is signal.

from mpikit.signal import fit_line_coefficients


def noisy_at(db):
    """Add white noise: scans to train on and to test, and its power in a sample."""
    power = np.mean(clean.astype(float) ** 2) * 10 ** (-db / 10)
    noise = np.random.default_rng(4).standard_normal(clean.shape, np.float32) * np.float32(power**0.5)
    both = replace(scan, signal=clean + noise)
    parts = (slice(0, training_count), slice(training_count, None))
    apart = (
        replace(both, signal=both.signal[part], foreground_index=both.foreground_index[part])
        for part in parts
    )
    return *apart, power


training, test, power = noisy_at(10)
coefficients, known = fit_line_coefficients([training])
count, size = known.means.shape
eigenvalues = np.linalg.eigvalsh(known.means.T @ known.means / count)[::-1] / known.noise
right = coefficients.forward(clean[:training_count, 0])
pure = np.maximum(np.linalg.eigvalsh(right.T @ right / count)[::-1], 1e-12) / known.noise
edge = (1 + np.sqrt(size / count)) ** 2
print(f"{coefficients.harmonic.keep.sum()} lines are used; {np.sum(eigenvalues > edge)} components stand out")

figure, (spectrum, values) = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
kilohertz = frequencies / 1e3
spectrum.semilogy(kilohertz, np.abs(np.fft.rfft(test.signal[0, 0, 0])), lw=0.6, color="0.75", label="noisy")
chosen = coefficients.harmonic.keep[0]
clean_lines = np.abs(np.fft.rfft(clean[training_count, 0, 0]))
spectrum.semilogy(kilohertz, clean_lines, lw=0.6, color="k", label="clean")
spectrum.plot(kilohertz[chosen], clean_lines[chosen], "C0.", ms=4, label="used")
spectrum.set(xlabel="frequency in kHz", ylabel="magnitude", xlim=(0, 40), ylim=(1e-7, 1))
values.semilogy(np.arange(size) + 1, eigenvalues, "C0.", label="noisy signals")
values.semilogy(np.arange(size) + 1, pure, "kx", ms=4, label="clean signals")
values.axhline(edge, color="C3", lw=0.8, label="Marchenko-Pastur edge")
values.set(xlabel="component", ylabel="eigenvalue over noise", ylim=(1e-3, None))
for axes in (spectrum, values):
    axes.legend(fontsize="small")

# %%
# The limit
# ---------
# Suppose that someone told us the covariance :math:`C` of the clean signals and that of the noise,
# :math:`N`. The linear estimate with the least mean squared error is then that of Wiener,
#
# .. math:: \hat x = C (C + N)^{-1} y, \qquad
#           \text{error} = \sum_i \frac{\lambda_i\, \nu}{\lambda_i + \nu} ,
#
# with the eigenvalues :math:`\lambda_i` of :math:`C` and a white noise of power :math:`\nu` in each
# coordinate. A component far above the noise costs :math:`\nu`, one far below it costs itself,
# :math:`\lambda_i`. So with :math:`r` components above the noise an error of about :math:`r \nu` is left of
# :math:`V \nu`: a gain of some :math:`10 \log_{10} (V / r)` dB. *This is why so much can be gained, and why
# it ends.*
#
# We are such an oracle here, as all is simulated. It learns the covariance from the clean signals of the
# training digits, and denoises other digits, one period each. The methods get noisy signals only.

from mpikit import Run
from mpikit.metrics import equivalent_averages
from mpikit.plugins import registry


def oracle(power):
    """The best linear estimator, from clean signals; and the SNR that its formula expects."""
    _, scale, patterns = np.linalg.svd(clean[:training_count, 0, 0].astype(float), full_matrices=False)
    strengths = scale**2 / training_count  # all patterns are odd: the symmetry is in them
    gains = strengths / (strengths + power)
    print(f"{np.sum(strengths > power)} components are above the noise: ", end="")
    print(f"10 log10(V / r) = {10 * np.log10(samples / np.sum(strengths > power)):.1f} dB")
    expected = 10 * np.log10(np.sum(strengths) / np.sum(gains * power))
    return (test.signal[:, 0, 0] @ patterns.T * gains) @ patterns, expected


def denoised(name):
    """Fit a method to the training scan, and apply it to the test scan."""
    method = registry().denoiser(name).record
    fitted, run = method.build(method.options()), Run(rng=np.random.default_rng(0), device="cpu")
    fitted.fit([training], run=run)
    return fitted.denoise(test, run=run)[:, 0, 0]


def decibels(estimate):
    """SNR over all test signals: their energy over that of the errors."""
    reference = clean[training_count:, 0, 0].astype(float)
    return 10 * np.log10(np.sum(reference**2) / np.sum((estimate - reference) ** 2))


levels = (10,) if FAST else (5, 10, 15)
methods = ("symmetry", "harmonic", "wiener", "low-rank", "harmonic-n2n")
rows = {name: [] for name in ("noisy", *methods, "oracle")}
expected = []
for level in levels:
    training, test, power = noisy_at(level)
    estimate, formula = oracle(power)
    expected.append(formula)
    rows["noisy"].append(decibels(test.signal[:, 0, 0]))
    rows["oracle"].append(decibels(estimate))
    for name in methods:
        rows[name].append(decibels(denoised(name)))

figure, axes = plt.subplots(figsize=(8, 3.4), layout="constrained")
width = 0.8 / len(rows)
print("input SNR   ", *(f"{level:5d} dB" for level in levels))
for index, (name, found) in enumerate(rows.items()):
    print(f"{name:12}", *(f"{value:8.1f}" for value in found))
    colour = "k" if name == "oracle" else f"C{index}"
    axes.bar(np.arange(len(levels)) + (index - 3) * width, found, width, label=name, color=colour)
print("expected    ", *(f"{value:8.1f}" for value in expected))
axes.set_xticks(np.arange(len(levels)), [f"{level} dB" for level in levels])
axes.set(xlabel="SNR of the noisy signals", ylabel="SNR of one denoised period in dB", ylim=(0, 62))
axes.legend(fontsize="small", ncols=4, loc="upper left")
best = max(methods, key=lambda name: rows[name][0])
averages = equivalent_averages(rows[best][0], rows["noisy"][0])
print(f"at {levels[0]} dB {best} is worth {averages:.0f} averages; the oracle is", end=" ")
print(f"{rows['oracle'][0] - rows[best][0]:.1f} dB better")

# %%
# The last line is the formula for the digits that the oracle learnt from; the others were new to it. From
# left to right:
#
# - ``symmetry`` gains the 3 dB of the first half of this page, on any scan that is retraced.
# - ``harmonic`` drops the lines that do not stand out. This is most of what can be gained here.
# - ``wiener`` weighs lines by their share of signal. ``low-rank`` and ``harmonic-n2n`` also use that lines
#   go together. They come near the oracle, without ever seeing a clean signal. More signals to learn from
#   bring them nearer.
#
# No linear method passes the oracle on data like these. Only a method that is not linear may, and only where
# the signals are no Gaussian cloud, or the noise depends on the signal, as interference does. The limit is
# also no statement about:
#
# - *what repeats in every period*. A background that is locked to the drive field may be as odd as the
#   signal. It needs an empty measurement.
# - *images*. A reconstruction drops noisy rows and smooths by itself, and so does by other means what is
#   done here. See :doc:`/explanation/lines`.
# - *your scanner*. This one has no receive filter and no missing fundamental, and its objects are all
#   digits. With fewer lines above the noise there is less to gain.
#
# Next step: :doc:`/howto/which-denoiser` says which method suits which data.
