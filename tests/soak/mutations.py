"""The small changes to a source file that tests should notice."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
# Types are checked by mypy, and the words of a message are for people.
CONVERSIONS = {"bool", "float", "int", "list", "tuple"}
LEFT_OUT = {"annotation", "returns", "decorator_list", "bases"}


@dataclass(frozen=True)
class Mutation:
    """One node of a file replaced by another.

    Parameters
    ----------
    path : Path
    tree : ast.Module
        Unchanged.
    slot : (ast.AST, str, int or None)
        Parent, field and place in the field of the node.
    new : ast.AST or None
    function : str
    lines : (int, int)
        First and last line that run only if the node matters.
    """

    path: Path
    tree: ast.Module
    slot: tuple[ast.AST, str, int | None]
    new: Any
    function: str
    lines: tuple[int, int]

    @property
    def old(self) -> Any:
        """The node that is replaced."""
        parent, field, place = self.slot
        found = getattr(parent, field)
        return found if place is None else found[place]

    def _put(self, node: Any) -> None:
        parent, field, place = self.slot
        if place is None:
            setattr(parent, field, node)
        else:
            getattr(parent, field)[place] = node

    def compiled(self) -> CodeType:
        """Compile the file with the change."""
        old = self.old
        self._put(ast.fix_missing_locations(ast.copy_location(self.new, old)))
        try:
            return compile(self.tree, str(self.path), "exec")
        finally:
            self._put(old)

    def key(self, root: Path) -> str:
        """Name the change without a line number."""
        old, new = (_text(node) for node in (self.old, self.new))
        return f"{self.path.relative_to(root)} {self.function}: {old} -> {new}"

    def shown(self, root: Path) -> str:
        """Name the change with its line."""
        return f"{self.lines[0]} {self.key(root)}"


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def mutations(path: Path) -> list[Mutation]:
    """Return all changes to a file."""
    tree = ast.parse(path.read_text())
    span = (1, len(path.read_text().splitlines()))
    return [
        Mutation(path, tree, slot, new, function, lines)
        for slot, function, lines in _slots(tree, "", span)
        for new in _changes(slot)
    ]


def _slots(
    node: ast.AST, function: str, lines: tuple[int, int]
) -> Iterator[tuple[tuple[ast.AST, str, int | None], str, tuple[int, int]]]:
    """All places of a tree that hold a node, with the function and the lines of the statement."""
    for field, value in ast.iter_fields(node):
        if field in LEFT_OUT or (isinstance(node, ast.Raise) and field == "exc"):
            continue
        for place, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or _is_left_out(node, child, field):
                continue
            inner, span = function, lines
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inner = f"{function}.{child.name}".lstrip(".")
            if isinstance(child, ast.FunctionDef):
                span = (child.body[0].lineno, child.end_lineno or child.lineno)
            elif isinstance(child, ast.ClassDef):
                span = (child.lineno, child.end_lineno or child.lineno)
            elif isinstance(child, ast.stmt) and not isinstance(node, ast.Module | ast.ClassDef):
                body = getattr(child, "body", None)
                span = (child.lineno, body[0].lineno - 1 if body else child.end_lineno or child.lineno)
            yield (node, field, place if isinstance(value, list) else None), inner, span
            yield from _slots(child, inner, span)


def _is_left_out(node: ast.AST, child: ast.AST, field: str) -> bool:
    """Texts for people, imports and aliases of types."""
    if isinstance(child, ast.Import | ast.ImportFrom | ast.JoinedStr):
        return True
    if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
        return True
    if isinstance(node, ast.Module) and isinstance(child, ast.Assign):
        return not isinstance(child.value, ast.Constant | ast.BinOp)
    is_cast = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "cast"
    return is_cast and field == "args" and child is node.args[0]


def _changes(slot: tuple[ast.AST, str, int | None]) -> Iterator[ast.AST]:
    parent, field, place = slot
    node = getattr(parent, field)
    node = node if place is None else node[place]
    if isinstance(node, ast.stmt):
        yield from _of_statement(node)
    elif isinstance(node, ast.expr) and not isinstance(getattr(node, "ctx", None), ast.Store):
        yield from _of_expression(node)
        if field == "test" or (isinstance(parent, ast.comprehension) and field == "ifs"):
            yield ast.UnaryOp(ast.Not(), node)


def _of_statement(node: ast.stmt) -> Iterator[ast.AST]:
    if isinstance(node, ast.Return) and not (node.value is None or _is_none(node.value)):
        yield ast.Return(ast.Constant(None))
    if isinstance(node, ast.Expr | ast.AugAssign | ast.Raise):
        yield ast.Pass()
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript | ast.Attribute):
        yield ast.Pass()
    if isinstance(node, ast.AugAssign) and type(node.op) in OPERATORS:
        yield _with(node, op=OPERATORS[type(node.op)]())


def _of_expression(node: ast.expr) -> Iterator[ast.AST]:
    if isinstance(node, ast.Constant):
        yield from _of_constant(node.value)
    elif isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            changed = [*node.ops[:place], OPERATORS[type(operator)](), *node.ops[place + 1 :]]
            yield _with(node, ops=changed)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        yield _with(node, left=node.right, right=node.left)
    elif isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in OPERATORS:
        yield _with(node, op=OPERATORS[type(node.op)]())
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Call):
        yield from _of_call(node)


def _of_constant(value: object) -> Iterator[ast.AST]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float | complex):
        yield ast.Constant(value + 1)
    elif isinstance(value, str):
        yield ast.Constant(value + "XX")


def _of_call(node: ast.Call) -> Iterator[ast.AST]:
    starred = any(isinstance(one, ast.Starred) for one in node.args)
    if len(node.args) >= 2 and not starred:
        yield _with(node, args=[node.args[1], node.args[0], *node.args[2:]])
    is_conversion = isinstance(node.func, ast.Name) and node.func.id in CONVERSIONS
    if len(node.args) == 1 and not starred and not is_conversion:
        yield node.args[0]
    for place in range(len(node.keywords)):
        yield _with(node, keywords=node.keywords[:place] + node.keywords[place + 1 :])


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed
