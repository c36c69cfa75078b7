"""The log of a training: two files with the same rows, line by line, without duplicates."""

from __future__ import annotations

import csv
import json

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


def test_a_file_that_is_no_log(files):
    files[0].write_text('{"epoch": 1}\n')
    with pytest.raises(InputError, match="is no log of a training"):
        TrainingLog(*files, resume=True)


def add_many(log):
    for index in range(2, 100):
        log.add(Step(index, 100, {"loss": 1.0}))


def test_a_full_disk(files):
    resource = pytest.importorskip("resource", reason="no limit on the size of a file")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with TrainingLog(*files) as log:
        log.add(Step(1, 100, {"loss": 1.0}))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            with pytest.raises(InputError, match=r"m\.log\.\w+ cannot be written") as caught:
                add_many(log)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "--resume" in caught.value.hint
    with TrainingLog(*files, resume=True) as log:  # all whole rows are still there
        steps = [row["step"] for row in log.rows]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) > 3
