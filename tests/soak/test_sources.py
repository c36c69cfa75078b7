"""No source of ours runs what a file says: nothing is unpickled, evaluated, or handed to a shell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for name in ("mdf", "mpikit", "mpikit_plugins") for path in (ROOT / name).rglob("*.py"))

MODULES = {"pickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}
TOP = {"code", "codeop", "runpy", "xml", "ftplib", "telnetlib"}
CALLS = {"eval", "exec", "compile", "__import__", "input"}
METHODS = {
    *("os.system", "os.popen", "torch.load", "torch.jit.load", "torch.hub.load", "tempfile.mktemp"),
    *("pandas.read_pickle", "subprocess.getoutput", "subprocess.getstatusoutput"),
}
STARTS = ("os.exec", "os.spawn", "os.posix_spawn")
LAST = {"extractall", "unpack_archive", "read_pickle", "to_pickle"}
# A plan goes from this process to its own workers, through Dask, which pickles whatever it sends: the plan is
# made one text before so that its arrays come to lie as they lay. Nothing of a file is unpickled.
ALLOWED = {("mpikit/workers.py", "distributed.protocol.pickle")}


def dotted(node: ast.expr) -> str:
    """Return the dotted name that an expression is, or what is known of its end."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def findings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if is_forbidden(each.name))
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module or ''}.{each.name}" for each in node.names]
            yield from (name for name in names if is_forbidden(name) or name in METHODS)
        elif isinstance(node, ast.Call):
            yield from called(node)


def is_forbidden(module: str) -> bool:
    parts = module.split(".")
    return bool(set(parts) & MODULES) or parts[0] in TOP


def called(node: ast.Call) -> Iterator[str]:
    name = dotted(node.func)
    keywords = {each.arg: each.value for each in node.keywords}
    if name in CALLS | METHODS or name.startswith(STARTS) or name.rpartition(".")[2] in LAST:
        yield name
    for word, safe in (("shell", False), ("allow_pickle", False), ("verify", True), ("autoescape", True)):
        value = keywords.get(word)
        if value is not None and not (isinstance(value, ast.Constant) and value.value is safe):
            yield f"{word}={ast.unparse(value)} of {name}"
    if name in {"np.load", "numpy.load"} and "allow_pickle" not in keywords:
        yield f"{name} without allow_pickle=False"
    if name.endswith("Environment") and "autoescape" not in keywords:
        yield f"{name} without autoescape"
    if name.startswith("subprocess.") and node.args and not isinstance(node.args[0], ast.List):
        yield f"{name} with other words than a list"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_runs_what_a_file_says(path):
    where = path.relative_to(ROOT).as_posix()
    found = set(findings(ast.parse(path.read_text(encoding="utf-8"))))
    assert found - {name for file, name in ALLOWED if file == where} == set()


def test_what_is_allowed_is_there():
    for file, name in ALLOWED:
        assert name in set(findings(ast.parse((ROOT / file).read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads",
        "import os.path, yaml",
        "from distributed.protocol import pickle",
        "eval('1')",
        "exec(text)",
        "__import__('os')",
        "os.system('ls')",
        "torch.load(path)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "subprocess.run('ls')",
        "subprocess.run(['ls'], shell=True)",
        "os.execv(a, b)",
        "tarfile.open(a).extractall()",
        "requests.get(a, verify=False)",
        "Environment(loader=a)",
    ],
)
def test_it_is_found(text):
    assert list(findings(ast.parse(text)))


@pytest.mark.parametrize(
    "text", ["re.compile('a')", "network.eval()", "np.load(a, allow_pickle=False)", "subprocess.run(['a'])"]
)
def test_this_is_none(text):
    assert not list(findings(ast.parse(text)))
