"""How a file was made: the history that every file we write carries.

Times are those of ``SOURCE_DATE_EPOCH`` where it is set: the same command then writes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mdf.moment import is_fixed, now

HISTORY = "/_mpikit/history"
REPEATS = "/_mpikit/repeats"


def sha256(path: Path) -> str:
    """Hash of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run_record(
    command: str,
    *,
    inputs: Sequence[Path],
    options: Mapping[str, Any],
    seed: int | None = None,
    **results: Any,
) -> dict[str, Any]:
    """Collect what it takes to run a command again.

    Parameters
    ----------
    command : str
        The verb, for instance ``"denoise"``.
    inputs : sequence of Path
        Files that were read. Their names and hashes are kept, never their folders: MDF files are shared.
    options : mapping
        Every option with the value that was used.
    seed : int or None
    **results
        Figures worth keeping, ready for JSON.

    Returns
    -------
    dict
        Ready for JSON.
    """
    return {
        "command": command,
        "mpikit": version("mpikit"),
        "at": now().isoformat(timespec="seconds"),
        "inputs": hashes(inputs),
        "options": dict(options),
        "seed": seed,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("numpy", "scipy", "h5py", "torch")},
        **results,
    }


def clock() -> float:
    """Return seconds to measure a duration with; with ``SOURCE_DATE_EPOCH`` no time passes."""
    return 0.0 if is_fixed() else time.perf_counter()


def hashes(paths: Sequence[Path]) -> dict[str, str]:
    """Return hashes by name, without folders; of files of one name the later ones get a number."""
    found: dict[str, str] = {}
    for path in paths:
        same = sum(name == path.name or name.startswith(f"{path.name} (") for name in found)
        found[f"{path.name} ({same + 1})" if same else path.name] = sha256(path)
    return found


def append_history(history: str | None, record: Mapping[str, Any]) -> str:
    """Return the text of `/_mpikit/history` with one more record.

    Parameters
    ----------
    history : str or None
        What the input file had there: a JSON list, or None.
    record : mapping
        See `run_record`.
    """
    return json.dumps([*read_history(history), dict(record)], indent=1)


def read_history(history: str | None) -> list[dict[str, Any]]:
    """Return the records of `/_mpikit/history`, oldest first; a text that is no JSON list gives none."""
    try:
        records = json.loads(history) if history else []
    except (ValueError, RecursionError):
        return []
    return [record for record in records if isinstance(record, dict)] if isinstance(records, list) else []
