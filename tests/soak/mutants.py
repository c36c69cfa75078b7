"""Change one thing in a module, again and again, and see whether the tests of that module notice.

    python tests/soak/mutants.py layout --sample 150 --seed 1

The tests are collected once and run once with a trace, which says who runs which line. Each mutant is then a
fork in which the code of the loaded functions is replaced, and the tests that run the changed lines are run.
So a mutant costs no start of Python, properties are changed as well, and no file is written: mutmut leaves
decorated functions out, which hold half of a layout, and cosmic-ray starts the tests anew for each mutant.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import sys
import time
import types
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mutations import Mutation, mutations

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("mutants_equivalent.json")
_RECONSTRUCT, _KACZMARZ = "mpikit/reconstruct", "tests/mpikit/reconstruct/test_kaczmarz"
TARGETS = {
    "layout": (
        ["mdf/layout.py"],
        [f"tests/mdf/test_{name}.py" for name in ("layout", "layout_parts", "reading")],
    ),
    "kaczmarz": (
        [f"{_RECONSTRUCT}/{name}.py" for name in ("kaczmarz", "iteration", "sweep", "blocked")],
        [f"{_KACZMARZ}{name}.py" for name in ("", "_choices", "_patches", "_residual", "_source", "_start")],
    ),
    "signal": (["mpikit/signal"], ["tests/mpikit/signal"]),
}
MEMORY = 4 * 2**30  # bytes that a mutant may take
ALIVE = ("survived", "never run", "the same")
EXAMPLES = 25  # of a test by hypothesis, at most; all of them would kill no fewer mutants


@dataclass
class Outcome:
    """What became of a mutant: killed, out of time, survived or never run."""

    mutation: Mutation
    verdict: str


class Mutants:
    """A plugin of pytest that runs the collected tests again for each mutant.

    Parameters
    ----------
    files : list of Path
    sample : int
        Mutants chosen from all; 0 takes all.
    seed : int
    only : str
        Mutants whose name holds it.
    longest : float, s
        Tests that take longer are left out.
    """

    def __init__(self, files: list[Path], sample: int, seed: int, only: str, longest: float) -> None:
        self.files = {str(path) for path in files}
        every = [found for path in files for found in mutations(path)]
        every = [found for found in every if only in found.key(ROOT)]
        self.total = len(every)
        chosen = sorted(random.Random(seed).sample(range(self.total), min(sample or self.total, self.total)))  # noqa: S311
        self.chosen = [every[place] for place in chosen]
        self.outcomes: list[Outcome] = []
        self.longest = longest
        self.is_mutant = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """End a mutant with its first failure."""
        if report.failed:
            os._exit(1 if self.is_mutant else 3)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Trace the tests, then run each mutant."""
        session.config._tmp_path_factory.getbasetemp()
        _shorten(session.items)
        lines, seconds = self._traced(session.items)
        for number, mutation in enumerate(self.chosen):
            picked = self._tests_of(mutation, session.items, lines, seconds)
            limit = 20 + 10 * sum(seconds[item.nodeid] for item in picked)
            verdict = self._verdict(mutation, picked, limit) if picked else "never run"
            self.outcomes.append(Outcome(mutation, verdict))
            if verdict != "killed":
                print(f"{number + 1}/{len(self.chosen)} {verdict}: {mutation.shown(ROOT)}", flush=True)
        return True

    def _traced(self, items: list[pytest.Item]) -> tuple[dict[str, dict[str, list[int]]], dict[str, float]]:
        """Run all tests in a fork: lines of each file and seconds, of each test."""
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            _silence()
            found = {item.nodeid: self._trace(item, after) for item, after in _followed(items)}
            with os.fdopen(writer, "w") as stream:
                json.dump(found, stream)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as stream:
            text = stream.read()
        if os.waitpid(child, 0)[1]:
            raise SystemExit("the tests fail without any mutant")
        found = json.loads(text)
        return {name: one[0] for name, one in found.items()}, {name: one[1] for name, one in found.items()}

    def _trace(self, item: pytest.Item, after: pytest.Item | None) -> tuple[dict[str, list[int]], float]:
        seen: dict[str, set[int]] = defaultdict(set)

        def watch(frame: types.FrameType, event: str, _: Any) -> Any:
            name = frame.f_code.co_filename
            if name not in self.files:
                return None
            seen[name].add(frame.f_lineno)
            return watch

        begun = time.process_time()
        sys.settrace(watch)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        sys.settrace(None)
        return {name: sorted(lines) for name, lines in seen.items()}, time.process_time() - begun

    def _tests_of(
        self,
        mutation: Mutation,
        items: list[pytest.Item],
        lines: dict[str, dict[str, list[int]]],
        seconds: dict[str, float],
    ) -> list[pytest.Item]:
        """Tests that run the changed lines, the quick ones first."""
        first, last = mutation.lines
        name = str(mutation.path)
        found = [i for i in items if any(first <= line <= last for line in lines[i.nodeid].get(name, []))]
        quick = [item for item in found if seconds[item.nodeid] <= self.longest]
        return sorted(quick, key=lambda item: seconds[item.nodeid])

    def _verdict(self, mutation: Mutation, items: list[pytest.Item], limit: float) -> str:
        child = os.fork()
        if not child:
            self._be(mutation, items, int(limit))
        end = time.monotonic() + 20 * limit  # the limit is one of computing; this one is for those who wait
        while time.monotonic() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                return {0: "survived", 4: "the same", -signal.SIGXCPU: "out of time"}.get(code, "killed")
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "out of time"

    def _be(self, mutation: Mutation, items: list[pytest.Item], seconds: int) -> None:
        """Be the mutant; never returns."""
        self.is_mutant = True
        _silence()
        used = int(time.process_time())
        resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, used + seconds + 5))
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
        try:
            if not put_in_place(mutation):
                os._exit(4)
            for item, after in _followed(items):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        except BaseException:  # noqa: BLE001 - whatever a mutant does, it is noticed
            os._exit(1)
        os._exit(0)


