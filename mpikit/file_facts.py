"""What an MDF file holds, in SI units and in words: what a person asks first of a strange file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import mdf

USEFUL_SNR = 3  # what people take as the threshold of a system matrix row
MAGNIFICATIONS = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def printable(text: str) -> str:
    """Return text without what a terminal would obey: a file may come from anywhere."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def describe(path: Path) -> dict[str, Any]:
    """Collect what `mpikit info` shows, in SI units, ready for JSON.

    Raises
    ------
    mdf.MdfError
        If it is no MDF file. A single value that is missing or damaged is None.
    """
    import mdf
    from mpikit.provenance import HISTORY, read_history

    with mdf.open(path) as file:
        known = _Known(file)
        facts = {
            "file": path.name,
            "version": file.version,
            "uuid": known("/uuid"),
            "time": known("/time"),
            "kind": _kind(file),
            "study": known("/study/name"),
            "experiment": known("/experiment/name"),
            "subject": known("/experiment/subject"),
            "is_simulation": known("/experiment/isSimulation"),
            "scanner": {
                name: known(f"/scanner/{name}")
                for name in ("name", "manufacturer", "facility", "operator", "topology")
            },
            "tracer": _tracer(known),
            "sequence": _sequence(known),
            "sampling": _sampling(file, known),
            "frames": _frames(file),
            "data": _data(file),
            "corrections": _corrections(known),
            "grid": _grid(file),
            "snr": _snr(file, known),
            "reconstruction": _images(known),
            "repairs": [vars(repair) for repair in file.repairs],
            "user_nodes": file.user_nodes(),
            "history": read_history(_text(file, HISTORY)),
        }
    return {name: _for_json(value) for name, value in facts.items()}


class _Known:
    """Values of a file, None for one that is missing or damaged: the rest is worth showing all the same."""

    def __init__(self, file: mdf.File) -> None:
        self._file = file

    def __call__(self, path: str) -> Any:
        import mdf

        try:
            return self._file.value(path)
        except mdf.MdfError:
            return None


