"""The project of a plugin: what it is called, and what stands in its files."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Literal

from mpikit.errors import UsageError
from mpikit.plugins import RESERVED, registry
from mpikit.records import NAME
from mpikit.scaffold.folder import check_folder, write_folder

Kind = Literal["denoiser", "noise"]

PREFIX = "mpikit-"
LONGEST = 60  # characters of a name: file systems end at 255 for a file, listings much earlier
SUMMARIES: Mapping[Kind, str] = {
    "denoiser": "Low-pass that keeps a part of the bandwidth",
    "noise": "Spikes that hit single samples",
}


@dataclass(frozen=True)
class PluginProject:
    """The project of a plugin.

    Parameters
    ----------
    name : str
        Of the denoiser or noise model, as ``--method`` or ``--noise`` takes it, and of the entry point.
    kind : {"denoiser", "noise"}
    folder : Path
    """

    name: str
    kind: Kind
    folder: Path

    @property
    def distribution(self) -> str:
        """Name of the distribution, as pip takes it."""
        return f"{PREFIX}{self.name}"

    @property
    def package(self) -> str:
        """Name of the Python package."""
        return self.distribution.replace("-", "_")

    def contents(self) -> dict[str, str]:
        """Return the text of every file by its path in the folder, with ``/`` between the parts."""
        names = {
            "name": self.name,
            "distribution": self.distribution,
            "package": self.package,
            "summary": SUMMARIES[self.kind],
            "requirement": f"mpikit>={version('mpikit').partition('+')[0]}",
        }
        templates = {
            "pyproject.toml": "pyproject.toml",
            "README.md": f"{self.kind}/README",
            f"src/{self.package}/__init__.py": f"{self.kind}/init",
            f"src/{self.package}/{self.kind}.py": f"{self.kind}/{self.kind}",
            f"tests/test_{self.package}.py": f"{self.kind}/tests",
        }
        return {path: _template(name).substitute(names) for path, name in templates.items()}


def new_plugin(name: str, folder: Path, *, kind: Kind = "denoiser", overwrite: bool = False) -> PluginProject:
    """Write the project of a plugin that works, and whose own tests pass once it is installed.

    Parameters
    ----------
    name : str
        Of the denoiser or noise model: lower-case words joined by hyphens, offered by no installed plugin.
        The distribution is called ``mpikit-NAME``.
    folder : Path
        Absent or empty; it is complete afterwards, or as it was before.
    kind : {"denoiser", "noise"}
    overwrite : bool
        The folder may hold something: files of the project are replaced, others stay. A name that the
        project itself offers, because it is installed, is no longer taken.

    Returns
    -------
    PluginProject

    Raises
    ------
    UsageError
        When the name is no valid one, or is taken.
    InputError
        When the folder is not empty or cannot be written.
    """
    project = check_plugin_project(name, folder, kind=kind, overwrite=overwrite)
    write_folder(folder, project.contents(), overwrite=overwrite)
    return project


def check_plugin_project(
    name: str, folder: Path, *, kind: Kind = "denoiser", overwrite: bool = False
) -> PluginProject:
    """Return the project that `new_plugin` would write, if it may; nothing is written."""
    project = PluginProject(name, kind, folder)
    _check_name(name)
    _check_free(project, again=overwrite)
    check_folder(folder, overwrite=overwrite)
    return project


def _template(name: str) -> Template:
    path = files("mpikit.scaffold").joinpath("templates", f"{name}.template")
    return Template(path.read_text(encoding="utf-8"))


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name of a method, expected lower-case words joined by hyphens",
            hint=_proposal(name) or "for instance running-mean",
        )
    if len(name) > LONGEST:
        raise UsageError(f"the name {name!r} has {len(name)} characters, expected {LONGEST} at most")
    if name.startswith(PREFIX):
        raise UsageError(
            f"{name!r} starts with {PREFIX!r}, which the package gets anyway",
            hint=f"say {name.removeprefix(PREFIX)}: the package is then called {name}",
        )

    if keyword.iskeyword(name) or name in {"mpikit", "mdf"}:
        what = "a word of Python itself" if keyword.iskeyword(name) else "a package of mpikit"
        raise UsageError(f"{name!r} is {what}, expected a name of a method", hint=f"try {name}-filter")


def _proposal(name: str) -> str:
    """Propose the nearest valid name: Running_Mean is running-mean."""
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in name.lower())
    nearest = "-".join(words.split())
    return f"try {nearest}" if NAME.fullmatch(nearest) else ""


def _check_free(project: PluginProject, *, again: bool) -> None:
    """Refuse a name that a method, an installed distribution or a package has already."""
    words = "denoiser" if project.kind == "denoiser" else "noise model"
    if project.name in RESERVED:
        raise UsageError(
            f"the name {project.name!r} is reserved: it is a word of mpikit itself in the place of a method",
            hint="choose another name",
        )
    owners = _owners(project)
    if again:
        owners.discard(project.distribution)
    if owners:
        raise _taken(f"the {words} {project.name!r} is of {' and '.join(sorted(owners))} already")
    ours = _is_installed(project.distribution)
    if ours and not again:
        raise _taken(f"a distribution {project.distribution!r} is installed already")
    if not ours and find_spec(project.package) is not None:
        raise UsageError(
            f"the package would be called {project.package!r}, and one of this name is installed already",
            hint="choose another name: Python would find only one of the two",
        )


def _owners(project: PluginProject) -> set[str]:
    """Return the distributions that offer a method of this kind and name."""
    found = registry()
    if project.kind == "denoiser":
        return {offer.distribution for offer in found.denoisers.get(project.name, [])}
    return {offer.distribution for offer in found.noise_models.get(project.name, [])}


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _taken(message: str) -> UsageError:
    return UsageError(message, hint="choose another name; mpikit plugins list shows those that are taken")
