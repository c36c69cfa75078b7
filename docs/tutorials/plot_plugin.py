"""
Write a plugin
==============

A method of your own, from an empty folder to a row in a table beside the methods of mpikit. You change two
files that are written for you. Nothing is installed here; at the end stands what to do so that others can use
it.
"""

# %%
# A project that works
# --------------------
# On the command line: ``mpikit plugins new soft-lines mpikit-soft-lines``. The project is a low-pass under
# the name that we give. Its tests pass before we have written a line.

import tempfile
from pathlib import Path

from mpikit.scaffold import new_plugin

temporary = tempfile.TemporaryDirectory()
project = new_plugin("soft-lines", Path(temporary.name) / "mpikit-soft-lines")
for path in sorted(project.folder.rglob("*")):
    if path.is_file():
        print(path.relative_to(project.folder))

# %%
# ``pyproject.toml`` has the line by which mpikit finds the plugin: an *entry point* of the group ``mpikit``
# names a module.

text = (project.folder / "pyproject.toml").read_text()
print(text[text.index("[project.entry-points") :].split("\n\n")[0])

# %%
# This module has the *hook*. mpikit calls it, and gets a *record*: the name, a line about the method, its
# options, what makes the method of them, and what it promises.

package = project.folder / "src" / project.package
print((package / "__init__.py").read_text())

# %%
# The method itself is a class. ``denoise`` takes a scan and returns a new array of the same shape: frames,
# periods, receive channels, samples.

print("class LowPass(" + (package / "denoiser.py").read_text().partition("class LowPass(")[2])

# %%
# A method of our own
# -------------------
# The signal of a scanner sits on few lines of the spectrum, and noise is on all of them. So most lines hold
# nothing but noise, and the *median* of their magnitudes tells how strong it is. We take a multiple of it
# away from the magnitude of each line. What is left of a weak line is nothing, and a strong one keeps nearly
# all. This is soft thresholding (Donoho 1995), on lines in place of wavelets.
#
# The median grows with the signal: three times the input gives three times the output. The record promises
# that (``homogeneous=True``), and our method keeps it.

(package / "denoiser.py").write_text('''"""Soft thresholding of the lines of each period."""

import numpy as np
from mpikit import Options, StatelessMethod
from pydantic import Field


class SoftLinesOptions(Options):
    """Options: each is set with -p name=value."""

    threshold: float = Field(4.0, ge=0, description="What is taken from each line, in medians of all lines")


class SoftLines(StatelessMethod):
    """Take a multiple of the median from the magnitude of each line."""

    def __init__(self, options):
        self.options = options

    def denoise(self, scan, /, *, run):
        spectrum = np.fft.rfft(scan.signal, axis=-1)
        magnitude = np.abs(spectrum)
        noise = np.median(magnitude, axis=-1, keepdims=True)
        kept = np.maximum(magnitude - self.options.threshold * noise, 0)
        spectrum *= kept / np.maximum(magnitude, np.finfo(np.float32).tiny)
        return np.fft.irfft(spectrum, n=scan.signal.shape[-1], axis=-1).astype(np.float32)
''')
hook = (package / "__init__.py").read_text().replace("LowPass", "SoftLines")
hook = hook.replace("Low-pass that keeps a part of the bandwidth", "Soft threshold on lines")
_ = (package / "__init__.py").write_text(hook)

# %%
# Load it, and check it
# ---------------------
# ``pip install -e mpikit-soft-lines`` would make it known to every command. To try it, it is enough that
# Python finds the folder. We call the hook as mpikit does.
#
# ``check_denoiser`` looks whether a method keeps its word: shapes, finite numbers, the input untouched, the
# same result for the same seed, and what the record promises. It is silent when all is well. For an installed
# plugin this is ``mpikit plugins check soft-lines``.

import sys
from dataclasses import replace

from mpikit.testing import check_denoiser

sys.path.insert(0, str(package.parent))
from mpikit_soft_lines import mpikit_denoisers

[record] = mpikit_denoisers()
print(f"{record.name}: {record.summary}")
check_denoiser(record)
sys.path.remove(str(package.parent))

# %%
# And if a promise is broken? A threshold that is a fixed number of volts is no longer a multiple of the
# signal:

import numpy as np
from mpikit_soft_lines.denoiser import SoftLines


class FixedThreshold(SoftLines):
    """Empty all lines below a fixed magnitude."""

    def denoise(self, scan, /, *, run):
        spectrum = np.fft.rfft(scan.signal, axis=-1)
        spectrum[np.abs(spectrum) < 1.0] = 0
        return np.fft.irfft(spectrum, n=scan.signal.shape[-1], axis=-1).astype(np.float32)


