from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import mdf
from mpikit.cli import app
from mpikit.file_facts import describe, quantity

KEYS = {
    "": {
        "file", "version", "uuid", "time", "kind", "study", "experiment", "subject", "is_simulation",
        "scanner", "tracer", "sequence", "sampling", "frames", "data", "corrections", "grid", "snr",
        "reconstruction", "repairs", "user_nodes", "history",
    },
    "scanner": {"name", "manufacturer", "facility", "operator", "topology"},
    "sequence": {"drive_field", "cycle", "gradient", "offset_fields", "averages", "start"},
    "sampling": {"rate", "samples", "unit", "stored_components", "components", "has_transfer_function"},
    "frames": {"total", "foreground", "background"},
    "data": {"shape", "axes", "type", "domain"},
    "corrections": {"background", "transfer_function", "leakage"},
    "grid": {"size", "field_of_view", "center", "spacing", "order"},
}  # fmt: skip
ITEM_KEYS = {
    "tracer": {"name", "vendor", "batch", "solute", "concentration", "volume"},
    "snr": {"channel", "maximum", "threshold", "above_threshold", "components"},
    "repairs": {"rule", "path", "text"},
}


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["info", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def small(tmp_path) -> Path:
    """A calibration, 2 x 1 x 2 positions and an empty frame, as our writer makes it."""
    path = tmp_path / "small.mdf"
    contents = {
        **{f"/study/{name}": "s" for name in ("name", "description")},
        **{f"/experiment/{name}": "e" for name in ("name", "description", "subject")},
        **{f"/scanner/{name}": "x" for name in ("name", "facility", "manufacturer", "operator", "topology")},
        **{f"/tracer/{name}": ["t"] for name in ("name", "batch", "vendor", "solute")},
        "/tracer/concentration": [0.05], "/tracer/volume": [1e-6],
        "/study/number": 1, "/experiment/number": 1, "/experiment/isSimulation": 0,
        "/acquisition/startTime": "2026-03-02T10:15:30",
        "/acquisition/gradient": np.diag([-1.0, -1, 2])[None, None],
        "/acquisition/offsetField": np.zeros((1, 1, 3)),
        "/acquisition/drivefield/baseFrequency": 2.5e6, "/acquisition/drivefield/divider": [[100], [50]],
        "/acquisition/drivefield/strength": [[[0.012], [0.0]]],
        "/acquisition/drivefield/phase": [[[0.0], [0.0]]],
        "/acquisition/receiver/bandwidth": 1.25e6, "/acquisition/receiver/unit": "V",
        "/acquisition/receiver/numSamplingPoints": 10,
        "/measurement/isFourierTransformed": 1, "/measurement/isFastFrameAxis": 1,
        "/measurement/isBackgroundFrame": [0, 0, 0, 0, 1],
        "/calibration/method": "robot", "/calibration/size": [2, 1, 2],
        "/calibration/fieldOfView": [0.004, 0.001, 0.006],
        "/calibration/snr": np.arange(18.0).reshape(1, 3, 6),
    }  # fmt: skip
    history = json.dumps([{"command": "simulate", "at": "2026-03-02T10:15:31+00:00"}])
    mdf.write(path, contents, np.zeros((5, 1, 3, 6), np.complex64), user={"/_mpikit/history": history})
    return path


def test_the_keys_of_the_object_are_a_promise(samples):
    for path in sorted(samples.glob("*.mdf")):
        facts = json.loads(run(str(path), "--json"))
        for name, keys in KEYS.items():
            part = facts[name] if name else facts
            assert part is None or set(part) == keys, name
        for name, keys in ITEM_KEYS.items():
            assert all(set(item) == keys for item in facts[name] or []), name


def test_a_small_calibration_in_si_units(small):
    facts = json.loads(run(str(small), "--json"))
    assert set(facts) == KEYS[""]
    assert facts["kind"] == "calibration"
    assert facts["sequence"]["drive_field"] == [
        {"channel": 0, "frequency": 25000.0, "amplitude": 0.012, "waveform": "sine"}
    ]
    assert facts["data"] == {"shape": [1, 3, 6, 5], "axes": ["J", "C", "K", "N"], "type": "complex64",
                             "domain": "frequency"}  # fmt: skip
    assert facts["frames"] == {"total": 5, "foreground": 4, "background": 1}
    assert facts["grid"]["field_of_view"] == [0.004, 0.001, 0.006]
    assert [each["above_threshold"] for each in facts["snr"]] == [2, 6, 6]
    assert facts["repairs"] == []
    assert facts["history"][0]["command"] == "simulate"


def test_a_small_calibration_in_words(small):
    lines = dict(
        line.split(maxsplit=1) for line in run(str(small)).splitlines() if not line.startswith("SNR")
    )
    assert lines["kind"].startswith("calibration, MDF 2.1.0")
    assert "drive field" in run(str(small))
    assert "25 kHz 12 mT (channel 0); cycle 40 µs" in run(str(small))
    assert lines["gradient"] == "(-1, -1, 2) T/m"
    assert lines["data"] == "(J 1, C 3, K 6, N 5) complex64, frequency domain"
    assert lines["frames"] == "4 foreground, 1 background"
    assert lines["sampling"] == "2.5 MHz, 10 samples, unit V"
    assert lines["grid"] == "2 x 1 x 2 voxels over 4 x 1 x 6 mm, centre (0, 0, 0) mm"
    assert "t (t, batch t): 50 mmol(t)/L, 1 µL" in lines["tracer"]
    assert lines["history"] == "2026-03-02T10:15:31+00:00: mpikit simulate"


def test_repairs_are_shown(samples):
    text = run(str(samples / "bruker2d-measurement.mdf"))
    assert "/acquisition/drivefield/divider: shape (1, 3) read as (3, 1) (D02)" in text
    assert "20 foreground, 10 background; 4 averages" in text
    assert "/_truth" in text


def test_a_file_cannot_command_the_terminal(small):
    with h5py.File(small, "r+") as hdf:
        del hdf["/study/name"], hdf["/_mpikit/history"]
        hdf["/study/name"] = "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202e\nfake: line"
        hdf["/_mpikit/history"] = json.dumps([{"command": "\x1b[2J", "at": 3}])
        hdf["/_\x1b[1m"] = 1
    text = run(str(small))
    assert "red" in text
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert not any(line.startswith("fake") for line in text.splitlines())
    assert "\x1b" not in run(str(small), "--json")


def test_a_file_with_damaged_values_is_shown_all_the_same(small):
    damage = {
        "/study/name": None,
        "/acquisition/receiver/bandwidth": "wide",
        "/acquisition/gradient": np.full((1, 1, 3, 3), np.nan),
        "/acquisition/drivefield/strength": np.full((1, 2, 1), np.nan),
        "/acquisition/drivefield/cycle": None,
        "/tracer/volume": np.array([1.0, 2.0]),
        "/calibration/snr": np.full((1, 3, 6), np.inf),
        "/_mpikit/history": "no JSON",
    }
    with h5py.File(small, "r+") as hdf:
        for path, value in damage.items():
            del hdf[path]
            if value is not None:
                hdf[path] = value
    assert "4 foreground" not in run(str(small))  # without a bandwidth there is no layout
    facts = json.loads(run(str(small), "--json"), parse_constant=pytest.fail)
    assert facts["study"] is None
    assert facts["sampling"]["rate"] is None
    assert facts["history"] == []


def test_a_reconstruction(small, tmp_path):
    with mdf.open(small) as file:
        contents = {path: value for path, value in file.contents().items() if path.split("/")[1] not in
                    {"measurement", "calibration"}}  # fmt: skip
    images = {"/reconstruction/data": np.zeros((2, 6, 1)), "/reconstruction/size": [3, 2, 1],
              "/reconstruction/fieldOfView": [0.03, 0.02, 0.01]}  # fmt: skip
    mdf.write(tmp_path / "image.mdf", contents | images)
    facts = describe(tmp_path / "image.mdf")
    assert facts["kind"] == "reconstruction"
    assert facts["data"] is None
    assert facts["repairs"] == []  # a flag of a group that is not there is not missing
    assert set(facts["corrections"].values()) == {None}
    assert "(Q 2, P 6, S 1) float64" in run(str(tmp_path / "image.mdf"))


def test_no_mdf_file_at_all(tmp_path):
    (tmp_path / "a.mdf").write_text("hello")
    result = CliRunner().invoke(app, ["info", str(tmp_path / "a.mdf")])
    assert isinstance(result.exception, mdf.MdfError)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (24509.8, "Hz", "24.51 kHz"), (652.8e-6, "s", "652.8 µs"), (0.012, "T", "12 mT"), (1.0, "V", "1 V"),
        (0.0, "L", "0 L"), (None, "s", "? s"), (1.25e6, "Hz", "1.25 MHz"), (3e-12, "L", "3e-12 L"),
    ],
)  # fmt: skip
def test_quantities(value, unit, text):
    assert quantity(value, unit) == text


def test_several_files_are_listed(small, tmp_path):
    (tmp_path / "text.mdf").write_text("text")
    alone = json.loads(run("--json", str(small)))
    both = json.loads(run("--json", str(small), str(small)))
    assert both == {"files": [{"source": str(small), **alone}] * 2}
    assert run(str(small), str(small)) == 2 * (run(str(small)) + "\n")
    result = CliRunner().invoke(app, ["info", "--json", str(tmp_path / "text.mdf"), str(small)])
    assert result.exit_code == 6
    bad, good = json.loads(result.stdout)["files"]
    assert (set(bad), bad["error"]["exit_code"]) == ({"source", "error"}, 3)
    assert good == {"source": str(small), **alone}
    assert CliRunner().invoke(app, ["info", *[str(tmp_path / "text.mdf")] * 2]).exit_code == 3
