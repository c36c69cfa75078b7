"""
Train a denoiser, and judge it
==============================

No clean data, only two noisy periods of each signal: here we train a network on them, interrupt it and go on,
apply it to another file, and put it beside methods that need no training. The clean signals are known, for
all is simulated. We keep them for the end, to see who was right.
"""

# %%
# Signals to learn from
# ---------------------
# ``peng2023`` is the simulated scanner of a paper. Every frame shows another object, measured in two
# periods. The objects are some discs of tracer at random. We add white noise, 10 dB below the signal. There
# are two files: one to train on, and one that no training sees. ``clean`` is for the evaluation alone.

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import mdf
from mpikit.simulate import How, Phantom, preset, simulate_file

FAST = "MPIKIT_FAST" in os.environ  # the tests of this page have less time than you
folder = Path("denoise")
folder.mkdir(exist_ok=True)
scanner = preset("peng2023")
grid = scanner.phantom.grid()


def discs(count, rng):
    """Draw objects of one to three discs."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in grid.shape[1:]), indexing="ij")
    images = np.zeros((count, *grid.shape))
    for image in images[:, 0]:
        for _ in range(rng.integers(1, 4)):
            centre, radius = rng.uniform(-0.7, 0.7, size=2), rng.uniform(0.08, 0.3)
            image[np.hypot(x - centre[0], y - centre[1]) < radius] = rng.uniform(0.03, 0.1)  # mol/L
    return Phantom(images, grid, "discs")


def simulate(name, count, *noise, seed):
    """Write a noisy file and its clean signals."""
    noisy, clean = folder / f"{name}.mdf", folder / f"{name}.clean.mdf"
    phantom, how = discs(count, np.random.default_rng(seed)), How(seed=seed, overwrite=True)
    simulate_file(scanner, noisy, phantom=phantom, frames=count, noise=noise, clean=clean, how=how)
    return noisy, clean


count = 24 if FAST else 200
white = "gaussian:snr_db=10"
training, training_clean = simulate("training", count, white, seed=1)
other, other_clean = simulate("other", 20, white, seed=2)

# %%
# Train
# -----
# ``n2n`` is Noise2Noise: the network sees one period, and is asked for the other one. It cannot guess the
# noise of that, so the best it can do is the signal. The same on the command line:
#
# .. code-block:: sh
#
#    mpikit train --method n2n -p steps=120 -p batch=8 -p learning_rate=2e-3 training.mdf -o n2n.safetensors
#
# A fifth of the signals is held out from the training to judge the result. Of the others, some again are
# kept back to choose the best step.

from mpikit.events import Finding, Step
from mpikit.train import train_files

steps, interval = (12, 4) if FAST else (120, 10)
options = (f"steps={steps}", "batch=8", "learning_rate=2e-3", f"evaluate_every={interval}")
same = {"method": "n2n", "parameters": options, "device": "cpu", "overwrite": True}


def show_findings(event):
    """Print what the training says about the data."""
    if isinstance(event, Finding):
        print(event.text)


trained = train_files([training], folder / "n2n.safetensors", **same, tell=show_findings)

# %%
# Interrupt, and go on
# --------------------
# At each score the state of the training is saved beside the model. Here we stop halfway, as Ctrl-C would,
# and go on with ``resume`` (``mpikit train --resume``). On the CPU the weights are then the same as without
# the interruption, bit for bit.

from mpikit.models import load_model


def stop_halfway(event):
    """Interrupt the training."""
    if isinstance(event, Step) and event.index >= steps / 2:
        raise KeyboardInterrupt


again = folder / "again.safetensors"
try:
    train_files([training], again, **same, tell=stop_halfway)
except KeyboardInterrupt:
    print("left behind:", ", ".join(sorted(path.name for path in folder.glob("again*.checkpoint"))))
resumed = train_files([training], again, **same, resume=True)

(_, weights), (_, weights_again) = load_model(folder / "n2n.safetensors"), load_model(again)
print("the same weights:", all(np.array_equal(weights[name], weights_again[name]) for name in weights))

# %%
# The course of the training, from its log. The reference-free signal-to-noise ratio (SNR) needs no clean
# data: it is measured beside the other noisy period, see :doc:`/explanation/scores`.

import json

log = [json.loads(line) for line in resumed.files.lines.read_text().splitlines()]
figure, (loss, score) = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
loss.semilogy([row["step"] for row in log], [row["loss"] for row in log], ".-")
loss.set(xlabel="step", ylabel="loss")
score.plot(*zip(*((row["step"], row["reference-free SNR in dB"]) for row in log), strict=True), ".-")
_ = score.set(xlabel="step", ylabel="reference-free SNR in dB")

# %%
# The loss does not go to zero: the target is noisy, and its noise stays in the loss, however good the
# network is.
#
# Apply it to another file
# ------------------------
# Nothing is trained any more. On the command line: ``mpikit denoise --model n2n.safetensors other.mdf``.

from mpikit.denoise_file import denoise_file
from mpikit.metrics import snr

denoised = folder / "other.n2n.mdf"
denoise_file(other, model=folder / "n2n.safetensors", output=denoised, device="cpu", overwrite=True)


def signals(path):
    """Read signals of shape (frames, periods, channels, samples)."""
    with mdf.open(path) as file:
        return file.read_signal("foreground")


shown = {"noisy": signals(other), "n2n": signals(denoised), "clean": signals(other_clean)}
for name in ("noisy", "n2n"):
    print(f"{name}: SNR {np.mean(snr(shown[name], shown['clean'])):.1f} dB")

figure, (time, spectrum) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
milliseconds = 1e3 * np.arange(scanner.samples) / scanner.receiver.sampling_rate
kilohertz = np.fft.rfftfreq(scanner.samples, 1 / scanner.receiver.sampling_rate) / 1e3
for (name, values), style in zip(
    shown.items(), ({"color": "0.75"}, {"color": "C0"}, {"color": "k"}), strict=True
):
    period = values[0, 0, 0]
    time.plot(milliseconds, 1e6 * period, lw=0.8, label=name, **style)
    spectrum.semilogy(kilohertz, np.abs(np.fft.rfft(period)) + 1e-12, lw=0.8, **style)
time.set(xlabel="time in ms", ylabel="signal in µV")
time.legend(fontsize="small")
_ = spectrum.set(xlabel="frequency in kHz", ylabel="magnitude", xlim=(0, 60), ylim=(1e-6, 1))

# %%
# Compare
# -------
# ``compare_file`` (``mpikit compare``) fits each method to a part of a file, and judges it by the rest.
# Without a reference that is all; with one there is the true SNR as well. No method sees the reference.

from mpikit.compare import compare_file

simple = ["average", "symmetry", "harmonic", "wiener", "low-rank"]
network = [f"n2n.{option}" for option in options]


def compare(noisy, clean, methods, parameters=()):
    """Print and draw the reference-free SNR beside the true one."""
    found = compare_file(noisy, methods=methods, parameters=parameters, reference=clean, device="cpu")
    rows = sorted((found.noisy, *found.rows), key=lambda row: row.true.pooled_db)
    for row in rows[::-1]:
        estimate = f"{row.score.figures.snr_db:5.1f} dB" if row.score else "       —"
        print(f"{row.method:10} reference-free {estimate}, true {row.true.pooled_db:5.1f} dB")
    _, axes = plt.subplots(figsize=(7, 0.9 + 0.35 * len(rows)), layout="constrained")
    places = np.arange(len(rows))
    axes.barh(places, [row.true.pooled_db for row in rows], color="0.8", label="true")
    judged = [(row.score.figures.snr_db, place) for place, row in enumerate(rows) if row.score]
    axes.plot(*zip(*judged, strict=True), "kd", label="reference-free")
    axes.set_yticks(places, [row.method for row in rows])
    axes.set_xlabel("SNR in dB")
    axes.legend(fontsize="small", loc="lower right")


compare(training, training_clean, [*simple, "n2n"], network)

# %%
# Read it with care:
#
# - The network is about as good as ``wiener`` and ``low-rank``, which take a fraction of a second where it
#   needs half a minute. With white noise on few harmonics there is little that a linear method misses. With
#   fewer steps or fewer signals the network does clearly worse.
# - Most of the gain comes from a step before any network: of 4951 lines some twenty stand out of the noise,
#   and all methods here but ``average`` and ``symmetry`` drop the others. This alone is ``harmonic``.
# - ``average`` has no score without a reference: it uses both periods, and none is left to judge by.
# - High up the reference-free figures have error bars of a decibel or more, since they are a small
#   difference of two large numbers. Rank no methods by less.
#
# A network can pay where the disturbance depends on the signal, and no linear filter is best. That takes
# far more signals and steps than are used here.
#
# What self-supervision cannot see
# --------------------------------
# All figures without a reference rest on one thing: the noise of the two periods is independent. Now we add
# an interference that is *not*. It changes each line of the spectrum, by a random share that is the same in
# both periods of a frame.

interference = "harmonic:sir_db=10,shared=true,distribution=uniform-real"
shared, shared_clean = simulate("shared", count, white, interference, seed=3)
compare(shared, shared_clean, ["symmetry", "harmonic", "wiener", "low-rank"])

# %%
# The reference-free figures are nearly as high as before, and every one of them is wrong: the true ones are
# bounded by the interference, at about 15 dB. To all of these methods it is signal, and it would be to a
# network as well, since one period predicts it in the other. More data or more steps do not help. So:
#
# - Subtract the background of the empty scanner first. It is the same in all repeats.
# - Look at the images, not at one number alone.
# - Where all repeats share an error, only another measurement or a model of the physics can tell.
#
# Next step: :doc:`/howto/which-denoiser` says what suits your data, :doc:`plot_reconstruction` makes images.
