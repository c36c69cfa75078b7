"""Get a data set: once, whole, and always the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mpikit.datasets.catalogue import Dataset, dataset
from mpikit.datasets.places import address, cache_folder, is_mirrored, place, require_extra
from mpikit.datasets.receipts import has_hash, read_receipt, receipt_path, write_receipt
from mpikit.errors import InputError
from mpikit.events import Event, Finding, silent


@dataclass(frozen=True)
class _Expected:
    """What the file has to be: its hash, if known; who says so; its size, if known."""

    hash: str | None = None
    by: str = ""
    size: int | None = None


def fetch(
    wanted: Dataset | str,
    *,
    folder: Path | None = None,
    force: bool = False,
    tell: Callable[[Event], None] = silent,
) -> Path:
    """Return the file of a data set; fetch it, if it is not there.

    A download that was interrupted goes on where it stopped. The hash is checked against the published one;
    without such, against the one of the first download, which is kept in ``FILE.json`` beside the file. That
    one is checked at every call; of a file that was put there by hand, or came from a mirror, it is the hash
    that it had first.

    Parameters
    ----------
    wanted : Dataset or str
        The data set or its name. Its address is https; http is taken from this very machine alone.
    folder : Path, optional
        Cache; `cache_folder` if not given.
    force : bool
        Fetch it, even if it is there, and take a file with another hash than that of the first download. A
        published hash holds all the same.
    tell : callable
        Takes events: a `Finding` with the size before a download, a `Step` for each megabyte.

    Returns
    -------
    Path

    Raises
    ------
    UsageError
        When no data set has this name.
    PluginError
        When the extra ``datasets`` is not installed.
    InputError
        When the file did not come, or not as a whole; when its hash is wrong, and then it is removed; when it
        is too large for the disk; when the cache cannot be written.
    """
    known = dataset(wanted) if isinstance(wanted, str) else wanted
    require_extra()
    folder = cache_folder() if folder is None else folder.absolute()
    target = place(known, folder)
    if target.exists() and not force:
        _check(known, target)
        tell(Finding("fetched", str(target), f"{known.name}: {target} is there, with the right hash"))
        return target
    _make_folder(target.parent)
    _download(known, target, _expected(known, target, force=force), tell)
    write_receipt(target, address(known))
    return target


def plan(wanted: Dataset | str, *, folder: Path | None = None) -> dict[str, str | int | bool | None]:
    """Say what `fetch` would do, with the size that the server tells; nothing is fetched.

    Parameters
    ----------
    wanted, folder
        As of `fetch`.

    Returns
    -------
    dict
        Ready for JSON: ``name``, ``url``, ``path``, ``fetched``, ``size`` in bytes, and ``begun``, the bytes
        that an interrupted download has left.

    Raises
    ------
    UsageError, PluginError, InputError
        As `fetch`.
    """
    known = dataset(wanted) if isinstance(wanted, str) else wanted
    require_extra()
    from mpikit.datasets.web import announced_size

    target = place(known, folder)
    part = target.with_name(f"{target.name}.part")
    is_here = target.is_file()
    return {
        "name": known.name,
        "url": address(known),
        "path": str(target),
        "fetched": is_here,
        "size": target.stat().st_size if is_here else announced_size(known.name, address(known)),
        "begun": part.stat().st_size if part.is_file() else 0,
    }


def _check(known: Dataset, target: Path) -> None:
    """Check a file that is there, or keep its hash if none is known."""
    receipt = read_receipt(target)
    right = receipt.hash if receipt else known.official_hash
    try:
        if right is None:
            write_receipt(target, "")
        elif not has_hash(target, right):
            target.unlink()
            raise InputError(
                f"{target} has changed since it was fetched, and is removed: its hash is not {right}",
                hint=f"mpikit datasets fetch {known.name} gets it again",
            )
    except OSError as error:
        raise InputError(f"{target} cannot be read: {error.strerror or error}") from error


def _expected(known: Dataset, target: Path, *, force: bool) -> _Expected:
    if known.official_hash is not None:
        return _Expected(known.official_hash, "the published one")
    if known.record and not is_mirrored():
        from mpikit.datasets.web import official

        found = official(known.name, known.record, target.name)
        return _Expected(found.hash, "the published one", found.size)
    receipt = None if force else read_receipt(target)
    return _Expected(receipt.hash, "that of the first download") if receipt else _Expected()


def _make_folder(folder: Path) -> None:
    hint = "name another place with --cache or MPIKIT_DATASETS"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the folder {folder} cannot be made: {error.strerror or error}", hint=hint
        ) from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"the folder {folder} is read-only", hint=hint)


def _download(known: Dataset, target: Path, expected: _Expected, tell: Callable[[Event], None]) -> None:
    """Let pooch fetch and check a file, under a name of its own: a file that is there stays until then."""
    import pooch

    from mpikit.datasets.download import Resuming

    new = target.with_name(f"{target.name}.new")
    part = target.with_name(f"{target.name}.part")
    url = address(known)
    store = pooch.create(
        path=target.parent, base_url="", registry={new.name: expected.hash}, urls={new.name: url}
    )
    fetcher = Resuming(name=known.name, part=part, limit=known.limit, size=expected.size, tell=tell)
    try:
        new.unlink(missing_ok=True)
        store.fetch(new.name, downloader=fetcher)
        # without the old receipt: it would condemn the new file, were its own not written any more
        receipt_path(target).unlink(missing_ok=True)
        new.replace(target)
    except ValueError as error:  # pooch has removed the file
        if expected.hash is None:  # there was nothing to compare with
            raise InputError(f"{known.name} cannot be fetched from {url}: {error}") from error
        raise InputError(
            f"{known.name} from {url} is removed again: its hash is not {expected.by}, {expected.hash}",
            hint=_after_wrong_hash(known, expected),
        ) from error
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}") from error


def _after_wrong_hash(known: Dataset, expected: _Expected) -> str:
    if expected.by == "the published one":
        return "say the same again; if it comes again, the file on the server is not the published one"
    return f"if its makers have replaced it, mpikit datasets fetch {known.name} --force takes the new one"
