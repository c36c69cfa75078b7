"""Which images of before are still right: those that were made of the same files with the same choices."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mdf
from mpikit.errors import InputError
from mpikit.events import silent
from mpikit.reconstruct.beside import Beside
from mpikit.reconstruct.choices import check_choices, matrix_paths
from mpikit.reconstruct.files import find_matrices
from mpikit.reconstruct.writing import extras_of, known_hash, plain_options
from mpikit.scan_set import file_history


def outputs_of(output: Path, choices: Mapping[str, Any]) -> list[Path]:
    """Return all files that a reconstruction would write, ``output`` first.

    Parameters
    ----------
    output : Path
        MDF file.
    choices : mapping
        As `mpikit.reconstruct.reconstruct_files` takes them.
    """
    chosen = check_choices(**_without_overwrite(choices))
    return Beside(output).wanted(**extras_of(chosen))


def was_made(source: Path, output: Path, choices: Mapping[str, Any]) -> bool:
    """Tell whether images were made before of the same files, by their hashes, with the same choices.

    Parameters
    ----------
    source, output : Path
        MDF files.
    choices : mapping
        As `mpikit.reconstruct.reconstruct_files` takes them.

    Returns
    -------
    bool
        False when there is no output, or something beside it is missing: then it may be made once more.

    Raises
    ------
    InputError
        When there is an output that was made in another way, and it may not be replaced.
    mdf.MdfError
        When the source or the output is no MDF file.
    """
    if not output.is_file():
        return False
    history = file_history(output)
    record = history[-1] if history else {}
    other = _difference(record, source, choices)
    if other and not choices.get("overwrite"):
        raise InputError(
            f"{output} exists already, and is not what was asked for: {other}",
            hint="add --force to replace it, or name another folder with --output",
        )
    return not other and all(path.exists() for path in outputs_of(output, choices))


def _difference(record: Mapping[str, Any], source: Path, choices: Mapping[str, Any]) -> str:
    """Say in words what was asked for otherwise, or nothing."""
    if record.get("command") != "reconstruct":
        return "it was not reconstructed"
    before, asked = record.get("options"), _options(choices)
    if not isinstance(before, dict):
        return "its history does not say enough"
    others = [name for name in {**before, **asked} if before.get(name) != asked.get(name)]
    if others:
        return f"its options differ ({', '.join(others)})"
    return "" if _digests(record.get("files")) == _inputs(source, choices) else "its files are others now"


def _options(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as the history keeps them."""
    said: dict[str, Any] = {
        "method": choices.get("method", "kaczmarz"),
        "average_frames": choices.get("average_frames", False),
        "allow_mismatch": choices.get("allow_mismatch", False),
        **plain_options(check_choices(**_without_overwrite(choices))),
    }
    kept: dict[str, Any] = json.loads(json.dumps(said))
    return kept


def _inputs(source: Path, choices: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return roles and hashes of the files that would be read."""
    with mdf.open(source) as measurement:
        matrices = find_matrices(matrix_paths(choices.get("system_matrix")), measurement, silent)
    roles: dict[str, Sequence[Path]] = {
        "source": [source],
        "background_file": choices.get("background_files", ()),
        "system_matrix": matrices,
    }
    return sorted((role, known_hash(path)) for role, paths in roles.items() for path in paths)


def _digests(files: object) -> list[tuple[str, str]]:
    each = files if isinstance(files, list) else []
    return sorted((str(one.get("role")), str(one.get("sha256"))) for one in each if isinstance(one, dict))


def _without_overwrite(choices: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in choices.items() if name != "overwrite"}
