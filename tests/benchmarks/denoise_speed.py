"""How long the methods without a network take for 1000 periods of 9900 samples, fit and output.

    python tests/benchmarks/denoise_speed.py [--threads 2] [--methods wavelet ...] [--json FILE]

The baseline is what no method on the lines can do without: the rfft and irfft of all samples, in double
precision. Times are medians, and the ratio is that to the baseline of the same run. Processor time is shown
too: beside other work on the machine it is the better figure.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from mpikit import Run
from mpikit.plugins import parse_noise, registry
from mpikit.simulate import make_phantom, preset, simulate_scan

METHODS = (
    "average",
    "background-subtraction",
    "savgol",
    "symmetry",
    "harmonic",
    "wiener",
    "low-rank",
    "harmonic-n2n",
    "mp-pca",
    "wavelet",
    "sure",
)
SIGNALS, PERIODS = 500, 2
TARGET = 2.0  # s


def scan_of_digits():
    """500 digits in the scanner of Peng et al., two noisy periods of each, and ten empty frames."""
    scanner = preset("peng2023")
    digits = make_phantom(
        "digits",
        scanner.phantom.grid(),
        concentration=0.1,
        count=SIGNALS,
        rng=np.random.default_rng(1),
    )
    scan, _ = simulate_scan(
        scanner,
        digits,
        frames=SIGNALS,
        periods=PERIODS,
        background_frames=10,
        noise=[parse_noise("gaussian:snr_db=5")],
        rng=np.random.default_rng(0),
    )
    return scan


def timed(function, repeat):
    """Median seconds by the clock, and of processor time."""
    clock, processor = [], []
    for _ in range(repeat):
        begin, work = time.perf_counter(), time.process_time()
        function()
        clock.append(time.perf_counter() - begin)
        processor.append(time.process_time() - work)
    return median(clock), median(processor)


def transforms(signal):
    np.fft.irfft(np.fft.rfft(signal.astype(np.float64), axis=-1), n=signal.shape[-1], axis=-1)


def times_of(name, scan, repeat):
    """Seconds of fit and of output, by clock and processor, or what the scan lacks."""
    record = registry().denoiser(name).record
    options = record.options()
    lack = record.missing(scan, options)
    if lack:
        return lack
    run, method = Run(rng=np.random.default_rng(0)), record.build(options)
    fit = timed(lambda: method.fit([scan], run=run), repeat)
    return fit, timed(lambda: method.denoise(scan, run=run), repeat)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    given = parser.parse_args()
    with threadpool_limits(given.threads):
        scan = scan_of_digits()
        base, work = timed(lambda: transforms(scan.signal), given.repeat)
        print(f"{SIGNALS * PERIODS} periods of {scan.signal.shape[-1]} samples, {given.threads} threads")
        print(f"{'':24}{'fit':>10}{'output':>10}{'ratio':>8}{'processor: fit':>16}{'output':>10}")
        print(f"{'rfft and irfft':24}{'':10}{base:8.2f} s{1:8.1f}{'':16}{work:8.2f} s", flush=True)
        figures = {"baseline": {"output_s": base, "output_processor_s": work}}
        for name in given.methods:
            found = times_of(name, scan, given.repeat)
            if isinstance(found, str):
                print(f"{name:24}needs {found}")
                continue
            (fit, fit_work), (output, output_work) = found
            late = "" if output < TARGET else f"  over {TARGET:g} s"
            words = f"{name:24}{fit:8.2f} s{output:8.2f} s{output / base:8.1f}"
            print(f"{words}{fit_work:14.2f} s{output_work:8.2f} s{late}", flush=True)
            figures[name] = {
                "fit_s": fit,
                "output_s": output,
                "ratio": output / base,
                "fit_processor_s": fit_work,
                "output_processor_s": output_work,
            }
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
