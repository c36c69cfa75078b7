"""Options from text, to text, and in words."""

from __future__ import annotations

from enum import Enum
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, field_validator, model_validator

from mpikit import Denoiser, Options
from mpikit.errors import UsageError
from mpikit.options import (
    did_you_mean,
    expected,
    option_fields,
    options_as_text,
    parse_options,
    read_pairs,
)


class Window(Enum):
    HANN = "hann"
    FLAT = "flat"


class Kitchen(Options):
    iterations: int = Field(10, ge=1, description="Sweeps over all rows")
    lambda_: float = Field(0.01, ge=0, lt=10, alias="lambda", description="Weight")
    positive: bool = True
    order: Literal["given", "random"] = "given"
    kernel: Literal[3, 7] = 3
    level: float | None = None
    lines: tuple[int, ...] = (3, 5)
    window: Window = Window.HANN
    title: str = ""

    @field_validator("iterations")
    @classmethod
    def even(cls, value: int) -> int:
        if value == 13:
            raise ValueError("13 is unlucky")
        return value

    @model_validator(mode="after")
    def together(self) -> Kitchen:
        if self.order == "random" and self.kernel == 7:
            raise ValueError("random rows need kernel=3")
        return self


class Needs(Options):
    snr_db: float = Field(description="Signal-to-noise ratio in dB")


KITCHEN = Denoiser(name="kitchen", summary="Everything", options=Kitchen, build=dict)
NEEDS = Denoiser(name="needs", summary="Something", options=Needs, build=dict)
PLAIN = Denoiser(name="plain", summary="Nothing", build=dict)


@pytest.mark.parametrize(
    ("pair", "name", "value"),
    [
        ("iterations=3", "iterations", 3),
        (" iterations = 3 ", "iterations", 3),
        ("lambda=1e-3", "lambda_", 1e-3),
        ("positive=no", "positive", False),
        ("order=random", "order", "random"),
        ("kernel=7", "kernel", 7),
        ("level=none", "level", None),
        ("level=2", "level", 2.0),
        ("lines=7", "lines", (7,)),
        ("lines=7, 9,11", "lines", (7, 9, 11)),
        ("lines=", "lines", ()),
        ("window=flat", "window", Window.FLAT),
        ("title=a=b", "title", "a=b"),
        ("title=none", "title", "none"),
    ],
)
def test_a_value_from_text(pair, name, value):
    assert getattr(parse_options(KITCHEN, [pair]), name) == value


@pytest.mark.parametrize(
    ("pairs", "message", "hint"),
    [
        (["iteration=3"], "kitchen has no option 'iteration'", "did you mean 'iterations'?"),
        (
            ["iterations"],
            "kitchen: 'iterations' has no value, expected name=value",
            "a whole number, at least 1",
        ),
        (["iterations=0"], "option 'iterations' is '0', expected a whole number, at least 1", "Sweeps"),
        (["iterations=x"], "option 'iterations' is 'x', expected a whole number, at least 1", "Sweeps"),
        (["iterations=13"], "13 is unlucky", ""),
        (["lambda=10"], "option 'lambda' is '10', expected a number, at least 0, below 10", "Weight"),
        (["lambda_=1"], "kitchen has no option 'lambda_'", "did you mean 'lambda'?"),
        (["order=backward"], "expected one of given, random", ""),
        (["kernel=5"], "expected one of 3, 7", ""),
        (["level=loud"], "expected a number or none", ""),
        (["positive=none"], "expected true or false", ""),
        (["iterations=1", "iterations=2"], "given twice", ""),
        (["order=random", "kernel=7"], "random rows need kernel=3", ""),
    ],
)
def test_an_error_says_what_was_expected(pairs, message, hint):
    with pytest.raises(UsageError) as caught:
        parse_options(KITCHEN, pairs)
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_a_required_option():
    with pytest.raises(UsageError, match="needs needs the option 'snr_db': a number") as caught:
        parse_options(NEEDS, [])
    assert caught.value.hint == "Signal-to-noise ratio in dB"


def test_a_method_without_options_says_so():
    with pytest.raises(UsageError) as caught:
        parse_options(PLAIN, ["width=3"])
    assert caught.value.hint == "plain has no options"


@given(
    st.builds(
        Kitchen,
        iterations=st.integers(14, 99),
        **{"lambda": st.floats(0, 9)},
        positive=st.booleans(),
        kernel=st.sampled_from([3, 7]),
        level=st.none() | st.floats(allow_nan=False),
        lines=st.lists(st.integers()).map(tuple),
        window=st.sampled_from(Window),
        title=st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"])).map(str.strip),
    )
)
def test_options_survive_as_text(options):
    assert parse_options(KITCHEN, options_as_text(options)) == options


def test_words_for_every_option():
    assert {name: expected(field) for name, field in option_fields(Kitchen).items()} == {
        "iterations": "a whole number, at least 1",
        "lambda": "a number, at least 0, below 10",
        "positive": "true or false",
        "order": "one of given, random",
        "kernel": "one of 3, 7",
        "level": "a number or none",
        "lines": "values with commas between them",
        "window": "one of hann, flat",
        "title": "text",
    }


def test_nothing_is_near():
    assert did_you_mean("wavelet", ["box", "average"]) == ""
    assert did_you_mean("avrage", ["box", "average"]) == "did you mean 'average'?"


@pytest.mark.parametrize("text", ["19,20,9", "19x20x9", "19X20x9", "19, 20, 9"])
def test_sizes_are_written_with_commas_or_with_x(text):
    assert Kitchen.model_validate(read_pairs("kitchen", Kitchen, [f"lines={text}"])).lines == (19, 20, 9)


def test_an_x_in_a_word_is_no_size():
    assert read_pairs("kitchen", Kitchen, ["title=8x8"]) == {"title": "8x8"}
    assert read_pairs("kitchen", Kitchen, ["lines=8x"]) == {"lines": ["8x"]}
