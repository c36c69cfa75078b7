"""
Reproduce a paper
=================

A figure in a paper is worth more when you can make it again. Here we run a table and a figure of Peng et al.,
*Self-supervised Signal Denoising for Magnetic Particle Imaging* (2023), see our numbers beside the printed
ones, and learn which of them mean something at which size of the experiment.
"""

# %%
# What there is
# -------------
# ``mpikit reproduce list`` shows the same.

import tempfile
from pathlib import Path

from mpikit.experiments import experiments

for each in experiments().values():
    print(f"{each.name:14} {each.source.partition(' and ')[0]:11} {each.title}")

# %%
# Papers leave things open, and have misprints. What was decided, and where the paper contradicts itself, is
# kept beside the experiment and goes into its report:

table2 = experiments()["peng-table2"]
first = table2.open_choices[0]
print(f"{len(table2.open_choices)} open choices; the first: {first.what}")
print(f"the paper: {first.paper}; here: {first.ours}")

# %%
# One table, one figure
# ---------------------
# An experiment has *pieces*: one method on one data set, or a level that has to be known first. Each piece is
# kept as soon as it is done, so an interrupted run can go on, and two experiments share their pieces. A
# *plan* says at which scale they are done:
#
# =========  ====================================================  ==========================
# scale      what                                                  takes
# =========  ====================================================  ==========================
# ``smoke``  few signals, few steps: to see that all works         half a minute for a table
# ``quick``  1000 signals to train on, short trainings             hours for all, on a CPU
# ``full``   the sizes of the papers                               a GPU
# =========  ====================================================  ==========================
#
# Table II has five types of noise. One is enough here, the one with the most Gaussian noise. The figure shows
# one phantom with this very noise, so that nothing is done twice. The command would be ``mpikit reproduce
# peng-table2 peng-figure3 --scale smoke -o results``.

from dataclasses import replace

from mpikit.experiments import Plan, run_experiments

NOISE = ["gaussian:snr_db=5"]


def pieces(plan):
    """Return the pieces of one type of noise, and those that all types need."""
    return [piece for piece in table2.pieces(plan) if piece.settings.get("noise", NOISE) == NOISE]


temporary = tempfile.TemporaryDirectory()
plan = Plan(scale="smoke", seed=0)
chosen = [replace(table2, pieces=pieces), experiments()["peng-figure3"]]
found = run_experiments(chosen, Path(temporary.name), plan)
print(f"{len(found.outcomes)} pieces done, {len(found.failed)} failed")

# %%
# Beside the paper
# ----------------
# SNR is the signal-to-noise ratio over the test signals, with half of its 95 % interval. The last column is
# what the paper prints.

[table] = found.findings["peng-table2"].tables
snr = table.metrics[0].name
lines = [line for line in table.lines if snr in line.cells and line.cells[snr].value is not None]
for line in lines:
    cell = line.cells[snr]
    interval = f" ± {(cell.high - cell.low) / 2:.2f}" if cell.low is not None else ""
    paper = "" if cell.paper is None else f"{cell.paper:6.2f}"
    print(f"{line.label:26} {cell.value:6.2f}{interval:7} dB  {paper}")

# %%
# As a picture:

import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
colours = {"noisy": "0.8", "paper": "C0", "limit": "k"}
for place, line in enumerate(lines[::-1]):
    cell = line.cells[snr]
    axes.barh(place, cell.value, color=colours.get(line.kind, "0.6"))
    if cell.paper is not None:
        axes.plot(cell.paper, place, "rx", label="printed" if line is lines[0] else None)
axes.set_yticks(range(len(lines)), [line.label for line in lines[::-1]])
_ = axes.set_xlabel("SNR in dB; red crosses: as printed in the paper")

# %%
# What can be read off this, at scale smoke? The noisy line agrees with the paper: our data are like theirs.
# The simple methods are what they are, for they need no training, but their intervals are wide. The
# networks have seen some steps of a training that takes thousands, and are worth nothing yet. **Do not
# quote figures of scale smoke.** They show that the code runs.
#
# The figure is drawn when it is asked for:

[drawing] = found.findings["peng-figure3"].drawings
figure = drawing.draw()

# %%
# The numbers to quote
# --------------------
# .. code-block:: sh
#
#     mpikit reproduce peng-table2 peng-figure3 --scale quick --output results
#     mpikit reproduce peng-table2 peng-figure3 --scale full --output results-full
#
# Both write ``results.csv`` and ``results.json`` with every number, its interval, its number of signals and
# what the paper has; the figures; and ``report.html``, one page with all of it, the versions and the open
# choices. After Ctrl-C, ``--resume`` goes on with what is kept. ``--compare FOLDER`` says what has changed
# since another run.
#
# You need not run them to see them: the results at scale quick are kept with the code,
# :doc:`Table II </results/peng-table2/index>` and :doc:`Figure 3 </results/peng-figure3/index>`. There the
# networks come near the printed figures, and simple methods are ahead of them.
#
# Any denoiser that is installed gets a row of its own: ``mpikit reproduce peng-table2 --methods mine``.

temporary.cleanup()

# %%
# Next step: :doc:`/plugins/compare` sets your own method beside these, and :doc:`/results/index` has all
# tables and figures.
