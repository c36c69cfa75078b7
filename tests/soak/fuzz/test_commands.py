"""`mpikit info` and `mpikit validate` survive files with damaged bytes and odd trees."""

from __future__ import annotations

import pytest
from fuzz import hdf5
from fuzz.kinds import generator

MAKERS = {"mdf-bytes": hdf5.make_bytes, "mdf-structure": hdf5.make_structure}


@pytest.mark.parametrize("count", [3, pytest.param(150, marks=pytest.mark.soak)])
@pytest.mark.parametrize("kind", MAKERS)
def test_strange_files(server, tmp_path, figure, kind, count):
    codes = []
    for number in range(count):
        path = MAKERS[kind](generator(kind, 10**6 + number), tmp_path)
        for verb in ("info", "validate"):
            done = server.run(verb, path.name, folder=tmp_path)
            assert done["code"] in {0, 3}, (number, verb, done)
            assert "Traceback" not in done["err"]
            assert done["seconds"] < 30
            codes.append(done["code"])
        path.unlink()
    figure(f"info and validate on {count} files of {kind}: {codes.count(3)} of {len(codes)} refused")
