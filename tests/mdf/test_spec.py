from __future__ import annotations

import mdf
from mdf import spec


def test_public_names():
    assert mdf.__all__ == [
        "CompressionWarning", "Conversion", "ConversionError", "File", "Grid", "Group", "MdfError", "Problem",
        "Repair", "SystemMatrix", "Writer", "convert", "create", "open", "plan_conversion", "validate",
        "write", "write_time",
    ]  # fmt: skip
    for name in mdf.__all__:
        getattr(mdf, name)


def test_the_table_is_complete():
    counts = {group: sum(field.group == group for field in spec.FIELDS.values()) for group in spec.GROUPS}
    assert counts == {  # the standard's own tables, counted
        "/": 3, "/study": 5, "/experiment": 6, "/tracer": 7, "/scanner": 6, "/acquisition": 6,
        "/acquisition/drivefield": 7, "/acquisition/receiver": 7, "/measurement": 14, "/calibration": 9,
        "/reconstruction": 7,
    }  # fmt: skip


def test_every_row_makes_sense():
    letters = set("ANOJYCDFVKBQPS")
    for path, field in spec.FIELDS.items():
        assert field.group in spec.GROUPS
        assert field.meaning
        assert field.kind in {"string", "uuid", "time", "int", "float", "flag", "number", "complex"}
        assert all(isinstance(axis, int) or axis in letters for axis in field.shape), path
        assert field.need in {"data", "yes", "no"} or f"{field.group}/{field.need}" in spec.FIELDS, path
        assert not field.default or field.need in {"data", "yes"}, path


def test_aliases_stand_for_standard_names():
    assert set(spec.ALIASES) <= set(spec.FIELDS)
    assert not {alias for aliases in spec.ALIASES.values() for alias in aliases} & set(spec.FIELDS)


def test_names_in_python():
    assert spec.FIELDS["/measurement/isFastFrameAxis"].name == "is_fast_frame_axis"
    assert spec.FIELDS["/acquisition/numPeriodsPerFrame"].name == "num_periods_per_frame"
    assert spec.FIELDS["/uuid"].name == "uuid"
