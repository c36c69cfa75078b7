"""What we do to a window of napari: here a stand-in, which has the names that we use."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from mpikit.errors import PluginError
from mpikit.extras import install_hint
from mpikit.viewer import layers_of_file, window


class Event:
    def __init__(self):
        self.listeners = []

    def connect(self, listener):
        self.listeners.append(listener)

    def __call__(self):
        for listener in self.listeners:
            listener(None)


class Viewer:
    def __init__(self, title=""):
        self.title, self.images, self.resets = title, [], 0
        self.scene = SimpleNamespace(camera=SimpleNamespace(orientation2d=("down", "right")))
        overlays = SimpleNamespace(scale_bar=SimpleNamespace(visible=False), text=SimpleNamespace(text=None))
        self.canvas = SimpleNamespace(overlays=overlays)
        self.dims = SimpleNamespace(point=(0.0,) * 5, events=SimpleNamespace(point=Event()))
        self.cursor = SimpleNamespace(position=(0.0,) * 5, events=SimpleNamespace(position=Event()))

    @property
    def words(self):
        return self.canvas.overlays.text.text

    def add_image(self, data, **options):
        self.images.append((data.shape, options["name"]))

    def reset_view(self):
        self.resets += 1

    def slide(self, *point):
        self.dims.point = point
        self.dims.events.point()

    def point_at(self, *position):
        self.cursor.position = position
        self.cursor.events.position()


def test_images_have_y_up_and_a_scale_bar(image):
    viewer = Viewer()
    window.fill(viewer, layers_of_file(image))
    assert viewer.images == [((2, 3, 4, 5), "image")]
    assert viewer.scene.camera.orientation2d == ("up", "right")
    assert viewer.canvas.overlays.scale_bar.visible
    assert (viewer.words, viewer.resets) == ("", 1)


def test_the_row_that_is_shown_is_named(matrix):
    viewer = Viewer()
    layers = layers_of_file(matrix)
    window.fill(viewer, layers)
    titles, snr = layers[0].about["rows"], layers[0].about["snr"]
    assert viewer.words == f"channel 0, {titles[0]}, SNR {snr[0][0]:.3g}"
    viewer.slide(1.0, 2.0, -3.0, 0.5, 0.5)
    assert viewer.words == f"channel 1, {titles[2]}, SNR 2"
    viewer.slide(1.0, 99.0, -3.0, 0.5, 0.5)
    assert viewer.words == ""
    viewer.slide(0.0, 0.0)  # what is left once all layers are thrown away
    assert viewer.words == ""


def test_what_the_mouse_is_on_is_said(scan):
    viewer = Viewer()
    layers = layers_of_file(scan)
    window.fill(viewer, layers)
    assert viewer.scene.camera.orientation2d == ("down", "right")
    assert not viewer.canvas.overlays.scale_bar.visible
    signal, spectrum = layers[2:]
    for layer, words in ((signal, "0.0050 ms"), (spectrum, "333.33 kHz")):
        _, down, right = layer.scale
        viewer.point_at(2.0, layer.translate[1] + 4 * down, layer.translate[2] + 10 * right)
        assert viewer.words == f"channel 1, period 2, frame 4, {words}"
    viewer.point_at(2.0, -1.0, 0.0)
    assert viewer.words == ""


def test_a_window_is_opened_and_waited_for(image, monkeypatch):
    calls = []
    napari = ModuleType("napari")
    napari.__version__ = "0.9.2"
    napari.Viewer = lambda title: calls.append(title) or Viewer(title)
    napari.run = lambda: calls.append("run")
    qt = ModuleType("qtpy")
    qt.QtWidgets = ModuleType("qtpy.QtWidgets")
    for name, module in (("napari", napari), ("qtpy", qt), ("qtpy.QtWidgets", qt.QtWidgets)):
        monkeypatch.setitem(sys.modules, name, module)
    window.open_window(layers_of_file(image))
    assert calls == ["mpikit view", "run"]
    napari.__version__ = "0.6.6"
    with pytest.raises(PluginError, match="too old") as told:
        window.open_window(layers_of_file(image))
    assert "the extra napari of mpikit" in told.value.hint
    monkeypatch.setitem(sys.modules, "qtpy.QtWidgets", None)
    with pytest.raises(PluginError, match="napari does not start"):
        window.open_window(layers_of_file(image))


def test_what_is_missing_is_said_first(monkeypatch):
    monkeypatch.setattr(window, "find_spec", lambda _: None)
    with pytest.raises(PluginError, match="needs napari, which is not installed") as told:
        window.check_window({"DISPLAY": ":0"})
    assert install_hint("napari") in told.value.hint
    monkeypatch.setattr(window, "find_spec", lambda name: name)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(PluginError, match="no display") as told:
        window.check_window({"DISPLAY": ""})
    assert "mpikit plot FILE" in told.value.hint
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        window.check_window({name: "something"})
    monkeypatch.setattr(sys, "platform", "darwin")
    window.check_window({})
