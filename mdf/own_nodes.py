"""The user's own nodes of a file, whose names start with an underscore, and their copies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import h5py

from mdf import spec
from mdf.nodes import find_group, reading
from mdf.sources import is_elsewhere, links_elsewhere


def own_nodes(root: h5py.Group, file: Path) -> list[str]:
    """Return the paths of the top-most ones, without links and datasets whose values stand elsewhere."""
    return [f"{path}{name}" for path, group, name in _named(root, file) if _is_here(group, name)]


def left_out(root: h5py.Group, file: Path) -> list[str]:
    """Return the paths of what `copy_own_nodes` leaves out, for its values stand elsewhere.

    Soft links are left out too, and not told: they lead to values of the file itself.
    """
    found = []
    for path, group, name in _named(root, file):
        with reading(file, f"{path}{name}"):
            if not _is_here(group, name):
                link = group.get(name, getlink=True)
                found += [] if isinstance(link, h5py.SoftLink) else [f"{path}{name}"]
            elif isinstance(group[name], h5py.Group):
                found += [_path(*each) for each in links_elsewhere(group[name])]
    return found


def copy_own_nodes(root: h5py.Group, target: h5py.Group, file: Path) -> None:
    """Copy the nodes of `own_nodes` into an open file, except into groups that it lacks.

    Nothing in the copy leads to another file: it could be one that its reader never meant to show.
    """
    for path in own_nodes(root, file):
        parent, _, name = path.rpartition("/")
        with reading(file, path):
            group = find_group(target, parent)
            if group is None:
                continue
            root.copy(path, group, name)
            copied = group[name]
            if isinstance(copied, h5py.Group):
                for place, each in list(links_elsewhere(copied)):
                    del place[each]


def _named(root: h5py.Group, file: Path) -> Iterator[tuple[str, h5py.Group, str]]:
    """Yield the start of the path, the group and the name of each of the user's nodes."""
    for path in spec.GROUPS:
        with reading(file, path):
            group = find_group(root, path)
            for name in () if group is None else group:
                if isinstance(name, str) and name.startswith("_"):
                    yield f"{path.rstrip('/')}/", group, name


def _is_here(group: h5py.Group, name: str) -> bool:
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        return False
    # who reads or copies a damaged one is told
    with suppress(OSError, LookupError, ValueError, TypeError, RuntimeError):
        node = group[name]
        return not (isinstance(node, h5py.Dataset) and is_elsewhere(node))
    return True


def _path(group: h5py.Group, name: str | bytes) -> str:
    text = name if isinstance(name, str) else name.decode(errors="replace")
    return f"{group.name.rstrip('/')}/{text}"
