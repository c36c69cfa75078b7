"""``symmetry``: the projection and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit.errors import InputError
from mpikit.signal import symmetry_center
from mpikit.testing import check_denoiser, example_scan
from mpikit_plugins.harmonic import mpikit_denoisers

RECORD = next(record for record in mpikit_denoisers() if record.name == "symmetry")


@pytest.mark.parametrize("mode", ["fit", "exact"])
def test_half_of_the_noise_goes_and_none_of_the_signal(make_known, denoise, mode):
    known = make_known(objects=300)
    found = denoise(RECORD, known.scan, background="keep", symmetry=mode)
    assert known.error(found) / known.noise == pytest.approx(80 / 162, rel=0.01)  # DC and Nyquist go as well
    clean = replace(known.scan, signal=known.clean.astype(np.float32))
    left = denoise(RECORD, known.scan, clean, background="keep", symmetry=mode)
    np.testing.assert_allclose(left, known.clean, atol=1e-5)


def test_with_other_phases(make_known, denoise):
    """A receive chain turns each line: fitted phases lose next to nothing, ideal ones are refused."""
    known = make_known(objects=300, angle=np.linspace(0, 2, 82))
    found = denoise(RECORD, known.scan)
    assert known.error(found) / known.noise == pytest.approx(0.5, rel=0.04)
    clean = replace(known.scan, signal=known.clean.astype(np.float32))
    left = denoise(RECORD, known.scan, clean, background="keep")
    assert known.error(left) < 5e-3 * np.mean(known.clean**2)
    with pytest.raises(InputError, match="not odd about its turning point"):
        denoise(RECORD, known.scan, symmetry="exact")


def test_a_line_that_keeps_to_no_phase_is_left_alone(make_known, denoise):
    known = make_known(objects=100)
    rng = np.random.default_rng(2)
    phases = rng.uniform(0, 2 * np.pi, (100, 1, 1, 1))
    strange = 6 * np.cos(2 * np.pi * 40 * np.arange(162) / 162 + phases)
    scan = replace(known.scan, signal=(known.scan.signal + strange).astype(np.float32))
    given, found = (
        np.fft.rfft(each)[..., 40] for each in (scan.signal, denoise(RECORD, scan, background="keep"))
    )
    np.testing.assert_allclose(found, given, atol=1e-3 * np.abs(given).max())


def test_the_finding_counts_lines(make_known, denoise):
    told = []
    denoise(RECORD, make_known(objects=100).scan, told=told)
    assert told[0].name == "symmetry"
    assert told[0].value >= 40
    assert (
        told[0].text == f"the scan symmetry holds on {told[0].value} of {told[0].value} lines above the noise"
    )


def test_a_late_start(make_known, denoise):
    """The turning point comes from the drive field, at any fraction of a sample."""
    known = make_known(objects=50, angle=-2 * np.pi * np.arange(82) * 0.2137)
    late = replace(known.scan.drive_field, phases=np.full((2, 1, 1), np.pi / 2 - 2 * np.pi * 0.2137))
    scan = replace(known.scan, drive_field=late)
    assert symmetry_center(late) == pytest.approx(0.2137 * late.cycle)
    found = denoise(RECORD, scan, symmetry="exact", background="keep")
    assert known.error(found) / known.noise == pytest.approx(80 / 162, rel=0.02)


def test_a_field_that_is_not_retraced_has_none(denoise):
    scan = example_scan()
    moving = replace(scan, drive_field=replace(scan.drive_field, waveforms=np.array([["custom"]])))
    assert RECORD.missing(moving, RECORD.options()) == "a drive field that is retraced"
    with pytest.raises(InputError, match="not retraced"):
        denoise(RECORD, moving)


def test_contract_with_the_ideal_phases():
    check_denoiser(RECORD, RECORD.options(symmetry="exact", background="keep"))
