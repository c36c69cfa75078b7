"""Ways to damage bytes, and trees of JSON and TOML."""

from __future__ import annotations

import json
import math
from typing import Any

from fuzz.kinds import Rng

DEEP = "[" * 100_000
ODD_TEXTS = (
    "", " ", "x" * 100_000, "\x00", "\x1b[2J\x07", "é\u202e", "\ud800", "nan", "-1", "1e999",
    "../../etc/passwd", "/dev/zero",
    "__import__('os').system('true')", "<script>", "=1+1", "%s%n", "{0.__class__}",
)  # fmt: skip
ODD_NUMBERS = (
    0, -1, 1, 2, 7, 255, 2**31, 2**63, -(2**63), 2**64, 10**30, 10**400, 0.0, -0.0, 0.5, 1e-300, 1e300,
    5e-324, math.nan, math.inf, -math.inf,
)  # fmt: skip


def damage_bytes(rng: Rng, raw: bytes) -> bytes:
    """Damage bytes in one to three ways: flips, zeros, cuts, insertions, copies, odd sizes."""
    out = bytearray(raw)
    for _ in range(int(rng.integers(1, 4))):
        if out:
            _damage_once(rng, out)
    return bytes(out)


def _damage_once(rng: Rng, out: bytearray) -> None:
    at, length = int(rng.integers(len(out))), int(rng.integers(1, 33))
    match int(rng.integers(8)):
        case 0:
            for place in rng.integers(len(out), size=int(rng.integers(1, 9))):
                out[place] ^= 1 << int(rng.integers(8))
        case 1:
            out[at : at + length] = rng.bytes(length)
        case 2:
            out[at : at + length] = bytes(length)
        case 3:
            del out[at:]
        case 4:
            out[at:at] = rng.bytes(length)
        case 5:
            del out[at : at + length]
        case 6:
            to = int(rng.integers(len(out)))
            out[to : to + length] = out[at : at + length]
        case _:
            width = int(rng.choice([1, 2, 4, 8]))
            value = int(rng.choice([0, 1, 2**7, 2**15, 2**31 - 1, 2**32 - 1, 2**62])) % 2 ** (8 * width)
            out[at : at + width] = value.to_bytes(width, "little" if rng.random() < 0.5 else "big")


def odd_value(rng: Rng, depth: int = 0) -> Any:
    """Return a value that hardly fits anywhere."""
    kind = int(rng.integers(8 if depth < 3 else 6))
    if kind < 3:
        some = ODD_TEXTS if kind == 0 else ODD_NUMBERS
        return some[rng.integers(len(some))]
    if kind < 6:
        return [bool(rng.integers(2)), [] if rng.random() < 0.5 else {}, None][kind - 3]
    if kind == 6:
        return [odd_value(rng, depth + 1) for _ in range(int(rng.integers(1, 5)))]
    return {"name": odd_value(rng, depth + 1), "": odd_value(rng, depth + 1)}


def damage_tree(rng: Rng, tree: Any) -> Any:
    """Damage a tree of dicts and lists in one to three places."""
    chance = rng.random()
    for _ in range(1 if chance < 0.5 else int(rng.integers(1, 4))):
        tree = _damage_leaf(rng, tree) if chance < 0.5 else _damage_node(rng, tree)
    return tree


def _damage_leaf(rng: Rng, tree: Any) -> Any:
    """Change one value a little: the file as a whole stays what it is."""
    if isinstance(tree, dict) and tree:
        name = list(tree)[rng.integers(len(tree))]
        return {**tree, name: _damage_leaf(rng, tree[name])}
    if isinstance(tree, list) and tree:
        place = int(rng.integers(len(tree)))
        return [*tree[:place], _damage_leaf(rng, tree[place]), *tree[place + 1 :]]
    if isinstance(tree, bool):
        return not tree
    if isinstance(tree, (int, float)):
        factor = [0, -1, 2, 3, 10, 1000, 10**9, 1e-9, 0.5, 1e30, 1e-30, math.nan, math.inf][rng.integers(13)]
        changed = tree * factor
        return (
            int(changed)
            if isinstance(tree, int) and math.isfinite(changed) and rng.random() < 0.8
            else changed
        )
    return ODD_TEXTS[rng.integers(len(ODD_TEXTS))]


def _damage_node(rng: Rng, tree: Any) -> Any:
    if isinstance(tree, dict) and tree and rng.random() < 0.85:
        names = list(tree)
        name = names[rng.integers(len(names))]
        if rng.random() < 0.6:
            return {**tree, name: _damage_node(rng, tree[name])}
        return _damage_table(rng, tree, name)
    if isinstance(tree, list) and tree and rng.random() < 0.85:
        place = int(rng.integers(len(tree)))
        kind = int(rng.integers(6))
        if kind < 3:
            return [*tree[:place], _damage_node(rng, tree[place]), *tree[place + 1 :]]
        return [tree[:place], tree * 2, [*tree, odd_value(rng)]][kind - 3]
    return _other(rng, tree)


def _damage_table(rng: Rng, tree: dict[str, Any], name: str) -> dict[str, Any]:
    rest = {key: value for key, value in tree.items() if key != name}
    match int(rng.integers(5)):
        case 0:
            return rest
        case 1:
            return {**rest, f"{name}x": tree[name]}
        case 2:
            return {**tree, str(ODD_TEXTS[rng.integers(len(ODD_TEXTS))]): odd_value(rng)}
        case 3:
            other = list(tree)[rng.integers(len(tree))]
            return {**tree, name: tree[other]}
        case _:
            return {**tree, name: odd_value(rng)}


def _other(rng: Rng, value: Any) -> Any:
    """Return the same in another type or of another size, or anything."""
    kind = int(rng.integers(6))
    if isinstance(value, str) and kind < 3:
        return [value[: len(value) // 2], value * 3, [value]][kind]
    if isinstance(value, (int, float)) and kind < 3:
        return [-value, str(value), [value]][kind]
    return odd_value(rng)


def as_json(rng: Rng, tree: Any) -> bytes:
    """Write a tree as JSON; now and then something else, or far too deep."""
    text = json.dumps(tree).encode("utf-8", "surrogatepass")
    chance = rng.random()
    if chance < 0.02:
        return DEEP.encode()
    if chance < 0.04:
        return text.replace(b":", b":" + DEEP.encode(), 1)
    if chance < 0.05:
        return text.decode("utf-8", "replace").encode("utf-16")
    if chance < 0.06:
        return text.replace(b"1", b"1" * 5000)  # more digits than Python reads
    return damage_bytes(rng, text) if chance < 0.2 else text


def as_toml(rng: Rng, tree: Any) -> bytes:
    """Write a tree as TOML; now and then damaged."""
    if not isinstance(tree, dict):
        return f"value = {_toml(tree)}".encode("utf-8", "replace")
    text = "".join(f"{_key(name)} = {_toml(value)}\n" for name, value in tree.items()).encode(
        "utf-8", "replace"
    )
    chance = rng.random()
    if chance < 0.02:
        return b"a = " + DEEP.encode()
    if chance < 0.03:
        return b"[" + b"a." * 50_000 + b"a]\n"
    if chance < 0.04:
        return text + b"b = {a = " * 3000
    return damage_bytes(rng, text) if chance < 0.2 else text


def _key(name: str) -> str:
    return json.dumps(name.encode("utf-8", "replace").decode())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {_toml(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    if value is None:
        return "1979-05-27T07:32:00"  # what TOML has and JSON has not
    return str(value) if isinstance(value, int) else _key(str(value))
