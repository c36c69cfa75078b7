"""The same signal in every layout: converting there and back changes nothing."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mdf
from mdf import spec


@pytest.fixture(scope="module")
def base(by_hand, tmp_path_factory):
    """Contents for property tests, which take no fixture of one test."""
    with mdf.open(by_hand(tmp_path_factory.mktemp("base") / "a.mdf", {})) as file:
        known = {
            path: value for path, value in file.contents().items() if path not in set(spec.COUNTS.values())
        }
    drop = ("/acquisition/gradient", "/acquisition/offsetField")
    return {path: value for path, value in known.items() if path not in drop}


@st.composite
def files(draw):
    """Sizes, flags and a seed; J, C, N, V may be 1, V odd or even."""
    is_fourier = draw(st.booleans())
    frames, background = draw(st.integers(1, 6)), draw(st.integers(0, 3))
    samples = draw(st.integers(1, 9))
    total = samples // 2 + 1
    some = draw(st.lists(st.integers(1, total), min_size=1, unique=True)) if draw(st.booleans()) else None
    return {
        "shape": (frames + background, draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        "samples": samples,
        "is_fourier": is_fourier,
        "selection": sorted(some) if some and is_fourier and len(some) < total else None,
        "frames_last": draw(st.booleans()),
        "permutation": draw(st.permutations(range(1, frames + background + 1)))
        if draw(st.booleans())
        else None,
        "background": background,
        "type": draw(st.sampled_from(["f4", "f8"])),
        "seed": draw(st.integers(0, 99)),
    }


def write_file(path, base, made):
    rng = np.random.default_rng(made["seed"])
    frames, periods, channels = made["shape"]
    lines = made["selection"] or list(range(1, made["samples"] // 2 + 2))
    values = len(lines) if made["is_fourier"] else made["samples"]
    data = rng.normal(size=(frames, periods, channels, values))
    if made["is_fourier"]:
        data = data + 1j * rng.normal(size=data.shape)
        # the imaginary part at DC and at the Nyquist frequency is no part of a real signal
        real = [index for index, line in enumerate(lines) if line == 1 or 2 * (line - 1) == made["samples"]]
        data[..., real] = data[..., real].real
    kind = {"f4": "c8", "f8": "c16"}[made["type"]] if made["is_fourier"] else made["type"]
    periodic = {
        f"/acquisition/drivefield/{name}": np.full((periods, 2, 1), 0.01) for name in ("strength", "phase")
    }
    contents = base | periodic | {
        spec.SAMPLES: made["samples"],
        spec.BACKGROUND: rng.permutation([1] * made["background"] + [0] * (frames - made["background"])),
        spec.FOURIER: made["is_fourier"],
        spec.FAST_FRAME_AXIS: made["frames_last"],
        spec.SELECTED: made["selection"] is not None,
        spec.SELECTION: made["selection"],
        spec.PERMUTED: made["permutation"] is not None,
        spec.PERMUTATION: made["permutation"],
    }  # fmt: skip
    mdf.write(path, contents, data.astype(kind))


layouts = st.fixed_dictionaries(
    {
        "domain": st.sampled_from([None, "time", "frequency"]),
        "order": st.sampled_from([None, "acquisition"]),
        "fast_frame_axis": st.sampled_from([None, True, False]),
        "compression": st.sampled_from([None, None, 3, "lzf"]),
    }
)


def convert(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mdf.CompressionWarning)
        return mdf.convert(*arguments, overwrite=True, **options)


@given(made=files(), chain=st.lists(layouts, min_size=1, max_size=3), memory=st.sampled_from([1, 2**26]))
@settings(max_examples=25, deadline=None)
def test_any_chain_of_layouts_keeps_the_signal(base, made, chain, memory):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("mdf.conversion.blocks.MEMORY", memory)
        paths = [Path(folder) / f"{index}.mdf" for index in range(len(chain) + 1)]
        write_file(paths[0], base, made)
        tolerance = 1e-5 if made["type"] == "f4" else 1e-13
        with mdf.open(paths[0]) as file:
            timed, empty = file.read_signal(domain="time"), file.is_background
            lines = file.stored_lines
        for source, target, options in zip(paths, paths[1:], chain, strict=False):
            done = convert(source, target, **options)
            with mdf.open(target) as file:
                assert file.measurement.is_fourier_transformed == (done.domain == "frequency")
                assert options["domain"] in {None, done.domain}
                assert options["fast_frame_axis"] in {None, file.measurement.is_fast_frame_axis}
                np.testing.assert_array_equal(file.is_background, empty)
                np.testing.assert_allclose(file.read_signal(domain="time"), timed, atol=20 * tolerance)
                if options["order"] == "acquisition":
                    assert not file.measurement.is_frame_permutation
                    np.testing.assert_array_equal(file.frame_index("all", "stored"), np.arange(len(timed)))
                if done.domain == "frequency" and all(each["domain"] != "time" for each in chain):
                    np.testing.assert_array_equal(file.stored_lines, lines)
            errors = [found for found in mdf.validate(target) if found.severity == "error"]
            assert errors == []


@given(made=files(), there=layouts)
@settings(max_examples=15, deadline=None)
def test_there_and_back_is_the_same_file(base, made, there):
    """Everything is as it was, if the domain stays; the order of acquisition is one that cannot be undone."""
    with tempfile.TemporaryDirectory() as folder:
        first, second, third = (Path(folder) / f"{name}.mdf" for name in "abc")
        write_file(first, base, made)
        convert(first, second, **there | {"domain": None, "order": None})
        convert(second, third, fast_frame_axis=made["frames_last"])
        with mdf.open(first) as before, mdf.open(third) as after:
            old, new = before.contents(), after.contents()
            is_trivial = made["permutation"] == sorted(made["permutation"] or [])
            for path in (spec.PERMUTED, spec.PERMUTATION) if is_trivial else ():
                old.pop(path, None)
                new.pop(path, None)
            assert set(old) == set(new)
            for path, value in old.items():
                np.testing.assert_array_equal(new[path], value, err_msg=path)
            np.testing.assert_array_equal(
                after.read_signal(order="stored"), before.read_signal(order="stored")
            )
