"""What a page is made of: facts, tables, words and pictures, in sections of parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str
    kind: ClassVar[str] = "words"


@dataclass(frozen=True)
class Facts:
    """Labels with a text each."""

    rows: Sequence[tuple[str, str]]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Options:
    """Many names with a short value each."""

    rows: Sequence[tuple[str, str]]
    kind: ClassVar[str] = "options"


@dataclass(frozen=True)
class Table:
    """A table; the columns of `right` hold numbers."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[int] = ()
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Details:
    """A long text that is folded away, as it is."""

    title: str
    text: str
    kind: ClassVar[str] = "details"


@dataclass(frozen=True)
class Picture:
    """A drawing with its caption."""

    caption: str
    figure: Figure
    kind: ClassVar[str] = "picture"


@dataclass(frozen=True)
class Links:
    """Addresses to follow, each with what stands there."""

    rows: Sequence[tuple[str, str]]
    kind: ClassVar[str] = "links"


Block = Words | Facts | Options | Table | Details | Picture | Links


@dataclass(frozen=True)
class Section:
    """Blocks under a heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Part:
    """What the page says of one file.

    Parameters
    ----------
    title : str
        Name of the file.
    about : str
        What kind of file it is.
    sections : sequence of Section
    """

    title: str
    about: str
    sections: Sequence[Section]