def _followed(items: list[pytest.Item]) -> list[tuple[pytest.Item, pytest.Item | None]]:
    return list(zip(items, [*items[1:], None], strict=True))


def _shorten(items: list[pytest.Item]) -> None:
    """Let hypothesis draw a few examples, always the same, and end with the first that fails."""
    from hypothesis import Phase, settings  # after pytest has rewritten its assertions

    for function in {item.function for item in items if isinstance(item, pytest.Function)}:
        kept = getattr(function, "_hypothesis_internal_use_settings", None)
        if kept is not None:
            function._hypothesis_internal_use_settings = settings(
                kept,
                max_examples=min(kept.max_examples, EXAMPLES),
                phases=(Phase.explicit, Phase.generate),
                derandomize=True,
                database=None,
                deadline=None,
                report_multiple_bugs=False,
            )


def _silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def put_in_place(mutation: Mutation) -> bool:
    """Replace the code, the defaults and the constants of a loaded module by those of its mutant.

    Returns
    -------
    bool
        Whether anything is another than before.
    """
    name = ".".join(mutation.path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    module, is_other = sys.modules[name], False
    changed = types.ModuleType(name)
    changed.__file__ = str(mutation.path)
    exec(mutation.compiled(), changed.__dict__)  # noqa: S102 - our own source, with one node changed
    new = dict(_functions(changed, name))
    for key, function in _functions(module, name):
        is_own = function.__code__.co_filename == str(mutation.path)  # not one that dataclass makes
        for part in ("__defaults__", "__kwdefaults__", *(["__code__"] if is_own else [])):
            is_other |= getattr(function, part) != getattr(new[key], part)
            setattr(function, part, getattr(new[key], part))
    for key, value in vars(changed).items():
        before = vars(module).get(key)
        if isinstance(value, int | float | str) and value != before and not key.startswith("__"):
            is_other = True
            for other in list(sys.modules.values()):
                if getattr(other, "__dict__", {}).get(key) is before:
                    setattr(other, key, value)
    return is_other


def _functions(module: types.ModuleType, name: str) -> Iterator[tuple[str, Any]]:
    """All functions that a module defines, those behind decorators too."""
    for key, value in vars(module).items():
        inside = (
            vars(value).items() if isinstance(value, type) and value.__module__ == name else [("", value)]
        )
        for part, found in inside:
            one = _innermost(found)
            if isinstance(one, types.FunctionType) and one.__module__ == name:
                yield f"{key}.{part}", one


def _innermost(found: Any) -> Any:
    """What a property, a cached property or a decorator holds."""
    while not isinstance(found, type):
        inner = [getattr(found, name, None) for name in ("fget", "func", "__wrapped__")]
        if not any(inner):
            break
        found = next(one for one in inner if one)
    return found


def report(found: list[Outcome], total: int, seconds: float) -> float:
    """Print how many were killed; return their share, without the equivalent ones."""
    known = json.loads(EQUIVALENT.read_text()) if EQUIVALENT.exists() else {}
    counts = Counter(one.verdict for one in found)
    killed = counts["killed"] + counts["out of time"]
    alike = sum(one.mutation.key(ROOT) in known for one in found if one.verdict in ALIVE)
    print(f"{len(found)} of {total} mutants in {seconds:.0f} s: {dict(counts)}, equivalent {alike}")
    share, without = (killed / max(count, 1) for count in (len(found), len(found) - alike))
    print(f"killed {share:.1%}, without the equivalent ones {without:.1%}")
    return without


def main() -> None:
    """Run the mutants of one target."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--sample", type=int, default=0, help="mutants chosen from all; 0 takes all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="mutants whose path, function and change hold this text")
    parser.add_argument("--least", type=float, default=0.0, help="share that must be killed, else exit 1")
    parser.add_argument("--longest", type=float, default=60.0, help="leave out tests that take more seconds")
    chosen = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))  # an installed copy is not what is changed
    sources, tests = TARGETS[chosen.target]
    paths = [ROOT / name for name in sources]
    files = [file for path in paths for file in (sorted(path.glob("*.py")) if path.is_dir() else [path])]
    mutants = Mutants(files, chosen.sample, chosen.seed, chosen.only, chosen.longest)
    begun = time.monotonic()
    options = ["-p", "no:terminal", "-p", "no:npe2", "-p", "no:cacheprovider", "--import-mode=importlib"]
    options += ["-o", "addopts=", "-o", "tmp_path_retention_policy=none"]
    code = pytest.main([*options, *tests], plugins=[mutants])
    share = report(mutants.outcomes, mutants.total, time.monotonic() - begun)
    raise SystemExit(int(code) or int(share < chosen.least))


if __name__ == "__main__":
    main()
