"""Options that would do nothing are refused; a history may hold them."""

from __future__ import annotations

import pytest

from mpikit.errors import UsageError
from mpikit.reconstruct import reconstruct_file
from mpikit.reconstruct.files import rerun_file
from mpikit.reconstruct.idle import NEEDS, idle_options
from mpikit.reconstruct.options import METHODS, make_options, without_idle

SPHERE = {"saturation_field": 1e-3}


@pytest.mark.parametrize(
    ("method", "option", "mode"),
    [
        ("kaczmarz", {"seed": 3}, {"row_order": "random"}),
        ("kaczmarz", {"seed": 0}, {"uncertainty": "auto"}),
        ("cgls", {"seed": 3}, {"uncertainty": "bootstrap"}),
        ("kaczmarz", {"dictionary_size": 3}, {"background": "dictionary"}),
        ("kaczmarz", {"dictionary_lambda": 0.1}, {"background": "dictionary"}),
        ("fista", {"wavelet": "db2"}, {"prior": "wavelet", "mu": 0.1}),
        ("admm", {"isotropic": False}, {"prior": "tv", "mu": 0.1}),
        ("x-space", {"boundary": "zero"}, {"lost": "line"}),
        ("x-space", {"noise_to_signal": 0.1}, {"deconvolution": "wiener", **SPHERE}),
        ("x-space", {"deconvolution_iterations": 9}, {"deconvolution": "richardson-lucy", **SPHERE}),
    ],
)
def test_an_option_needs_its_mode(method, option, mode):
    name = next(iter(option)).replace("_", "-")
    with pytest.raises(UsageError, match=f"{name} does nothing without"):
        make_options(method, option)
    assert make_options(method, {**option, **mode}).model_dump().items() >= option.items()


@pytest.mark.parametrize(
    ("option", "mode"),
    [
        ({"wavelet": "db2"}, {"prior": "tv", "mu": 0.1}),
        ({"isotropic": True}, {"prior": "l1", "mu": 0.1}),
    ],
)
def test_another_mode_is_not_enough(option, mode):
    with pytest.raises(UsageError, match="does nothing without prior="):
        make_options("fista", {**option, **mode})


def test_the_order_of_rows_is_of_kaczmarz_alone():
    assert make_options("kaczmarz", {"row_order": "snr"}).row_order == "snr"
    assert make_options("fista", {"row_order": "frequency"}).row_order == "frequency"
    with pytest.raises(UsageError, match="kaczmarz alone"):
        make_options("fista", {"row_order": "snr"})


@pytest.mark.parametrize("method", METHODS)
def test_all_defaults_of_a_history_are_taken_back(method):
    """A history tells every option. What did nothing is left out, and all others stay."""
    options = make_options(method, {})
    told = options.model_dump()
    taken = without_idle(method, {**told, "average_frames": True})
    assert make_options(method, {k: v for k, v in taken.items() if k != "average_frames"}) == options
    assert taken["average_frames"] is True
    assert set(told) - set(taken) == set(idle_options(options)) == {name for name in NEEDS if name in told}


def test_what_did_something_is_kept():
    told = make_options("kaczmarz", {"row_order": "random", "seed": 4}).model_dump()
    assert without_idle("kaczmarz", told)["seed"] == 4
    assert "dictionary_size" not in without_idle("kaczmarz", told)


def test_a_repeat_needs_no_mode(pair):
    """Fista has a seed, a wavelet and an isotropy that did nothing."""
    options = {"method": "fista", "min_frequency": 0.0, "snr_threshold": 0.0, "average_frames": True}
    first = reconstruct_file(pair.measurement(), system_matrix=pair.calibration(), **options)
    assert rerun_file(first.output).repeated is True


@pytest.mark.parametrize("size", [(30.0, 30.0), (0.03, 0.0), (-0.03,)])
def test_a_field_of_view_in_mm_is_refused_with_an_example(size):
    with pytest.raises(UsageError, match=r"'fov' is .* lengths in m, above 0 and at most 1") as caught:
        make_options("x-space", {"field_of_view": size})
    assert "for instance 0.03,0.03" in caught.value.hint
