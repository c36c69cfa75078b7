"""The catalogue: names, addresses, sizes and which calibration fits."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mpikit.datasets import DATASETS, Dataset, cache_folder, dataset, fitting, in_bytes, place
from mpikit.errors import UsageError

BASE = "https://media.tuhh.de/ibi/openMPIData/data/"


def test_every_entry_is_whole():
    assert len(DATASETS) == 9 + 4 + 17 + 2 + 9
    for name, each in DATASETS.items():
        assert each.name == name == name.lower()
        assert urlsplit(each.url).scheme == "https"
        assert each.citation
        assert each.doi.startswith("10.")
        assert each.url.endswith(each.file.rsplit("/", 1)[1])
        for calibration in fitting(name):
            assert calibration.kind == "calibration"
            assert calibration.sequence == each.sequence
            assert calibration.tracer == each.tracer
        if each.kind != "measurement":
            assert each.calibrations == ()
    for unique in ("url", "file"):
        assert len({getattr(each, unique) for each in DATASETS.values()}) == len(DATASETS)


@pytest.mark.parametrize("phantom", ["shape", "resolution", "concentration"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_pairs_of_openmpidata(phantom, number):
    measurement = dataset(f"openmpi-{phantom}-{number}d")
    assert measurement.url == f"{BASE}measurements/{phantom}Phantom/{number}.mdf"
    assert [each.url for each in fitting(measurement.name)] == [
        f"{BASE}calibrations/{number}.mdf",
        f"{BASE}calibrations/{number + 3}.mdf",
    ]


def test_another_tracer_fits_nothing():
    assert dataset("openmpi-calibration-7").tracer == "Synomag-D"
    assert all("openmpi-calibration-7" not in each.calibrations for each in DATASETS.values())


def test_sizes_that_users_report():
    """4451.42 MiB and 616.37 MiB, each with a little beside the array."""
    assert dataset("openmpi-calibration-3").size == pytest.approx(4451.42 * 2**20, rel=1e-3)
    assert dataset("openmpi-concentration-3d").size == pytest.approx(616.37 * 2**20, rel=1e-3)
    assert dataset("openmpi-concentration-1d").size is None


def test_the_first_calibration_of_each_sequence_has_its_lines():
    sizes = [dataset(f"openmpi-calibration-{number}").size for number in (1, 2, 3)]
    assert sizes == [3 * lines * 7221 * 8 for lines in (52, 817, 26929)]


@pytest.mark.parametrize(
    "file",
    ["../scan.mdf", "/etc/passwd", "a/../../b", "a//b", "", "a\\b", "C:/x", ".hidden/x", "a/b\n", "~/x"],
)
def test_no_place_outside_the_cache(file):
    with pytest.raises(UsageError, match="'scan' cannot be kept as"):
        Dataset(name="scan", kind="measurement", summary="", url="https://example.org/x", file=file)


def test_every_place_is_inside_the_cache(tmp_path):
    for name in DATASETS:
        assert place(name, tmp_path).resolve().is_relative_to(tmp_path.resolve())


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("MPIKIT_DATASETS", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.setenv("MPIKIT_DATASETS", "~/data")
    assert cache_folder() == Path.home() / "data"
    monkeypatch.delenv("MPIKIT_DATASETS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().parts[-2:] == ("mpikit", "datasets")


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (999_900, "1 MB"), (33_622_304_184, "33.6 GB")],
)
def test_sizes_in_words(count, words):
    assert in_bytes(count) == words
