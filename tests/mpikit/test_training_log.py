"""The log of a training: two files with the same rows, line by line, without duplicates."""

from __future__ import annotations

import csv
import json
from contextlib import contextmanager

import numpy as np
import pytest

from mpikit.errors import InputError
from mpikit.events import Step
from mpikit.training_log import TrainingLog


@pytest.fixture
def files(tmp_path):
    return tmp_path / "m.log.jsonl", tmp_path / "m.log.csv"


def clock(*times):
    return iter(times).__next__


def read(files):
    lines = [json.loads(line) for line in files[0].read_text().splitlines()]
    with files[1].open(newline="") as file:
        return lines, list(csv.DictReader(file))


def test_both_files_grow_line_by_line(files):
    with TrainingLog(*files, clock=clock(100.0, 101.5, 103.25)) as log:
        assert not any(path.exists() for path in files)
        log.add(Step(10, 40, {"loss": 0.5, "SNR, dB": 12.25}))
        lines, table = read(files)  # while it goes on
        assert lines == [{"step": 10, "total": 40, "seconds": 1.5, "loss": 0.5, "SNR, dB": 12.25}]
        log.add(Step(20, 40, {"loss": 0.25, "SNR, dB": 14.0}))
    lines, table = read(files)
    assert [row["seconds"] for row in lines] == [1.5, 3.25]
    assert table == [{name: str(value) for name, value in row.items()} for row in lines]
    assert log.rows == lines


def test_figures_that_come_later_get_a_column(files):
    with TrainingLog(*files) as log:
        log.add(Step(1, 3))
        log.add(Step(2, 3, {"loss": np.float32(0.5)}))
        log.add(Step(3, 3, {"rate": 0.125, "loss": np.nan}))
    lines, table = read(files)
    assert list(table[0]) == ["step", "total", "seconds", "loss", "rate"]
    assert [row["loss"] for row in table] == ["", "0.5", ""]
    assert [row["rate"] for row in table] == ["", "", "0.125"]
    assert lines[2]["loss"] is None  # JSON has no NaN
    assert "loss" not in lines[0]


def test_going_on_writes_no_row_twice(files):
    with TrainingLog(*files, clock=clock(0.0, 1.0, 2.0, 3.0)) as log:
        for index in (5, 10, 15):
            log.add(Step(index, 30, {"loss": 1 / index}))
    files[0].write_text(files[0].read_text() + '{"step": 20, "tot')  # cut off by a full disk
    with TrainingLog(*files, resume=True, clock=clock(70.0, 74.0, 75.0)) as log:
        assert [row["step"] for row in log.rows] == [5, 10, 15]
        log.add(Step(10, 30, {"loss": 0.1}))  # the checkpoint was that of step 5
        log.add(Step(15, 30, {"loss": 0.2}))
    lines, table = read(files)
    assert [row["step"] for row in lines] == [5, 10, 15]
    assert [row["loss"] for row in lines] == [0.2, 0.1, 0.2]
    assert [row["seconds"] for row in lines] == [1.0, 5.0, 6.0]  # time goes on where it stopped
    assert [row["seconds"] for row in table] == ["1.0", "5.0", "6.0"]


def test_without_resume_it_starts_anew(files):
    for resume, steps in ((False, [1]), (False, [1]), (True, [1, 2])):
        with TrainingLog(*files, resume=resume) as log:
            log.add(Step(steps[-1], 2))
        assert [row["step"] for row in read(files)[0]] == steps


def test_before_the_first_row_an_old_log_is_as_it_was(files):
    for path in files:
        path.write_text("old")
    with pytest.raises(KeyboardInterrupt), TrainingLog(*files):
        raise KeyboardInterrupt
    assert [path.read_text() for path in files] == ["old", "old"]
    with TrainingLog(*files):  # a training that ends without a step
        pass
    assert read(files) == ([], [])
    assert files[1].read_text() == "step,total,seconds\n"


ROW = b'{"step": 1, "total": 9, "seconds": 0.5}\n'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"epoch": 1}\n', "line 1 is no row"),
        (ROW + b"\xff\xfe\n" + ROW, "line 2 is no JSON"),
        (ROW + ROW + b"rubbish\n" + ROW, "line 3 is no JSON"),
        (ROW + b"rubbish\n", "line 2 is no JSON"),  # with its end, so that it was not cut off
        (ROW + b'{"step": 2, "seconds": null}\n', "line 2 is no row"),
        (ROW + b'{"step": 2, "seconds": NaN}\n', "line 2 is no row"),
        (b'{"step": 2}\n', "line 1 is no row"),
        (b'{"step": true, "seconds": 1}\n', "line 1 is no row"),
        (b"[1]\n", "line 1 is no row"),
    ],
)
def test_a_file_that_is_no_log(files, content, words):
    files[0].write_bytes(content)
    with pytest.raises(InputError, match=f"is no log of a training: {words}") as caught:
        TrainingLog(*files, resume=True)
    assert caught.value.hint


def test_a_log_that_cannot_be_read(files):
    files[0].mkdir()
    with pytest.raises(InputError, match=r"m\.log\.jsonl cannot be read"):
        TrainingLog(*files, resume=True)


@pytest.mark.parametrize("cut", [b"", b'{"step": 2, "to', b"\xc3"])
def test_a_last_line_that_was_cut_off_is_left_out(files, cut):
    files[0].write_bytes(ROW + cut)
    assert [row["step"] for row in TrainingLog(*files, resume=True).rows] == [1]


def test_a_lower_bound_is_marked(files):
    with TrainingLog(*files) as log:
        log.add(Step(1, 2, {"SNR": 27.0, "loss": 0.5}, {"SNR": True}))
        log.add(Step(2, 2, {"SNR": 25.0, "loss": 0.25}, {"SNR": False}))
    lines, table = read(files)
    assert [row["SNR is a lower bound"] for row in lines] == [True, False]
    assert list(table[0]) == ["step", "total", "seconds", "SNR", "SNR is a lower bound", "loss"]
    assert [row["SNR is a lower bound"] for row in table] == ["True", "False"]


@contextmanager
def full_disk(size):
    resource = pytest.importorskip("resource", reason="no limit on the size of a file")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_does_not_end_the_training(files):
    """It is warned of once; when there is room again, all rows are there."""
    told = []
    with TrainingLog(*files, tell=told.append) as log:
        log.add(Step(1, 100, {"loss": 1.0}))
        with full_disk(1000):
            for index in range(2, 100):
                log.add(Step(index, 100, {"loss": 1.0}))
        assert 3 < files[0].read_text().count("\n") < 98
        log.add(Step(100, 100, {"loss": 1.0}))
        assert [row["step"] for row in read(files)[0]] == list(range(1, 101))
    (event,) = told
    assert event.text.startswith("the log ")
    assert "cannot be written" in event.text
    assert [int(row["step"]) for row in read(files)[1]] == list(range(1, 101))


def test_a_disk_that_is_full_until_the_end(files):
    told = []
    with TrainingLog(*files, tell=told.append) as log:
        log.add(Step(1, 100, {"loss": 1.0}))
        with full_disk(1000):
            for index in range(2, 50):
                log.add(Step(index, 100, {"loss": 1.0}))
    assert [row["step"] for row in read(files)[0]] == list(range(1, 50))  # at the end there was room
    with full_disk(1000), TrainingLog(*files, resume=True, tell=told.append) as log:
        log.add(Step(50, 100, {"loss": 1.0}))
    assert len(told) == 2
    with TrainingLog(*files, resume=True) as log:
        assert [row["step"] for row in log.rows] == list(range(1, 50))  # as they were
