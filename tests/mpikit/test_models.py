"""Fitted denoisers on disk."""

import json
import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import save

from mpikit.errors import InputError
from mpikit.models import (
    FORMAT,
    VERSION,
    Card,
    check_model_fits,
    load_model,
    noise_card,
    save_model,
    signal_card,
)
from mpikit.testing import example_scan

CARD = Card(
    method="unet-gd",
    distribution="mpikit",
    options={"features": 8, "rate": 1e-3, "name": "größer", "list": [1, 2], "none": None},
    history={"command": "denoise", "seed": 3},
    cite=("10.1000/a", "10.1000/b"),
)
shared_folder = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60
)
kinds = st.sampled_from(
    ["bool", "int8", "uint16", "int32", "int64", "float16", "float32", "float64", "complex64"]
)
values = kinds.flatmap(
    lambda kind: arrays(kind, array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)


@pytest.fixture
def model(tmp_path):
    """Path and bytes of a good model file."""
    path = tmp_path / "model.safetensors"
    save_model(path, CARD, {"weight": np.arange(6.0).reshape(2, 3), "keep": np.array([True, False])})
    return path, path.read_bytes()


def file_of(header, data=b""):
    """Bytes of a safetensors file with any header."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def metadata(**changes):
    good = {"format": FORMAT, "format_version": str(VERSION), "card": json.dumps(CARD.__dict__)}
    return {name: value for name, value in (good | changes).items() if value is not None}


@shared_folder
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=12).filter(lambda name: name != "__metadata__"), values, max_size=5
    )
)
def test_bit_for_bit(tmp_path, state):
    path = tmp_path / "model.safetensors"
    save_model(path, CARD, state, overwrite=True)
    if not all(np.isfinite(value).all() for value in state.values()):
        with pytest.raises(InputError, match=r"model\.safetensors holds values in .* that are no numbers"):
            load_model(path)
        return
    card, back = load_model(path)
    assert card == CARD
    assert back.keys() == state.keys()
    for name, value in state.items():
        assert back[name].dtype == value.dtype
        assert back[name].shape == value.shape
        assert back[name].tobytes() == value.tobytes()


@pytest.mark.parametrize(
    "value",
    [
        np.array(7),
        np.array(True),
        np.arange(12.0).reshape(3, 4).T,
        np.arange(20)[::-3],
        np.zeros((0, 3)),
        np.arange(4, dtype=">f8"),
    ],
    ids=["number", "flag", "transposed", "backwards", "empty", "big-endian"],
)
def test_arrays_of_every_layout(tmp_path, value):
    path = tmp_path / "model.safetensors"
    save_model(path, CARD, {"x": value})
    back = load_model(path)[1]["x"]
    assert back.shape == value.shape
    np.testing.assert_array_equal(back, value)


def test_nothing_learnt(tmp_path):
    save_model(tmp_path / "empty.safetensors", Card("box", "mine", {}), {})
    assert load_model(tmp_path / "empty.safetensors") == (Card("box", "mine", {}), {})


def test_an_existing_file_is_kept(model):
    path, content = model
    with pytest.raises(InputError, match="exists already"):
        save_model(path, CARD, {})
    assert path.read_bytes() == content
    save_model(path, CARD, {}, overwrite=True)
    assert load_model(path)[1] == {}


def refused(path, content):
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_model(path)
    assert path.name in str(caught.value)
    return str(caught.value)


@shared_folder
@given(st.binary(max_size=400))
def test_random_bytes(tmp_path, content):
    refused(tmp_path / "random.safetensors", content)


@shared_folder
@given(st.data())
def test_truncated(model, data):
    path, content = model
    refused(path, content[: data.draw(st.integers(0, len(content) - 1))])


@shared_folder
@given(st.data())
def test_a_damaged_byte_is_an_input_error_or_nothing(model, data):
    """Data have no check sum, so only a damaged header can be noticed."""
    path, content = model
    place = data.draw(st.integers(0, len(content) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    path.write_bytes(content[:place] + bytes([other]) + content[place + 1 :])
    try:
        card, state = load_model(path)
    except InputError:
        return
    assert isinstance(card, Card)
    assert all(isinstance(value, np.ndarray) for value in state.values())


def test_foreign_files(tmp_path):
    path = tmp_path / "foreign.safetensors"
    assert "no model file of mpikit" in refused(path, save({"a": np.zeros(3)}))
    assert "no model file of mpikit" in refused(path, save({"a": np.zeros(3)}, metadata={"format": "pt"}))
    assert "cannot be read" in refused(path, b"\x89HDF\r\n\x1a\n" + bytes(200))
    assert "cannot be read" in refused(path, b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8c\x01x\x94.")


@pytest.mark.parametrize("version", [str(VERSION + 1), "0", "one", None])
def test_other_versions(tmp_path, version):
    path = tmp_path / "newer.safetensors"
    message = refused(path, file_of({"__metadata__": metadata(format_version=version)}))
    assert "model format" in message


@pytest.mark.parametrize(
    "card",
    [
        None,
        "",
        "[1]",
        "null",
        "{",
        "{}",
        "[" * 100_000,
        "9" * 5000,
        json.dumps({"method": "a", "distribution": "b"}),
        json.dumps({"method": 1, "distribution": "b", "options": {}}),
        json.dumps({"method": "a", "distribution": None, "options": {}}),
        json.dumps({"method": "a", "distribution": "b", "options": 3}),
        json.dumps({"method": "a", "distribution": "b", "options": {}, "history": []}),
        json.dumps({"method": "a", "distribution": "b", "options": {}, "cite": 5}),
        json.dumps({"method": "a", "distribution": "b", "options": {}, "cite": [5]}),
        json.dumps({"method": "a", "distribution": "b", "options": {}, "more": 5}),
    ],
    ids=range(16),
)
def test_damaged_cards(tmp_path, card):
    message = refused(tmp_path / "card.safetensors", file_of({"__metadata__": metadata(card=card)}))
    assert "card" in message
    assert "damaged" in message


@pytest.mark.parametrize(("kind", "size"), [("BF16", 2), ("F8_E4M3", 1), ("F8_E5M2", 1), ("X9", 1)])
def test_numbers_that_numpy_does_not_have(tmp_path, kind, size):
    tensor = {"dtype": kind, "shape": [1], "data_offsets": [0, size]}
    content = file_of({"__metadata__": metadata(), "x": tensor}, bytes(size))
    assert "cannot be read" in refused(tmp_path / "odd.safetensors", content)


def test_a_good_header_made_by_hand_is_read(tmp_path):
    """The files that are refused above differ from this one in one thing each."""
    path = tmp_path / "good.safetensors"
    tensor = {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}
    path.write_bytes(file_of({"__metadata__": metadata(), "x": tensor}, b"\x05"))
    card, state = load_model(path)
    assert card == CARD
    np.testing.assert_array_equal(state["x"], [5])


def test_no_file(tmp_path):
    for path in (tmp_path / "absent.safetensors", tmp_path, Path("x" * 300)):
        with pytest.raises(InputError, match="cannot be read"):
            load_model(path)


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (1.0, None),
        (1.8, None),
        (0.6, None),
        (
            3.0,
            r"noise of example is [23](\.\d)? times .* m was fitted to, so that it may take noise for signal",
        ),
        (0.3, r"the noise of example is 0\.3\d? times .* may take signal for noise"),
    ],
)
def test_noise_of_another_level_is_warned_of(rng, factor, words):
    """Of the channel that differs most: here the second one."""
    scan = example_scan(frames=40, background_frames=0)
    flat = replace(scan, signal=rng.normal(size=scan.signal.shape).astype(np.float32))
    card = replace(CARD, signal=signal_card(flat), noise=noise_card([flat]))
    other = flat.signal.copy()
    other[:, :, 1] *= factor
    found = check_model_fits(card, Path("m"), replace(flat, signal=other))
    assert found is None if words is None else re.search(words, found)


@pytest.mark.parametrize(
    "noise",
    [
        {},
        {"sigma": "much"},
        {"sigma": ["much", 1]},
        {"sigma": [0.0, 0.0]},
        {"sigma": [np.inf, np.inf]},
        {"sigma": [np.nan, np.nan]},
        {"sigma": [True, True]},
        {"sigma": [-1.0, -1.0]},
    ],
)
def test_a_card_without_noise_says_nothing(noise):
    scan = example_scan(frames=12, background_frames=0)
    assert check_model_fits(replace(CARD, signal=signal_card(scan), noise=noise), Path("m"), scan) is None


def test_values_that_are_no_numbers_are_left_to_whoever_refuses_them():
    scan = example_scan(frames=12, background_frames=0)
    card = replace(CARD, signal=signal_card(scan), noise=noise_card([scan]))
    broken = replace(scan, signal=np.full_like(scan.signal, np.nan))
    assert check_model_fits(card, Path("m"), broken) is None
