"""The window of napari with our layers."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from mpikit.errors import PluginError
from mpikit.extras import install_hint
from mpikit.viewer.layer import Layer

OLDEST = (0, 9)  # version of napari whose names of camera and overlays are used
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


def check_window(environment: Mapping[str, str] = os.environ) -> None:
    """Refuse before any work is done when no window can be opened.

    Parameters
    ----------
    environment : mapping of str
        Variables of the environment.

    Raises
    ------
    PluginError
        Without napari, or without a display.
    """
    if find_spec("napari") is None:
        raise PluginError(
            "the viewer needs napari, which is not installed",
            hint=f"{install_hint('napari')}; mpikit plot FILE draws a figure without it",
        )
    if sys.platform.startswith("linux") and not any(environment.get(name) for name in DISPLAYS):
        raise PluginError(
            "there is no display to open a window on (DISPLAY and WAYLAND_DISPLAY are not set)",
            hint="mpikit plot FILE draws a figure without one, mpikit view --dry-run lists the layers",
        )


def open_window(layers: Sequence[Layer]) -> None:
    """Show layers in napari; return when the window is closed.

    Parameters
    ----------
    layers : sequence of Layer

    Raises
    ------
    PluginError
        When napari cannot open a window, or is too old.
    """
    napari = _napari()
    fill(napari.Viewer(title="mpikit view"), layers)
    napari.run()


def _napari() -> Any:
    try:
        import napari
        import qtpy.QtWidgets  # noqa: F401 - napari without Qt would open nothing and say nothing
    except Exception as error:  # whatever a part of a graphical stack raises
        raise PluginError(
            f"napari does not start: {error}",
            hint=f"{install_hint('napari')} brings napari with Qt",
        ) from error
    if tuple(int(part) for part in re.findall(r"\d+", napari.__version__)[:2]) < OLDEST:
        raise PluginError(
            f"napari {napari.__version__} is too old for mpikit view, expected 0.9 or newer",
            hint=f"{install_hint('napari', upgrade=True)}; opened in napari itself, files are shown by any "
            "version",
        )
    return napari


def fill(viewer: Any, layers: Sequence[Layer]) -> None:
    """Put layers into a viewer; on voxels y points up, and the row that is shown is named.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    layers : sequence of Layer
    """
    for layer in layers:
        data, options, _ = layer.as_napari()
        viewer.add_image(data, **options)
    if all(layer.in_mm for layer in layers):
        viewer.scene.camera.orientation2d = ("up", "right")
        viewer.canvas.overlays.scale_bar.visible = True
    _caption(viewer, layers)
    viewer.reset_view()


def _caption(viewer: Any, layers: Sequence[Layer]) -> None:
    """Write into the picture which row it is of, or which frame and time or frequency the mouse is on."""
    words = viewer.canvas.overlays.text
    rows = next((layer for layer in layers if layer.kind == "rows"), None)

    def write(_: object = None) -> None:
        title = point_title(layers, viewer.cursor.position)
        places = [round(float(place)) for place in viewer.dims.point[:-3]]
        if not title and rows is not None and len(places) > 1:  # fewer once the layer was thrown away
            title = row_title(rows.about, *places[-2:])
        words.text = title

    viewer.dims.events.point.connect(write)
    viewer.cursor.events.position.connect(write)
    words.position = "top_left"
    words.visible = True
    write()


def row_title(about: Mapping[str, Any], channel: int, row: int) -> str:
    """Return what one row of a system matrix is, in words.

    Parameters
    ----------
    about : mapping
        Of its layer.
    channel, row : int
        Its place in the layer.
    """
    titles = about["rows"]
    if not 0 <= row < len(titles):
        return ""
    snr = about.get("snr")
    known = f", SNR {snr[channel][row]:.3g}" if snr is not None and 0 <= channel < len(snr) else ""
    return f"channel {channel}, {titles[row]}{known}"


def point_title(layers: Sequence[Layer], position: Sequence[float]) -> str:
    """Return what a point of a picture of signals or spectra is, in words; nothing beside them.

    Parameters
    ----------
    layers : sequence of Layer
    position : sequence of float
        Place in the window, along all axes.
    """
    for layer in layers:
        if layer.kind not in ("signal", "spectrum") or len(position) < 3:
            continue
        offsets = zip(position[-3:], layer.translate, layer.scale, strict=True)
        place = [round((at - first) / step) for at, first, step in offsets]
        if not all(0 <= at < size for at, size in zip(place, layer.data.shape, strict=True)):
            continue
        at = dict(zip(layer.axes, place, strict=True))
        frame = at["frame"] * layer.about["frame_step"]
        is_signal = layer.kind == "signal"
        value = place[-1] * layer.about["step_ms" if is_signal else "step_kHz"]
        words = f"{value:.4f} ms" if is_signal else f"{value:.2f} kHz"
        return f"channel {layer.about['channel']}, period {at['period']}, frame {frame}, {words}"
    return ""
