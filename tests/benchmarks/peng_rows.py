"""The noisy rows of Peng et al. 2023, Tables II and III, beside what the presets give.

    python tests/benchmarks/peng_rows.py [number of phantoms]

SNR, RMSE, and SSIM and PSNR of images by x-space against those of the clean signals. The RMSE is that of a
set of 10,000 phantoms, normalised by its largest amplitude; the figures of the paper say that the mean rms of
its signals is 0.2281. Its reconstruction is not described: samples slower than half the highest speed are
left out here, and 101 x 101 voxels are filled linearly.
"""

from __future__ import annotations

import sys

import numpy as np

from mpikit.metrics import psnr, rmse, snr, ssim
from mpikit.plugins import parse_noise
from mpikit.reconstruct import trajectory, x_space
from mpikit.simulate import Signals, make_phantom, preset, simulate_scan

ROWS = {
    "peng2023": [
        (("gaussian:snr_db=15",), (15.00, 40.56e-3, 0.74, 30.03)),
        (("gaussian:snr_db=10",), (10.00, 72.13e-3, 0.56, 25.41)),
        (("gaussian:snr_db=5",), (5.00, 128.27e-3, 0.39, 21.13)),
        (("gaussian:snr_db=15", "harmonic:sir_db=15"), (12.66, 53.72e-3, 0.68, 27.96)),
        (("gaussian:snr_db=15", "harmonic:sir_db=5"), (6.20, 116.33e-3, 0.47, 22.58)),
    ],
    "peng2023-openmpi": [
        (("gaussian:snr_db=15", "harmonic:sir_db=5"), (4.86, 54.41e-4, 0.74, 19.89)),
    ],
}


def images(scan, signals):
    path = trajectory(
        scan.drive_field, scan.selection_field, samples=signals.shape[-1], sampling_rate=scan.sampling_rate
    )
    return x_space(signals, path, size=(101, 101), min_speed=0.5)[0]


def levels(scanner, count=10_000, at_once=500):
    """Largest amplitude of a large set, and the mean rms of its signals in units of it."""
    grid = scanner.phantom.grid()
    digits = make_phantom("digits", grid, concentration=0.1, count=count, rng=np.random.default_rng(1))
    signals = Signals(scanner, grid, images=count)
    largest, powers = 0.0, []
    for start in range(0, count, at_once):
        clean = signals.of(digits.part(slice(start, start + at_once)))[:, 0]
        largest = max(largest, np.abs(clean).max())
        powers.append(np.mean(clean**2, axis=(1, 2)))
    return largest, np.sqrt(np.concatenate(powers)).mean() / largest


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(f"{'':40}{'SNR / dB':>16}{'RMSE e-3':>18}{'SSIM':>14}{'PSNR / dB':>16}")
    for name, rows in ROWS.items():
        scanner = preset(name)
        grid = scanner.phantom.grid()
        digits = make_phantom("digits", grid, concentration=0.1, count=count, rng=np.random.default_rng(2))
        scale, level = levels(scanner)
        print(f"{name}: mean rms {level:.4f} of the largest amplitude of 10000 phantoms")
        for noise, paper in rows:
            scan, clean = simulate_scan(
                scanner,
                digits,
                frames=count,
                periods=2,
                noise=[parse_noise(spec) for spec in noise],
                rng=np.random.default_rng(0),
            )
            first, right = scan.signal[:, 0].astype(float), clean[:, 0].astype(float)
            seen, wanted = images(scan, first), images(scan, right)
            likeness = (ssim(seen, wanted).mean(), psnr(seen, wanted).mean())
            found = (snr(first, right).mean(), 1e3 * rmse(first, right).mean() / scale, *likeness)
            wanted = (paper[0], 1e3 * paper[1], *paper[2:])
            words = "".join(f"{a:9.2f}{b:9.2f}" for a, b in zip(found, wanted, strict=True))
            print(f"{' + '.join(noise):40}{words}")


if __name__ == "__main__":
    main()
