"""Images after denoising, beside the best plain reconstruction of the same data.

    python tests/benchmarks/images_denoise.py [--quick] [--json FILE] [--methods low-rank wiener ...]
                                              [--scenes dahms2026 ...]

Digits and point samples in the presets openmpi-2d and dahms2026, with white and coloured noise and with a
background that drifts, are reconstructed by Kaczmarz with a noisy system matrix. All get the same data: the
background is subtracted before anything else. The methods have seen noisy scans of other digits, or of
samples at other places and of other concentrations, and nothing else; each image is that of a single period.

The opponent is the plain reconstruction of the mean of m periods. Its SNR threshold, λ and sweeps are
chosen for each m, and for each concentration, by the error to the clean image, which nobody can do: it is as
good as it can be. A denoised period is reconstructed with the setting of a plain one ("same"), and with one
chosen for it in the same way ("own"); rows that were emptied are left out, as `mpikit reconstruct` does.
"averages" is how many periods the plain reconstruction has to average for the error of the denoised one.

The detection limit is claimed from blanks, and checked with new samples of that concentration and above;
"verified" is the lowest one that passes. It and the dose come from images without the projection on positive
values, which would hide what blanks are.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import images_scenes as scene_of
import numpy as np
from images_solver import Choices, Solver, best
from threadpoolctl import threadpool_limits

from mpikit import Run
from mpikit.compare import auto_candidates, choose
from mpikit.denoise_write import emptied_lines
from mpikit.errors import MpikitError
from mpikit.metrics import (
    averages_to_reach,
    check_detection_limit,
    detection_limit,
    dose_linearity,
    position_errors,
    psnr,
    snr,
    verified_limit,
)
from mpikit.plugins import registry

SESSIONS, SESSION = 25, 4  # of the detection limit, and samples of each concentration in a session
METHODS = ("low-rank", "harmonic", "wiener", "harmonic-n2n", "symmetry", "auto")


# --- methods ---------------------------------------------------------------------------------------------


def fitted(name, training):
    """Fit a method, or the one that `auto` chooses, with its name; None where the scan lacks something."""
    run = Run(rng=np.random.default_rng(0))
    if name == "auto":
        chosen = choose(training, auto_candidates())
        record, options, method = chosen.offer.record, chosen.options, chosen.method
        label = f"auto: {record.name}"
    else:
        record, method, label = registry().denoiser(name).record, None, name
        options = record.options()
    if method is None:
        if record.missing(training, options):
            return None
        method = record.build(options)
        method.fit([training], run=run)
    return label, method


def all_fitted(names, training):
    found = {}
    for name in names:
        try:
            made = fitted(name, training)
        except MpikitError as error:
            print(f"  {name}: {error}")
            continue
        if made is not None:
            found[made[0]] = made[1]
    return found


def denoised(methods, scan):
    """The only period (Q, C, V) of each frame, by each method."""
    run = Run(rng=np.random.default_rng(1))
    return {name: method.denoise(scan, run=run)[:, 0] for name, method in methods.items()}


def averaged(scan):
    """Means of m = 1, 2, 4, ... periods of each frame: {m: (Q, C, V)}."""
    counts = 2 ** np.arange(int(np.log2(scan.signal.shape[1])) + 1)
    return {int(m): scan.signal[:, :m].mean(axis=1) for m in counts}


# --- figures ---------------------------------------------------------------------------------------------


class Trial:
    """The signals of one scene by all methods, and the errors of their images with all settings."""

    def __init__(self, scene, names, *, quick):
        self.scene = scene
        training, self.test = objects_of(scene)
        noisy, _ = scene_of.measure(scene, training, periods=scene.counts["repeats"], seed=1)
        self.methods = all_fitted(names, noisy)
        scan, self.clean = scene_of.measure(scene, self.test, periods=scene.counts["periods"], seed=2)
        self.plain = averaged(scan)
        self.single = denoised(self.methods, scene_of.one_period(scan))
        matrix = scene_of.calibration(scene, seed=3)
        self.choices = Choices.of(matrix, quick=quick)
        self.solver = Solver(matrix, scene.preset.receiver.sampling_rate, scene.preset.samples)
        self.sets = {**self.plain, **self.single, "clean": self.clean}
        self.emptied = {
            name: emptied_lines(self.plain[1][:, None], signals[:, None])
            for name, signals in self.single.items()
        }
        self.errors = self._errors()

    def _errors(self):
        """Errors with every setting: {name: {Setting: (Q,)}}; the plain ones, of the same rows, in one go."""
        together = [name for name in self.sets if name not in self.emptied]
        joined = np.concatenate([self.sets[name] for name in together])
        references = np.concatenate([self.test.references] * len(together))
        tables = self.solver.errors(joined, references, self.choices)
        found = {
            name: {setting: np.split(values, len(together))[index] for setting, values in tables.items()}
            for index, name in enumerate(together)
        }
        for name, emptied in self.emptied.items():
            found[name] = self.solver.errors(
                self.sets[name], self.test.references, self.choices, emptied=emptied
            )
        return found

    def level(self, concentration):
        """Which images are of a concentration."""
        return self.test.levels == concentration

    def images_of(self, name, setting, part):
        return self.solver.images(self.sets[name][part], setting, emptied=self.emptied.get(name))


def objects_of(scene):
    """Training and test objects."""
    rng = np.random.default_rng(4)
    if scene.samples is None:
        training = scene_of.digits(scene, start=0, count=scene.counts["training"])
        return training, scene_of.digits(scene, start=scene.counts["training"], count=scene.counts["test"])
    places = [scene_of.places_of(scene, training=each, rng=rng) for each in (True, False)]
    training = scene_of.points(scene, places[0], scene.samples.training_levels)
    return training, scene_of.points(scene, places[1], scene.samples.levels)


def image_figures(trial, concentration):
    """NRMSE, PSNR and equivalent averages of all methods at one concentration."""
    part = trial.level(concentration)
    references = trial.test.references[part]
    plain = {m: best(trial.errors[m], part) for m in trial.plain}
    counts, curve = list(plain), [error for _, error in plain.values()]
    rows = {}
    for name in ("plain", *trial.single, "clean"):
        key = 1 if name == "plain" else name
        setting, own = best(trial.errors[key], part)
        same = trial.errors[key][plain[1][0]][part]
        paired = same - trial.errors[1][plain[1][0]][part]
        shown = trial.images_of(key, setting, part)
        clean = trial.clean[part].reshape(len(shown), -1)
        signals = trial.sets[key][part].reshape(len(shown), -1)
        rows[name] = {
            "signal_snr_db": None if name == "clean" else float(snr(signals, clean).mean()),
            "nrmse_same": float(same.mean()),
            "nrmse_own": own,
            "difference_to_plain": [float(paired.mean()), float(paired.std(ddof=1) / len(paired) ** 0.5)],
            "psnr_own_db": float(psnr(shown, references).mean()),
            "averages_same": averages_to_reach(float(same.mean()), counts, curve),
            "averages_own": averages_to_reach(own, counts, curve),
            "setting": vars(setting),
            "on_edge": trial.choices.on_edge(setting),
        }
    return {"plain_nrmse_of_averages": dict(zip(counts, curve, strict=True)), "methods": rows}


def position_figures(trial, concentration, figures):
    """Add the position errors of the same images, in mm."""
    part = trial.level(concentration)
    places = trial.test.positions[part]
    for name, row in figures["methods"].items():
        setting, _ = best(trial.errors[1 if name == "plain" else name], part)
        images = trial.images_of(1 if name == "plain" else name, setting, part)
        for place in ("maximum", "centroid"):
            found = position_errors(images, places, trial.solver.matrix.grid, place=place)
            row[f"position_{place}_mm"] = [1e3 * found.mean, 1e3 * found.deviation, int(found.failed.sum())]


def dose_figures(trial):
    """Linearity and detection limit, with the setting that is best for the low concentrations."""
    samples = trial.scene.samples
    setting, _ = best(trial.errors[1], np.isin(trial.test.levels, samples.low))
    series = detection_series(trial.scene, samples.low, periods=samples.averages, seed=6)
    rows = {}
    for name in (1, samples.averages, *trial.single):
        values = brightness(trial, name, trial.sets[name], trial.test.positions, setting)
        means = [values[trial.level(level)].mean() for level in samples.levels]
        dose = dose_linearity(samples.levels, means)
        rows[f"plain, {name} averaged" if isinstance(name, int) else name] = {
            "slope": dose.slope,
            "r2_log": dose.r2_log,
            "r2_origin": dose.r2_origin,
            "left_out": dose.left_out,
            "deviation_per_decade": dict(zip(dose.decades.tolist(), dose.deviations.tolist(), strict=True)),
            **limit_figures(trial, name, series, setting),
        }
    return {"setting": vars(setting), "methods": rows}


def detection_series(scene, levels, *, periods, seed):
    """Samples of each concentration at one place, and as many blanks, each in a frame of its own.

    A few of each are measured between two blocks of empty frames, and that many times: what the drift leaves
    is then different in each session, and the blanks know it.
    """
    places = np.tile(np.array(scene.samples.place), (SESSION, 1))
    objects = scene_of.points(scene, places, levels, blanks=1)
    scans = [
        scene_of.measure(scene, objects, periods=periods, seed=seed + 100 * session)[0]
        for session in range(SESSIONS)
    ]
    joined = replace(
        scans[0],
        signal=np.concatenate([scan.signal for scan in scans]),
        foreground_index=np.arange(SESSIONS * len(objects.levels)),
        background=scans[0].background[:0],
        background_index=scans[0].background_index[:0],
    )
    levels = np.tile(objects.levels, SESSIONS)
    return levels, np.tile(objects.positions, (SESSIONS, 1)), joined


def figures_of_series(trial, name, series, setting):
    """Brightness of each sample and blank of a detection series: (frames of all levels,)."""
    _, places, scan = series
    if isinstance(name, int):
        signals = scan.signal[:, :name].mean(axis=1)
    else:
        signals = denoised({name: trial.methods[name]}, scene_of.one_period(scan))[name]
    return brightness(trial, name, signals, places, setting)


def limit_figures(trial, name, series, setting):
    """Claim a limit, and check it with new samples of that concentration and new blanks."""
    levels, values = series[0], figures_of_series(trial, name, series, setting)
    claim = detection_limit(levels[levels > 0], values[levels > 0], values[levels == 0])
    lowest = trial.scene.samples.levels[0] / 100
    dose = claim.limit if lowest < claim.limit < np.inf else lowest
    ladder = dose * 10 ** np.arange(0, 1.01, 0.25)
    periods = name if isinstance(name, int) else 1
    again = detection_series(trial.scene, tuple(ladder), periods=periods, seed=7)
    new = figures_of_series(trial, name, again, setting)
    each = [new[again[0] == level] for level in ladder]
    blanks = new[again[0] == 0]
    check = check_detection_limit(claim, each[0], blanks, concentration=dose)
    return {
        "claimed_limit": claim.limit,
        "bias": check.bias,
        "detection_rate": check.detection_rate,
        "false_positive_rate": check.false_positive_rate,
        "failures": check.failures,
        "verified_limit": verified_limit(claim, ladder.tolist(), each, blanks),
    }


def brightness(trial, name, signals, places, setting):
    """Value of each linear image at the voxel where the sample is, mol/L."""
    emptied = trial.emptied.get(name)
    images = trial.solver.images(signals, setting, emptied=emptied, positive=False)
    voxels = trial.solver.matrix.grid.nearest(places)
    return images.reshape(len(images), -1)[np.arange(len(images)), voxels]


# --- output ----------------------------------------------------------------------------------------------


def show_images(words, figures):
    print(f"  {words}")
    head = ("signal SNR", "NRMSE same", "own", "PSNR own", "averages same", "own", "position max", "centroid")
    print(f"    {'':24}" + "".join(f"{each:>15}" for each in head))
    for name, row in figures["methods"].items():
        snr_db = "" if row["signal_snr_db"] is None else f"{row['signal_snr_db']:.1f} dB"
        cells = [
            snr_db,
            f"{row['nrmse_same']:.3f}",
            f"{row['nrmse_own']:.3f}",
            f"{row['psnr_own_db']:.1f} dB",
        ]
        cells += [f"{row['averages_same']:.1f}", f"{row['averages_own']:.1f}"]
        for place in ("maximum", "centroid"):
            found = row.get(f"position_{place}_mm")
            cells.append("" if found is None else f"{found[0]:.2f} ({found[2]})")
        print(f"    {name:24}" + "".join(f"{cell:>15}" for cell in cells))
    print(
        "    plain, m averaged: "
        + ", ".join(f"{m}: {error:.3f}" for m, error in figures["plain_nrmse_of_averages"].items()),
        flush=True,
    )


def show_dose(figures):
    head = ("slope", "R2 log", "R2 origin", "claimed limit", "bias", "detected", "false", "verified")
    print(f"  dose and detection limit, mol(Fe)/L\n    {'':24}" + "".join(f"{each:>15}" for each in head))
    for name, row in figures["methods"].items():
        cells = [f"{row[key]:.3f}" for key in ("slope", "r2_log", "r2_origin")]
        cells.append(f"{row['claimed_limit']:.3g}{'' if not row['failures'] else ' REFUSED'}")
        cells += [f"{100 * row[key]:.0f} %" for key in ("bias", "detection_rate", "false_positive_rate")]
        cells.append(f"{row['verified_limit']:.3g}")
        print(f"    {name:24}" + "".join(f"{cell:>15}" for cell in cells), flush=True)


def measured(scene, names, *, quick):
    """All figures of one scene."""
    print(f"{scene.name}", flush=True)
    trial = Trial(scene, names, quick=quick)
    if scene.samples is None:
        found = image_figures(trial, scene.concentration)
        show_images(f"{scene.counts['test']} digits", found)
        return {"images": {scene.concentration: found}}
    images = {}
    for level in scene.samples.levels:
        images[level] = image_figures(trial, level)
        position_figures(trial, level, images[level])
        show_images(f"{level:.3g} mol(Fe)/L; position errors in mm (failures)", images[level])
    dose = dose_figures(trial)
    show_dose(dose)
    spacing = (1e3 * trial.solver.matrix.grid.spacing).tolist()
    return {"images": images, "dose": dose, "grid_spacing_mm": spacing}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer objects, averages and settings")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--scenes", nargs="+", default=[""], help="parts of the names of the scenes")
    given = parser.parse_args()
    figures, start = {}, time.perf_counter()
    for scene in scene_of.scenes(quick=given.quick):
        if any(part in scene.name for part in given.scenes):
            begun = time.perf_counter()
            figures[scene.name] = measured(scene, given.methods, quick=given.quick)
            print(f"  {time.perf_counter() - begun:.0f} s\n", flush=True)
    print(f"{time.perf_counter() - start:.0f} s in all")
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
