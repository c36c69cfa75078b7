"""Pictures in a terminal that can show them: the protocols of kitty, iTerm2 and sixel."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Mapping
from typing import Literal

Protocol = Literal["kitty", "iterm2", "sixel"]

CHUNK = 4096  # letters of one command of kitty
SIXEL_TERMINALS = ("foot", "mlterm", "yaft", "contour")
LEVELS = 6  # of red, green and blue each, in a sixel picture: 216 colours


def protocol(environment: Mapping[str, str]) -> Protocol | None:
    """Say how the terminal takes pictures, by the variables that terminals set; None if it does not.

    Inside of tmux and screen nothing is shown, for they swallow what they do not know.

    Parameters
    ----------
    environment : mapping
        `os.environ`, or one like it.
    """
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if environment.get("TMUX") or environment.get("STY") or term.startswith(("tmux", "screen")):
        return None
    if environment.get("KITTY_WINDOW_ID") or "kitty" in term or program == "ghostty" or "ghostty" in term:
        return "kitty"
    if program in ("iTerm.app", "WezTerm") or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    if "sixel" in term or term.startswith(SIXEL_TERMINALS) or program == "mintty":
        return "sixel"
    return None


def escapes(png: bytes, wanted: Protocol) -> bytes:
    """Return what shows a PNG file in a terminal, with the end of a line.

    Parameters
    ----------
    png : bytes
    wanted : {"kitty", "iterm2", "sixel"}
    """
    encode = {"kitty": _kitty, "iterm2": _iterm2, "sixel": _sixel}[wanted]
    return encode(png) + b"\n"


def show_picture(png: bytes, wanted: Protocol) -> None:
    """Show a PNG file in the terminal that stdout is."""
    sys.stdout.flush()
    sys.stdout.buffer.write(escapes(png, wanted))
    sys.stdout.buffer.flush()


def _kitty(png: bytes) -> bytes:
    """Kitty graphics protocol: transmit and display (a=T) a PNG (f=100), in pieces; m=1: more follow."""
    text = base64.b64encode(png)
    pieces = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
    commands = []
    for index, piece in enumerate(pieces):
        first = b"a=T,f=100,q=2," if index == 0 else b""  # q=2: no answer, which would stand in the prompt
        more = b"m=%d" % (index < len(pieces) - 1)
        commands.append(b"\x1b_G" + first + more + b";" + piece + b"\x1b\\")
    return b"".join(commands)


def _iterm2(png: bytes) -> bytes:
    """ITerm2 inline images: OSC 1337, a file that is shown instead of saved."""
    return b"\x1b]1337;File=inline=1;size=%d:" % len(png) + base64.b64encode(png) + b"\x07"


def _sixel(png: bytes) -> bytes:
    """DEC sixel: bands of six rows; each colour of a band draws its dots, then the next one over it."""
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(png), formats=("PNG",)) as picture:
        dots = np.asarray(picture.convert("RGB")).astype(np.int64)
    steps = np.rint(dots * (LEVELS - 1) / 255).astype(np.int64)
    colours = (steps[..., 0] * LEVELS + steps[..., 1]) * LEVELS + steps[..., 2]
    height, width = colours.shape
    out = [b'\x1bPq"1;1;%d;%d' % (width, height)]
    for colour in np.unique(colours).tolist():
        red, green, blue = colour // LEVELS**2, colour // LEVELS % LEVELS, colour % LEVELS
        percent = [100 * level // (LEVELS - 1) for level in (red, green, blue)]
        out.append(b"#%d;2;%d;%d;%d" % (colour, *percent))
    bits = 1 << np.arange(6)
    for top in range(0, height, 6):
        band = colours[top : top + 6]
        rows = []
        for colour in np.unique(band).tolist():
            values = 63 + (bits[: len(band), None] * (band == colour)).sum(axis=0)
            rows.append(b"#%d" % colour + _shortened(values.astype(np.uint8).tobytes()))
        out.append(b"$".join(rows) + b"-")
    return b"".join(out) + b"\x1b\\"


def _shortened(row: bytes) -> bytes:
    """Write runs of one letter as its count: ``!7?``."""
    out, start = [], 0
    for place in range(1, len(row) + 1):
        if place < len(row) and row[place] == row[start]:
            continue
        count, letter = place - start, row[start : start + 1]
        out.append(b"!%d" % count + letter if count > 3 else letter * count)
        start = place
    return b"".join(out)
