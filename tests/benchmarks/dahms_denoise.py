"""The experiment of Dahms et al. (IWMPI 2026): point samples of many concentrations, from single periods.

    python tests/benchmarks/dahms_denoise.py [--folder FOLDER] [--output FOLDER] [--seed 1]
        [--methods wgan-sn low-rank ...] [--train-steps 2000] [-p METHOD.option=value ...]
        [--compare-penalty --seeds 5]

Files of the preset dahms2026 and a dilution series are simulated in one session with its own noise and
background. A method learns from the training file and the empty measurement, and gets single periods of other
samples, at other places and of other concentrations; ten outputs make one image, as in the paper. Beside it
stand the same ten periods as they are, the mean of 1000 without correction ("reference"), simple methods, and
the best guess of whoever knows the clean signals ("posterior median", of the same ten periods): no method has
a smaller mean error, unless by chance. "Of the mean": the ten periods are averaged first, and the mean is
denoised once. What is in --folder is used again, and a second run trains nothing.
Tables go to --output as CSV, with pictures.

Detection limits are claimed from blanks, and verified with samples and blanks that had no part in the claim
or the training; the slope is that above the verified limit, and the worst of three places. The projection is
that on the phase of the signal: the magnitude of noise is not zero on average.

--compare-penalty trains wgan-sn and wgan-gp with several seeds at a quarter of the steps, the same for both.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import dahms_figures as figure_of
import dahms_pictures as pictures
import dahms_scene as scene
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from mpikit import Run
from mpikit.denoise_write import emptied_lines
from mpikit.events import Finding, Warned
from mpikit.models import load_model
from mpikit.plugins import parse_options, registry
from mpikit.signal import subtract_background
from mpikit.train import train_files

METHODS = ("wgan-sn", "low-rank", "harmonic", "wiener", "average")
PENALTY = ("wgan-sn", "wgan-gp")
AFTER, BEST = ", of the mean", "posterior median"  # denoised once, after ten periods were averaged
HIGHEST = 4.8132e-3  # mol/L, of the training


# --- methods ---------------------------------------------------------------------------------------------


def options_of(method, pairs):
    """Options of a method from METHOD.name=value."""
    return tuple(pair.partition(".")[2] for pair in pairs if pair.startswith(f"{method}."))


def say(event):
    if isinstance(event, (Finding, Warned)):
        print(f"    {event.text}", flush=True)


def trained(method, parameters, folder, seed):
    """Train a learned method on the training file, or take the model of the last run; with the CPU time."""
    record = registry().denoiser(method).record
    options = parse_options(record, parameters)
    model = Path(folder) / f"{method}-{seed}.safetensors"
    wanted = {"method": method, **options.model_dump(mode="json")}
    if (
        not model.exists()
        or load_model(model)[0].history["options"] | wanted != load_model(model)[0].history["options"]
    ):
        start = time.process_time()
        train_files(
            [Path(folder) / "train.mdf"],
            model,
            method=method,
            parameters=parameters,
            background_files=[Path(folder) / "background.mdf"],
            seed=seed,
            device="cpu",
            overwrite=True,
            tell=say,
        )
        model.with_suffix(".seconds").write_text(f"{time.process_time() - start}\n")
    built = record.build(options)
    built.restore(load_model(model)[1])
    return built, float(model.with_suffix(".seconds").read_text())


def fitted(method, parameters, training, folder, seed):
    """Fit any method; a learned one is kept."""
    record = registry().denoiser(method).record
    if record.learned:
        return trained(method, parameters, folder, seed)
    built = record.build(parse_options(record, parameters))
    start = time.process_time()
    built.fit([training], run=Run(rng=np.random.default_rng(seed)))
    return built, time.process_time() - start


def applied(method, built, scan):
    """Denoise single periods; `average` gets ten, for the ten that make an image are all it has."""
    run = Run(rng=np.random.default_rng(1))
    if method != "average":
        return built.denoise(scan, run=run)
    parts = [scene.some_periods(scan, part) for part in scene.tens(scan.signal.shape[1])]
    return np.concatenate([built.denoise(part, run=run) for part in parts], axis=1)


class Session:
    """The files of one simulated session, and all methods applied to them.

    Parameters
    ----------
    folder : Path
    seed : int
    periods : int
        Of each test sample, a multiple of ten.
    """

    def __init__(self, folder, *, seed, periods):
        if not (folder / "clean" / "test.mdf").exists():
            print(f"simulating into {folder}", flush=True)
            scene.simulate(folder, seed=seed)
        self.folder = folder
        self.training = scene.read_samples(folder, "train")
        self.test = scene.read_samples(folder, "test", periods=periods)
        self.reference = scene.read_samples(folder, "reference")
        self.clean = scene.read_samples(folder / "clean", "test").scan.signal
        self.series, self.checks = (
            scene.read_samples(folder, name, periods=200) for name in ("series", "series-check")
        )
        self.blanks, self.new_blanks = (
            scene.read_blanks(folder, name, periods=100) for name in ("blanks", "blanks-check")
        )
        long = scene.read_samples(folder, "series").scan.signal
        self.series_reference = long.mean(axis=1, keepdims=True, dtype=np.float64)
        matrix = scene.read_matrix(folder)
        self.imaging = figure_of.Imaging(matrix, self.test, self.test.scan.sampling_rate)

    def plain(self):
        """What there is without a method: {name: callable of Samples}."""
        return {
            "noisy": lambda samples: samples.scan.signal,
            "background subtracted": lambda samples: subtract_background(samples.scan).signal,
        }


# --- figures ---------------------------------------------------------------------------------------------


def dose_figures(session, denoise):
    """Amplitude of the fifth harmonic, its slope and its limit, for one way to denoise Samples."""
    phases = figure_of.signal_phases(session.series, session.series_reference)
    one = np.full(1, phases[figure_of.at_place(session.series)][0])
    values = figure_of.amplitudes(denoise(session.series), phases)
    others = [denoise(each) for each in (session.blanks, session.checks, session.new_blanks)]
    blanks, checks, new = (figure_of.amplitudes(each, np.repeat(one, len(each))).projected for each in others)
    found = figure_of.guarded(
        figure_of.limits, session.series, values.projected, blanks, session.checks, checks, new
    )
    right = np.real(figure_of.fifth(session.series_reference[:, 0, 0]) * np.exp(-1j * phases))
    means = values.projected.mean(axis=1)
    limit = found.get("verified", np.inf)
    line = figure_of.linearity(session.series, means, limit, above=right, highest=HIGHEST)
    return {**found, **line}, values


def reference_dose(session):
    """Amplitudes of the mean of all periods; slope from 85 µg/mL, where the background has no part."""
    phases = figure_of.signal_phases(session.series, session.series_reference)
    values = figure_of.amplitudes(session.series_reference, phases)
    means = values.projected[:, 0]
    limit = scene.LIMIT_LEVELS[-1]
    line = figure_of.linearity(session.series, means, limit, above=means, highest=HIGHEST)
    return {"verified": np.nan, **line}, values


class Found:
    """Figures of all methods: rows of the tables, amplitudes, images and grids, by name."""

    def __init__(self, session):
        self.session = session
        self.rows, self.dose, self.images, self.grids = {}, {}, {}, {}

    def add(self, name, outputs, signals, emptied=None, **more):
        """Add outputs (N, J, C, V), and the signals (N, G, C, V) that they give for G images."""
        session = self.session
        found = session.imaging.errors(signals, emptied=emptied)
        grid = session.imaging.table(signals, emptied)
        self.images[name], self.grids[name] = session.imaging.images(signals, emptied=emptied), grid
        self.rows[name] = {
            **figure_of.position_row(session.test, found),
            **figure_of.snr_row(session.test, outputs, session.clean),
            "grid_sd": float(grid.std(ddof=1)),
            "grid_range": float(np.ptp(grid)),
            **more,
        }

    def add_dose(self, name, figures, values):
        """Add what is known of the amplitudes."""
        self.rows[name] |= figures
        self.dose[name] = values


def ways_of(session, names, *, parameters, seed):
    """What is done to Samples, and the CPU time of its training: {name: (callable, seconds)}."""
    ways = {name: (way, 0.0) for name, way in session.plain().items()}
    for name in names:
        own = options_of(name, parameters)
        built, seconds = fitted(name, own, session.training.scan, session.folder, seed)
        ways[name] = (lambda samples, built=built, name=name: applied(name, built, samples.scan), seconds)
        if registry().denoiser(name).record.learned:
            ways[name + AFTER] = (
                lambda samples, built=built, name=name: applied(
                    name, built, scene.ten_together(samples.scan)
                ),
                seconds,
            )
    return ways


def measured(session, names, *, parameters, seed):
    """All figures of all methods."""
    found = Found(session)
    noisy = session.test.scan.signal
    ways = ways_of(session, names, parameters=parameters, seed=seed)
    for name, (denoise, seconds) in ways.items():
        outputs = denoise(session.test)
        signals = outputs if name.endswith(AFTER) else scene.grouped(outputs)
        emptied = None if name in session.plain() else emptied_lines(noisy, outputs)
        found.add(name, outputs, signals, emptied, cpu_s=seconds)
        found.add_dose(name, *dose_figures(session, denoise))
    whole = session.reference.scan.signal
    found.add("reference", whole, whole)
    found.add_dose("reference", *reference_dose(session))
    found.rows[BEST] = figure_of.position_row(session.test, session.imaging.best_guess())
    for row in found.rows.values():
        row["of_reference"] = row["mean"] / found.rows["reference"]["mean"]
    return found


def penalty_rows(session, *, parameters, seeds, steps):
    """Position error and SNR of both forms, several seeds, with the same number of steps."""
    rows = []
    for name in PENALTY:
        for seed in range(seeds):
            given = (*options_of(name, parameters), f"steps={steps}")
            built, seconds = trained(name, given, session.folder, 100 + seed)
            outputs = applied(name, built, session.test.scan)
            emptied = emptied_lines(session.test.scan.signal, outputs)
            found = session.imaging.errors(scene.grouped(outputs), emptied=emptied)
            row = {"method": name, "seed": seed, "steps": steps, "cpu_s": seconds}
            row |= figure_of.position_row(session.test, found)
            row |= figure_of.snr_row(session.test, outputs, session.clean)
            row["gain_at_highest"] = figure_of.gain(session.test, outputs, session.clean)
            row["collapsed"] = not 0.5 < row["gain_at_highest"] < 2
            rows.append(row)
            show_penalty(row)
    return rows


# --- output ----------------------------------------------------------------------------------------------


def show(rows):
    """Print the tables, best position first."""
    names = sorted(rows, key=lambda name: rows[name]["mean"])
    per_level = [key for key in rows["noisy"] if key.startswith("mm_at_")]
    head = " ".join(f"{scene.micrograms(float(key.removeprefix('mm_at_'))):>7.3g}" for key in per_level)
    print("\nposition error / mm, ten periods (reference: 1000); its mean at each concentration in µg/mL")
    print(f"  {'':22} {'mean':>6} {'sd':>6} {'of ref.':>8} {head}  {'grid sd':>8} {'range':>6} {'CPU s':>7}")
    for name in names:
        row = rows[name]
        each = " ".join(f"{row[key]:7.2f}" for key in per_level)
        spread = f"{row.get('grid_sd', np.nan):8.2f} {row.get('grid_range', np.nan):6.2f}"
        print(
            f"  {name:22} {row['mean']:6.2f} {row['deviation']:6.2f} {row['of_reference']:8.2f} {each}  "
            f"{spread} {row.get('cpu_s', 0.0):7.0f}"
        )
    print("\nfifth harmonic of single periods; limits in µg/mL; slope and R² from the verified limit on")
    print(
        f"  {'':22} {'slope':>6} {'R²':>7} {'levels':>6} {'gain above':>10} {'claimed':>8} {'verified':>8} "
        f"{'detected':>8} {'false':>6}"
    )
    for name in (name for name in names if "slope" in rows[name]):
        row = rows[name]
        claimed, verified = (scene.micrograms(row.get(key, np.nan)) for key in ("claimed", "verified"))
        print(
            f"  {name:22} {row['slope']:6.3f} {row['r2']:7.4f} {row['levels']:6d} {row['gain_above']:10.3f} "
            f"{claimed:8.3g} {verified:8.3g} {100 * row.get('detected', np.nan):7.1f}% "
            f"{100 * row.get('false_positives', np.nan):5.1f}%  {row.get('failures', '')}"
        )


def show_penalty(row):
    figures = " ".join(f"{row[key]:6.1f}" for key in row if key.startswith("snr_at_"))
    print(
        f"  {row['method']} seed {row['seed']}: {row['mean']:.2f} mm, SNR {figures} dB, "
        f"gain {row['gain_at_highest']:.2f}, {row['cpu_s']:.0f} s{', COLLAPSED' if row['collapsed'] else ''}",
        flush=True,
    )


def show_spread(rows):
    print("\nspread over the seeds: sd and range")
    for name in PENALTY:
        own = [row for row in rows if row["method"] == name]
        for key in ("mean", *(key for key in own[0] if key.startswith("snr_at_"))):
            values = np.array([row[key] for row in own])
            unit = "position error in mm" if key == "mean" else key.replace("snr_at_", "SNR in dB at mol/L ")
            spread = f"sd {values.std(ddof=1):.3f}, range {np.ptp(values):.3f}"
            print(f"  {name} {unit:32} {values.mean():7.2f}, {spread}")
        print(f"  {name} collapsed: {sum(row['collapsed'] for row in own)} of {len(own)}")


def write_rows(path, rows):
    """Write dictionaries of one row each as CSV."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def write(folder, session, found):
    """Write all tables, and draw them."""
    rows, dose = found.rows, found.dose
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "methods.csv", [{"method": name, **row} for name, row in rows.items()])
    write_rows(folder / "amplitudes.csv", list(amplitude_rows(session.series, dose)))
    write_rows(folder / "grid.csv", list(grid_rows(found.grids)))
    pictures.draw_amplitudes(folder / "amplitudes.png", session.series, dose)
    pictures.draw_images(folder / "images.png", session.test, found.images, session.imaging.matrix.grid)
    pictures.draw_positions(folder / "positions.png", rows)
    pictures.draw_grids(folder / "grid.png", found.grids)