def _for_json(value: Any) -> Any:
    """Return plain lists and numbers; JSON has no NaN and no infinity."""
    import math

    if isinstance(value, Mapping):
        return {name: _for_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_for_json(each) for each in value]
    if hasattr(value, "tolist"):
        return _for_json(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _kind(file: mdf.File) -> str:
    kinds = {
        "calibration": file.calibration is not None,
        "measurement": file.calibration is None and file.measurement is not None,
        "reconstruction": file.reconstruction is not None,
    }
    return " and ".join(kind for kind, there in kinds.items() if there) or "no data"


def _text(file: mdf.File, path: str) -> str | None:
    value = file.user_value(path)
    return value if isinstance(value, str) else None


def _tracer(known: _Known) -> list[dict[str, Any]]:
    names = ("name", "vendor", "batch", "solute", "concentration", "volume")
    columns = {name: known(f"/tracer/{name}") for name in names}
    count = max((len(column) for column in columns.values() if column is not None), default=0)
    return [
        {name: None if column is None else column[index] for name, column in columns.items()}
        for index in range(count)
        if all(column is None or len(column) == count for column in columns.values())
    ]


def _sequence(known: _Known) -> dict[str, Any]:
    """Drive field (components of amplitude 0 are left out) and selection field."""
    base, divider = known("/acquisition/drivefield/baseFrequency"), known("/acquisition/drivefield/divider")
    strength, waveform = known("/acquisition/drivefield/strength"), known("/acquisition/drivefield/waveform")
    components = []
    if base is not None and divider is not None and strength is not None and divider.all():
        for channel, component in zip(*strength.any(axis=0).nonzero(), strict=True):
            place = channel, component
            components.append(
                {
                    "channel": channel,
                    "frequency": base / divider[place],
                    "amplitude": strength[:, *place].max(),
                    "waveform": None if waveform is None else waveform[place],
                }
            )
    gradient, offset = known("/acquisition/gradient"), known("/acquisition/offsetField")
    return {
        "drive_field": components,
        "cycle": known("/acquisition/drivefield/cycle"),
        "gradient": None if gradient is None or not gradient.size else gradient[0, 0],
        "offset_fields": None if offset is None else len({tuple(row) for row in offset.reshape(-1, 3)}),
        "averages": known("/acquisition/numAverages"),
        "start": known("/acquisition/startTime"),
    }


def _sampling(file: mdf.File, known: _Known) -> dict[str, Any]:
    bandwidth = known("/acquisition/receiver/bandwidth")
    lines = _or_none(lambda: file.stored_lines)
    stored = None if lines is None else lines.nonzero()[0]
    rate = None if bandwidth is None else 2 * bandwidth
    return {
        "rate": rate,
        "samples": known("/acquisition/receiver/numSamplingPoints"),
        "unit": known("/acquisition/receiver/unit"),
        "stored_components": None if stored is None else len(stored),
        "components": None if lines is None else len(lines),
        "has_transfer_function": known("/acquisition/receiver/transferFunction") is not None,
    }


def _or_none(read: Any) -> Any:
    import mdf

    try:
        return read()
    except mdf.MdfError:
        return None


def _frames(file: mdf.File) -> dict[str, Any]:
    background = None if file.measurement is None else _or_none(lambda: file.is_background)
    empty = None if background is None else int(background.sum())
    total = _or_none(lambda: file.num_frames)
    return {"total": total, "foreground": None if empty is None else total - empty, "background": empty}


def _data(file: mdf.File) -> dict[str, Any] | None:
    """Shape of `/measurement/data` as it is stored, with the letters of the standard."""
    if file.measurement is None:
        return None
    dataset = _or_none(lambda: file.measurement.data)
    if dataset is None:
        return None
    is_fourier = _or_none(lambda: file.measurement.is_fourier_transformed)
    return {
        "shape": dataset.shape,
        "axes": _or_none(lambda: file.data_axes),
        "type": str(dataset.dtype),
        "domain": "frequency" if is_fourier else "time",
    }


def _corrections(known: _Known) -> dict[str, Any]:
    return {
        "background": known("/measurement/isBackgroundCorrected"),
        "transfer_function": known("/measurement/isTransferFunctionCorrected"),
        "leakage": known("/measurement/isSpectralLeakageCorrected"),
    }


def _grid(file: mdf.File) -> dict[str, Any] | None:
    grid = _or_none(lambda: file.grid)
    if grid is None:
        return None
    return {
        "size": grid.size,
        "field_of_view": grid.field_of_view,
        "center": grid.center,
        "spacing": grid.spacing,
        "order": grid.order,
    }


def _snr(file: mdf.File, known: _Known) -> list[dict[str, Any]] | None:
    """Summary for each receive channel; only a calibration has an SNR."""
    import numpy as np

    snr = known("/calibration/snr") if file.is_calibration else None
    if snr is None:
        return None
    channels = np.moveaxis(snr, 1, 0).reshape(snr.shape[1], -1)
    return [
        {
            "channel": index,
            "maximum": np.max(values, where=np.isfinite(values), initial=0),
            "threshold": USEFUL_SNR,
            "above_threshold": int(np.sum(values > USEFUL_SNR)),
            "components": values.size,
        }
        for index, values in enumerate(channels)
    ]


def _images(known: _Known) -> dict[str, Any] | None:
    images = known("/reconstruction/data")
    return (
        None
        if images is None
        else {"shape": images.shape, "axes": ["Q", "P", "S"], "type": str(images.dtype)}
    )


def in_words(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return label and text of each line that `mpikit info` prints, in units that people use."""
    scanner = facts["scanner"]
    simulated = " (simulated)" if facts["is_simulation"] else ""
    lines = [
        ("file", facts["file"]),
        ("kind", f"{facts['kind']}{simulated}, MDF {facts['version']}, {facts['time'] or '?'}"),
        ("study", f"{facts['study'] or '?'} / {facts['experiment'] or '?'}: {facts['subject'] or '?'}"),
        ("scanner", ", ".join(filter(None, [scanner["name"], scanner["topology"], scanner["facility"]]))),
        *[("tracer", _tracer_in_words(tracer)) for tracer in facts["tracer"]],
        *_sequence_in_words(facts["sequence"]),
        *_signal_in_words(facts),
        *_images_in_words(facts),
    ]
    lines += [("repaired", f"{each['path']}: {each['text']} ({each['rule']})") for each in facts["repairs"]]
    if facts["user_nodes"]:
        lines.append(("also holds", ", ".join(facts["user_nodes"])))
    for record in facts["history"]:
        lines.append(("history", f"{record.get('at')}: mpikit {record.get('command')}"))
    return lines


def quantity(value: float | None, unit: str) -> str:
    """Return a value with a prefix that leaves 1 to 999 before the point.

    >>> quantity(24509.8, "Hz")
    '24.51 kHz'
    """
    if value is None:
        return f"? {unit}"
    for factor, prefix in MAGNIFICATIONS:
        if abs(value) >= 0.9999 * factor:
            return f"{value / factor:.4g} {prefix}{unit}"
    return f"{value:.4g} {unit}"


def _tracer_in_words(tracer: Mapping[str, Any]) -> str:
    concentration = quantity(tracer["concentration"], f"mol({tracer['solute']})/L")
    amount = f"{concentration}, {quantity(tracer['volume'], 'L')}"
    return f"{tracer['name']} ({tracer['vendor']}, batch {tracer['batch']}): {amount}"


def _sequence_in_words(sequence: Mapping[str, Any]) -> list[tuple[str, str]]:
    parts = [
        f"{quantity(each['frequency'], 'Hz')} {quantity(each['amplitude'], 'T')} (channel {each['channel']})"
        for each in sequence["drive_field"]
    ]
    lines = [("drive field", f"{', '.join(parts) or 'none'}; cycle {quantity(sequence['cycle'], 's')}")]
    gradient = sequence["gradient"]
    if gradient is not None:
        diagonal = ", ".join(_number(gradient[axis][axis]) for axis in range(3))
        fields = sequence["offset_fields"] or 1
        lines.append(("gradient", f"({diagonal}) T/m" + (f"; {fields} patches" if fields > 1 else "")))
    return lines


def _signal_in_words(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    data, frames, sampling = facts["data"], facts["frames"], facts["sampling"]
    if data is None:
        return []
    axes = data["axes"] or "?" * len(data["shape"])
    shape = ", ".join(f"{axis} {size}" for axis, size in zip(axes, data["shape"], strict=True))
    stored = sampling["stored_components"]
    part = f", {stored} of {sampling['components']} components" if stored != sampling["components"] else ""
    done = [name.replace("_", " ") for name, on in facts["corrections"].items() if on]
    averages = facts["sequence"]["averages"] or 1
    averaged = f"; {averages} averages" if averages > 1 else ""
    count = f"{frames['foreground']} foreground, {frames['background']} background"
    return [
        ("frames", f"{count}{averaged}"),
        ("data", f"({shape}) {data['type']}, {data['domain']} domain{part}"),
        (
            "sampling",
            f"{quantity(sampling['rate'], 'Hz')}, {sampling['samples']} samples, unit {sampling['unit']}",
        ),
        ("corrected", ", ".join(done) or "nothing"),
    ]


def _images_in_words(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    lines = []
    if facts["reconstruction"] is not None:
        images, voxels, contrasts = facts["reconstruction"]["shape"]
        lines.append(("images", f"(Q {images}, P {voxels}, S {contrasts}) {facts['reconstruction']['type']}"))
    if facts["grid"] is not None:
        size = " x ".join(map(str, facts["grid"]["size"]))
        extent = " x ".join(_millimetres(facts["grid"]["field_of_view"]))
        center = ", ".join(_millimetres(facts["grid"]["center"]))
        lines.append(("grid", f"{size} voxels over {extent} mm, centre ({center}) mm"))
    for each in facts["snr"] or []:
        found = f"above {each['threshold']} in {each['above_threshold']} of {each['components']} components"
        lines.append((f"SNR channel {each['channel']}", f"up to {each['maximum']:.4g}; {found}"))
    return lines


def _millimetres(vector: list[float | None]) -> list[str]:
    return [_number(None if value is None else 1e3 * value) for value in vector]


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.4g}"
