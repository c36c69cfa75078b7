"""Records check what a plugin gives when it gives it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from mpikit import Denoiser, NoiseModel, NoOptions, Options, Run, StatelessMethod
from mpikit.testing import example_scan


def nothing(options):
    return StatelessMethod()


@pytest.mark.parametrize(
    "name", ["Box", "box_mean", "", "-box", "box-", "2-box", "bóx", "box mean", "box--mean"]
)
@pytest.mark.parametrize("kind", [Denoiser, NoiseModel])
def test_a_name_is_lower_case_words_joined_by_hyphens(kind, name):
    with pytest.raises(ValueError, match="lower-case words"):
        kind(name=name, summary="Something", build=nothing)


@pytest.mark.parametrize("name", ["box", "unet-gd", "n2n", "a-1-b"])
def test_good_names(name):
    assert Denoiser(name=name, summary="Something", build=nothing).name == name


@pytest.mark.parametrize("summary", ["", "two\nlines"])
def test_a_summary_is_one_line(summary):
    with pytest.raises(ValueError, match="summary"):
        NoiseModel(name="box", summary=summary, build=nothing)


@pytest.mark.parametrize("options", [dict, NoOptions()])
def test_options_are_a_model_class(options):
    with pytest.raises(TypeError, match="pydantic"):
        Denoiser(name="box", summary="Something", build=nothing, options=options)


def test_records_are_frozen():
    record = Denoiser(name="box", summary="Something", build=nothing)
    with pytest.raises(FrozenInstanceError):
        record.name = "other"


def test_options_are_frozen_and_forbid_unknown_names():
    assert Options.model_config["frozen"]
    assert Options.model_config["extra"] == "forbid"


def test_the_background_answer_may_depend_on_the_scan():
    scan = example_scan()
    always = Denoiser(name="box", summary="Something", build=nothing, removes_background=True)
    some = Denoiser(
        name="box",
        summary="Something",
        build=nothing,
        removes_background=lambda scan, _: len(scan.background) > 0,
    )
    assert always.frees_from_background(scan, NoOptions())
    assert some.frees_from_background(scan, NoOptions())
    assert not some.frees_from_background(example_scan(background_frames=0), NoOptions())


def test_a_stateless_method_has_no_state_and_no_denoise():
    method = StatelessMethod()
    run = Run(rng=np.random.default_rng(0))
    method.fit([example_scan()], run=run)
    assert method.state() == {}
    method.restore({})
    with pytest.raises(NotImplementedError):
        method.denoise(example_scan(), run=run)