try:
    check_denoiser(replace(record, build=FixedThreshold))
except AssertionError as error:
    print(error)

# %%
# What it does
# ------------
# A scan in memory: twenty handwritten digits, each measured in two periods, with white noise 10 dB below the
# signal. The *clean* signals are for the evaluation alone. The digits need the :doc:`extra </install>`
# ``phantoms``.

import mpikit

noisy = mpikit.simulate("peng2023", count=20, noise="gaussian:snr_db=10")
method = record.build(record.options())
denoised = method.denoise(noisy, run=mpikit.Run(rng=np.random.default_rng(0)))

import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
kilohertz = noisy.frequencies / 1e3
styles = {"noisy": {"color": "0.8"}, "clean": {"color": "k"}, "soft-lines": {"color": "C1", "ls": "--"}}
for (name, style), signal in zip(styles.items(), (noisy.signal, noisy.clean, denoised), strict=True):
    magnitude = 1e6 * np.abs(np.fft.rfft(signal[0, 0, 0])) / signal.shape[-1]
    axes.semilogy(kilohertz, magnitude, lw=0.9, label=name, **style)
axes.set(xlabel="frequency in kHz", ylabel="magnitude in µV", xlim=(0, 40), ylim=(1e-4, 10))
_ = axes.legend(fontsize="small", loc="upper right")

# %%
# The strong lines are kept, nearly; what is below the threshold is empty, weak lines of the signal too.
#
# Beside the others
# -----------------
# Each method is fitted to a part of the scan and judged by the rest, without clean data. We have clean data,
# so there is the true gain as well, with a 95 % interval. ``candidates`` finds methods that are installed;
# ours is made of its record.

from mpikit.compare import Candidate, candidates, compare_scan
from mpikit.plugins import Offer

mine = Candidate(Offer(record, plugin=record.name, distribution=project.distribution))
others = candidates(["symmetry", "savgol", "wavelet", "harmonic", "wiener", "low-rank"], [])
found = compare_scan(noisy, [mine, *others], clean=noisy.clean)
for row in found.rows:
    true = row.true.gain
    estimate = f"{'>' if row.gain.is_bound else ' '} {row.gain.db:4.1f} dB"
    interval = f"({true.low:.1f} to {true.high:.1f})"
    print(f"{row.method:10} estimated gain {estimate}, true {true.mean:4.1f} dB {interval}")

figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
for place, row in enumerate(found.rows[::-1]):
    true = row.true.gain
    colour = "C1" if row.method == record.name else "0.7"
    axes.barh(place, true.mean, color=colour, xerr=[[true.mean - true.low], [true.high - true.mean]])
axes.set_yticks(range(len(found.rows)), [row.method for row in found.rows[::-1]])
_ = axes.set_xlabel("true gain of SNR in dB")

# %%
# A few lines of code, and most of the noise is gone: emptying the lines without signal does it. The methods
# above ours know more. ``harmonic`` leaves strong lines alone, where a soft threshold makes all of them
# smaller; ``wiener`` has a measured noise level for each line; ``low-rank`` has seen which lines go together.
#
# A threshold to choose
# ---------------------
# An option has one value for all who do not know better. Which? The estimated SNR needs no clean data, so it
# can choose. (With ``pip install`` this is ``mpikit compare scan.mdf --methods soft-lines -p
# soft-lines.threshold=2``.)

thresholds = [0, 1, 2, 3, 4, 6, 8, 12, 16]
rows = []
for threshold in thresholds:
    one = Candidate(mine.offer, (f"threshold={threshold}",))
    rows += compare_scan(noisy, [one], clean=noisy.clean).rows
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(thresholds, [row.gain.db for row in rows], "o-", label="estimated (a lower bound where it is high)")
axes.plot(thresholds, [row.true.gain.mean for row in rows], "k.--", label="true")
axes.set(xlabel="threshold, in medians", ylabel="gain of SNR in dB")
_ = axes.legend(fontsize="small")

# %%
# Both have their top at the same place: the best threshold was found without one clean signal.
#
# For others
# ----------
# Put your method into the project, write a test of what it does beyond the contract, install it and run its
# tests. From then on all commands know it, ``mpikit compare`` and ``mpikit reproduce`` too:
#
# .. code-block:: sh
#
#     pip install -e "mpikit-soft-lines[test]"
#     pytest mpikit-soft-lines
#     mpikit plugins check soft-lines
#     mpikit denoise --method soft-lines -p threshold=3 scan.mdf
#     mpikit reproduce peng-table2 --methods soft-lines --scale quick -o results

temporary.cleanup()

# %%
# Next step: :doc:`/plugins/index` has all that a plugin can be, up to a learned denoiser and how to publish
# it.
