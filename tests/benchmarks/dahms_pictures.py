"""The pictures of `dahms_denoise.py`, in the order of the figures of the paper."""

from __future__ import annotations

import dahms_figures as figure_of
import dahms_scene as scene
import numpy as np
from matplotlib.figure import Figure

SHOWN = ("noisy", "reference", "wgan-sn", "wgan-sn, of the mean", "low-rank")
BEST = 4  # methods in a picture beside noisy and reference, at most


def chosen(names):
    """Names that a picture of few panels shows."""
    usual = [name for name in SHOWN if name in names]
    return usual or list(names)[:BEST]


def draw_amplitudes(path, series, dose):
    """Draw the fifth harmonic over concentration: projection, and magnitude dashed."""
    names = chosen(dose)
    figure = Figure(figsize=(3.2 * len(names), 3.6), layout="constrained")
    panels = figure.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0]
    here = figure_of.at_place(series)
    levels = scene.micrograms(series.concentrations[here])
    right = dose["reference"].projected[here, 0]
    for axes, name in zip(panels, names, strict=True):
        found = dose[name]
        mean, spread = found.projected[here].mean(axis=1), found.projected[here].std(axis=1)
        axes.loglog(levels, levels * right[-1] / levels[-1], color="0.7", lw=1, label="proportional")
        axes.loglog(levels, np.maximum(mean, 1e-12), "o-", ms=3, label="projection")
        axes.fill_between(levels, np.maximum(mean - spread, 1e-12), mean + spread, alpha=0.2)
        axes.loglog(levels, found.magnitude[here].mean(axis=1), "--", lw=1, label="magnitude")
        axes.set(title=name, xlabel="concentration / µg/mL", ylim=(right[-1] / 1e6, 3 * right[-1]))
    panels[0].set_ylabel("5th harmonic / V")
    panels[0].legend(fontsize="small")
    figure.savefig(path, dpi=120)


def draw_images(path, test, images, grid):
    """Draw images of the sample next to the centre, a row for each concentration."""
    names = chosen(images)
    levels = np.unique(test.concentrations)[::-1]
    figure = Figure(figsize=(3 * len(names), 1.3 * len(levels)), layout="constrained")
    panels = figure.subplots(len(levels), len(names), sharex=True, squeeze=False)
    places = 1e3 * grid.positions()[:, 0]
    for row, level in zip(panels, levels, strict=True):
        index = np.flatnonzero(figure_of.at_place(test) & (test.concentrations == level))[0]
        for axes, name in zip(row, names, strict=True):
            values = images[name][index, 0].ravel()
            axes.plot(places, 1e3 * values, drawstyle="steps-mid", lw=1)
            axes.axvline(1e3 * test.positions[index, 0], color="C3", lw=0.8, ls=":")
            axes.tick_params(labelsize="x-small")
        row[0].set_ylabel(f"{scene.micrograms(level):.3g} µg/mL", fontsize="small")
    for axes, name in zip(panels[0], names, strict=True):
        axes.set_title(name, fontsize="medium")
    for axes in panels[-1]:
        axes.set_xlabel("x / mm; values in mmol/L", fontsize="small")
    figure.savefig(path, dpi=120)


def draw_positions(path, rows):
    """Draw the position error of all methods, and the part of each concentration."""
    names = sorted(rows, key=lambda name: -rows[name]["mean"])
    keys = [key for key in rows[names[0]] if key.startswith("mm_at_")]
    figure = Figure(figsize=(7, 1.3 + 0.4 * len(names)), layout="constrained")
    axes = figure.subplots()
    left = np.zeros(len(names))
    for key in keys:
        part = np.array([rows[name][key] for name in names]) / len(keys)
        level = scene.micrograms(float(key.removeprefix("mm_at_")))
        axes.barh(names, part, left=left, label=f"{level:.3g} µg/mL")
        left += part
    axes.set_xlabel("mean position error / mm, and what each concentration adds")
    figure.legend(fontsize="small", loc="outside lower center", ncols=len(keys))
    figure.savefig(path, dpi=120)


def draw_grids(path, grids):
    """Draw the position error over λ and sweeps."""
    names = chosen(grids)
    figure = Figure(figsize=(2.8 * len(names) + 0.6, 3.2), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    low, high = (function([grids[name] for name in names]) for function in (np.min, np.max))
    for axes, name in zip(panels, names, strict=True):
        shown = axes.imshow(grids[name], vmin=low, vmax=high, origin="lower", aspect="auto")
        axes.set_xticks(range(len(figure_of.SWEEPS)), figure_of.SWEEPS)
        axes.set_yticks(range(len(figure_of.LAMBDAS)), figure_of.LAMBDAS)
        axes.set(title=name, xlabel="sweeps")
    panels[0].set_ylabel("λ")
    figure.colorbar(shown, ax=panels, label="position error / mm")
    figure.savefig(path, dpi=120)
