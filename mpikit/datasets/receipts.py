"""What is known of a file that was fetched: from where, when, and its hash."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mpikit.errors import InputError
from mpikit.files import write_atomically


@dataclass(frozen=True)
class Receipt:
    """One download, kept beside its file as ``FILE.json``.

    Parameters
    ----------
    url : str
        Where the file came from.
    fetched : str
        When, ISO 8601 in UTC.
    size : int
        Bytes.
    hash : str
        ``"sha256:..."``.
    """

    url: str
    fetched: str
    size: int
    hash: str


def receipt_path(path: Path) -> Path:
    """Return where the receipt of a file is."""
    return path.with_name(f"{path.name}.json")


def read_receipt(path: Path) -> Receipt | None:
    """Return the receipt of a file, None without one.

    Raises
    ------
    InputError
        When it is damaged.
    """
    kept = receipt_path(path)
    try:
        known = Receipt(**json.loads(kept.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f"{kept}, which holds the hash of {path.name}, cannot be read: {error}",
            hint="remove it, and the file too unless you trust it",
        ) from error
    if not str(known.hash).startswith("sha256:"):
        raise InputError(f"{kept} holds no hash", hint=f"remove it, and {path.name} too unless you trust it")
    return known


def write_receipt(path: Path, url: str) -> Receipt:
    """Compute the hash of a file, and keep it beside the file.

    Raises
    ------
    InputError
        When it cannot be written.
    """
    from mdf.moment import now  # loads h5py, which a list of data sets does not need

    receipt = Receipt(
        url=url,
        fetched=now().isoformat(timespec="seconds"),
        size=path.stat().st_size,
        hash=f"sha256:{hash_of(path, 'sha256')}",
    )
    content = f"{json.dumps(asdict(receipt), indent=2)}\n".encode()
    write_atomically(receipt_path(path), content, overwrite=True)
    return receipt


def hash_of(path: Path, algorithm: str) -> str:
    """Return the hexadecimal hash of a file."""
    import pooch

    return str(pooch.file_hash(str(path), alg=algorithm))


def has_hash(path: Path, known: str) -> bool:
    """Tell whether a file has a hash, written ``algorithm:digits``."""
    algorithm, _, digits = known.partition(":")
    return hash_of(path, algorithm) == digits.lower()