def amplitude_rows(series, dose):
    for name, found in dose.items():
        for index, level in enumerate(series.concentrations):
            yield {
                "method": name,
                "x_mm": 1e3 * series.positions[index, 0],
                "mol_per_l": level,
                "projected_v": found.projected[index].mean(),
                "projected_sd_v": found.projected[index].std(),
                "magnitude_v": found.magnitude[index].mean(),
            }


def grid_rows(grids):
    for name, table in grids.items():
        for index, weight in enumerate(figure_of.LAMBDAS):
            for place, sweeps in enumerate(figure_of.SWEEPS):
                yield {"method": name, "lambda": weight, "sweeps": sweeps, "mm": table[index, place]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("dahms"), help="files and models, kept")
    parser.add_argument("--output", type=Path, help="tables and pictures; else FOLDER/figures")
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--seed", type=int, default=1, help="of the session and of the training")
    parser.add_argument("--periods", type=int, default=200, help="of each test sample, a multiple of ten")
    parser.add_argument("--train-steps", type=int, help="of wgan-sn and wgan-gp; else their default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compare-penalty", action="store_true", help="wgan-sn against wgan-gp")
    parser.add_argument("--seeds", type=int, default=5, help="of --compare-penalty")
    parser.add_argument("-p", dest="options", action="append", default=[], metavar="METHOD.option=value")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    session = Session(given.folder / f"session-{given.seed}", seed=given.seed, periods=given.periods)
    output = given.output or given.folder / "figures"
    if given.compare_penalty:
        whole = given.train_steps or registry().denoiser("wgan-sn").record.options().steps
        rows = penalty_rows(session, parameters=given.options, seeds=given.seeds, steps=max(whole // 4, 1))
        show_spread(rows)
        output.mkdir(parents=True, exist_ok=True)
        write_rows(output / "penalty.csv", rows)
        return
    steps = [f"{name}.steps={given.train_steps}" for name in PENALTY if given.train_steps]
    found = measured(session, given.methods, parameters=[*steps, *given.options], seed=given.seed)
    show(found.rows)
    write(output, session, found)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
