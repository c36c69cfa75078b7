"""What a notebook shows of a scan, of images and of a comparison: small tables, without scripts."""

from __future__ import annotations

import tempfile
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mdf.shown import as_html

if TYPE_CHECKING:
    from mpikit.compare.result import Comparison, Row
    from mpikit.reconstruct.image import Images
    from mpikit.scan import Scan


def scan_as_html(scan: Scan, more: Sequence[tuple[str, str]] = ()) -> str:
    """Return what a scan is, as a table.

    Parameters
    ----------
    scan : Scan
    more : sequence of (str, str)
        Rows at the end.
    """
    frames, periods, channels, samples = scan.signal.shape
    drive = scan.drive_field
    frequencies = ", ".join(f"{1e-3 * value:.5g}" for value in drive.frequencies[drive.active])
    applied = [name.replace("_", " ") for name, value in vars(scan.corrections).items() if value is True]
    rows = [
        ("frames (N)", str(frames)),
        ("background frames (E)", str(len(scan.background))),
        ("periods (J)", str(periods)),
        ("receive channels (C)", str(channels)),
        ("samples (V)", f"{samples}, {1e3 * samples / scan.sampling_rate:.4g} ms"),
        ("sampling rate", f"{1e-6 * scan.sampling_rate:.6g} MHz"),
        ("unit", scan.unit),
        ("drive field", f"{frequencies} kHz" if frequencies else "none"),
        ("repeats", scan.repeats),
        ("corrected", ", ".join(applied) or "nothing"),
    ]
    return as_html(f"{type(scan).__name__} {scan.name}", [*rows, *more])


def images_as_html(images: Images) -> str:
    """Return what images are, as a table with a picture of the first one.

    Parameters
    ----------
    images : Images
    """
    values, unit = images.shown
    finite = values[np.isfinite(values)]
    rows = [
        ("images", str(len(values))),
        ("voxels (x, y, z)", " x ".join(map(str, images.grid.size))),
        ("voxel size", " x ".join(f"{1e3 * step:.3g}" for step in images.grid.spacing) + " mm"),
        ("unit", unit),
    ]
    if images.tracers:
        rows.append(("tracers", ", ".join(images.tracers)))
    if finite.size:
        rows.append(("range", f"{finite.min():.4g} to {finite.max():.4g}"))
    table = as_html(type(images).__name__, rows)
    if not len(values) or not np.isfinite(values[0]).all():
        return table
    words = escape("the image" if len(values) == 1 else f"image 1 of {len(values)}")
    return f'{table}<img alt="{words}" src="data:image/png;base64,{_picture(images)}">'


def _picture(images: Images) -> str:
    """Return a PNG file of the first image, base64."""
    from mpikit.figures import save_images

    values, unit = images.shown
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.png"
        frames = images.frames[:1].tolist()
        save_images(path, values[:1], images.grid, unit=unit, frames=frames, tracers=images.tracers)
        return b64encode(path.read_bytes()).decode()


def comparison_as_html(comparison: Comparison) -> str:
    """Return the rows of a comparison, best first, as a table of SNR and gain.

    Parameters
    ----------
    comparison : Comparison
    """
    return as_html(f"Comparison on {comparison.name}", _compared(comparison))


def comparison_as_text(comparison: Comparison) -> str:
    """Return the same as lines of text, without any table of HTML.

    Parameters
    ----------
    comparison : Comparison
    """
    rows = _compared(comparison)
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:{width}}  {figures}" for name, figures in rows]
    return "\n".join([f"Comparison on {comparison.name}", *lines])


def _compared(comparison: Comparison) -> list[tuple[str, str]]:
    rows = [(row.method, _figures(row)) for row in (comparison.noisy, *comparison.rows)]
    return rows + [(each.method, f"lacks {each.lacks}") for each in comparison.skipped]


def _figures(row: Row) -> str:
    from mpikit.scoring import snr_words

    if row.error:
        return f"failed: {row.error}"
    words = [f"SNR {snr_words(row.score)}" if row.score else "no reference-free score"]
    if row.gain:
        doubt = "" if row.gain.error_db is None else f" ± {row.gain.error_db:.1f}"
        words.append(f"gain {'> ' if row.gain.is_bound else ''}{row.gain.db:.1f}{doubt} dB")
    if row.true:
        words.append(f"true SNR {row.true.snr.mean:.1f} dB, true gain {row.true.gain.mean:.1f} dB")
    return ", ".join(words)
