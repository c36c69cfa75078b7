"""Names, links and attributes of a whole file."""

from __future__ import annotations

from dataclasses import dataclass

import h5py

from mdf import spec
from mdf.rules.content import Content
from mdf.rules.problem import Problems, error, note, warning

_MOST_NODES = 20_000
_DEEPEST = 64

_OLD_NAMES = {alias: path for path, aliases in spec.ALIASES.items() for alias in aliases}
_EXTRA_GROUPS = {extra.rpartition("/")[0] for extra in spec.KNOWN_EXTRAS} - set(spec.GROUPS)


@dataclass(frozen=True)
class _Place:
    """A group on the way down: its path, whether its names are the user's own, and the groups above it."""

    path: str
    is_free: bool
    above: tuple[int, ...]


def names_and_links(file: Content) -> Problems:
    """F01 of links, F11 and F12."""
    yield from _attributes(file, "/", file.hdf)
    yield from _walk(file)


def links(file: Content) -> Problems:
    """F01 of links: for files whose names follow an older table."""
    yield from (problem for problem in _walk(file) if problem.rule == "F01")


def _walk(file: Content) -> Problems:
    """Walk through all groups, in bounds, without following a link out."""
    count, root = 0, 0
    with file.reading("/"):
        root = _address(file.hdf)
    waiting = [_Place("/", is_free=False, above=(root,))]
    while waiting:
        place = waiting.pop()
        names: list[str | bytes] = []
        with file.reading(place.path):
            names = list(file.hdf[place.path])
        for name in names:
            count += 1
            if count > _MOST_NODES:
                yield note("F11", place.path, f"only the first {_MOST_NODES} names of the file are checked")
                return
            if isinstance(name, bytes):
                yield warning("F11", place.path, "a name that is no text, what it names is not checked", name)
                continue
            child = _Place(
                f"{place.path.rstrip('/')}/{name}", place.is_free or name.startswith("_"), place.above
            )
            if not child.is_free:
                yield from _name(child.path)
            yield from _link(file, child, waiting)


def _name(path: str) -> Problems:
    if path in spec.FIELDS or path in spec.GROUPS:
        return
    if path in _OLD_NAMES:
        yield note("F11", path, "an old name", path, _OLD_NAMES[path])
    elif path in spec.KNOWN_EXTRAS or path in _EXTRA_GROUPS:
        yield note("F11", path, "not of the standard, but known; names of one's own start with '_'")
    else:
        yield warning("F11", path, "not a name of the standard; names of one's own start with '_'")


def _link(file: Content, place: _Place, waiting: list[_Place]) -> Problems:
    """Check one link, and put the group that it leads to on the list."""
    link = None
    with file.reading(place.path):
        link = file.hdf.get(place.path, getlink=True)
    if isinstance(link, h5py.ExternalLink) and (place.path in spec.FIELDS or place.path in spec.GROUPS):
        file.node(place.path)  # which refuses it
    elif isinstance(link, h5py.ExternalLink):
        yield error("F01", place.path, "a link to another file, which is never followed")
    elif isinstance(link, h5py.SoftLink):
        if not file.has_end(place.path):
            yield error("F01", place.path, "a link that leads nowhere", link.path)
    elif link is not None:
        yield from _object(file, place, waiting)


def _object(file: Content, place: _Place, waiting: list[_Place]) -> Problems:
    node, address = None, 0
    with file.reading(place.path):
        is_standard = place.path in spec.FIELDS or place.path in spec.GROUPS
        node = file.node(place.path) if is_standard else file.hdf[place.path]
        if isinstance(node, h5py.Dataset):
            file.refuse_foreign(node)
        elif node is not None:
            address = _address(node)
    if node is not None and not place.is_free:
        yield from _attributes(file, place.path, node)
    if not isinstance(node, h5py.Group):
        return
    if address in place.above:
        yield error("F01", place.path, "a loop of links: the group contains itself")
    elif len(place.above) > _DEEPEST:
        yield error("F01", place.path, f"groups are nested more than {_DEEPEST} deep")
    elif place.is_free or place.path in spec.GROUPS or place.path in _EXTRA_GROUPS:
        waiting.append(_Place(place.path, place.is_free, (*place.above, address)))


def _attributes(file: Content, path: str, node: h5py.HLObject) -> Problems:
    count = 0
    with file.reading(path):
        count = h5py.h5a.get_num_attrs(node.id)
    if count and (path in spec.FIELDS or path in spec.GROUPS):
        yield warning("F12", path, "it has HDF5 attributes, which the standard does not use", count, 0)


def _address(node: h5py.HLObject) -> int:
    return int(h5py.h5o.get_info(node.id).addr)


RULES = (names_and_links,)
