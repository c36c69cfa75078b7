"""The command line: one file for each verb, and the one place that turns errors into exit codes."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import Annotated

import typer

from mpikit.cli.compare import compare
from mpikit.cli.completion import COMPLETE, join_bash_words
from mpikit.cli.convert import convert
from mpikit.cli.datasets import datasets_app
from mpikit.cli.demo import demo
from mpikit.cli.denoise import denoise
from mpikit.cli.doctor import doctor
from mpikit.cli.info import info
from mpikit.cli.noise import noise
from mpikit.cli.plan import PlannedCommand
from mpikit.cli.plot import plot
from mpikit.cli.plugins import plugins_app
from mpikit.cli.reconstruct import reconstruct
from mpikit.cli.report import report
from mpikit.cli.reproduce import reproduce
from mpikit.cli.simulate import simulate
from mpikit.cli.train import train
from mpikit.cli.validate import validate
from mpikit.cli.view import view
from mpikit.errors import MpikitError

app = typer.Typer(
    name="mpikit",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

BAD_FILE = 3
INTERRUPTED = 130  # what a shell gives for a program that Ctrl-C ended
NO_READER = 141  # and for one that wrote into a closed pipe

CITATION = """\
mpikit {version}: denoising and reconstruction of Magnetic Particle Imaging data, in Python.

Please cite the methods that you use (mpikit plugins show NAME). The two papers that mpikit began with:

H. Peng, Y. Li, X. Yang, J. Tian, H. Hui:
Self-supervised Signal Denoising for Magnetic Particle Imaging. 2023.

F. Dahms, V. Schulz, F. Schrank:
Unsupervised deep-learning approach for time domain signal denoising in MPI.
International Journal on Magnetic Particle Imaging, 2026."""


def _show_version(wanted: bool) -> None:
    _print_and_stop("{version}", wanted)


def _show_citation(wanted: bool) -> None:
    _print_and_stop(CITATION, wanted)


def _print_and_stop(text: str, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(text.format(version=version("mpikit")))
        raise typer.Exit


@app.callback()
def mpikit(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop."),
    ] = False,
    cite: Annotated[
        bool,
        typer.Option("--cite", callback=_show_citation, is_eager=True, help="Show how to cite and stop."),
    ] = False,
    debug: Annotated[  # `main` reads it, for it must hold when parsing fails too
        bool, typer.Option("--debug", help="Show the traceback of every error; may stand anywhere.")
    ] = False,
) -> None:
    """Denoise and reconstruct Magnetic Particle Imaging (MPI) data."""


app.command("compare")(compare)
app.command("convert")(convert)
app.add_typer(datasets_app, name="datasets")
app.command("demo")(demo)
app.command("denoise")(denoise)
app.command("doctor")(doctor)
app.command("info")(info)
app.command("noise")(noise)
app.command("plot")(plot)
app.command("reconstruct")(reconstruct)
app.command("report")(report)
app.command("reproduce")(reproduce)
app.add_typer(plugins_app, name="plugins")
app.command("simulate")(simulate)
app.command("train")(train)
app.command("validate")(validate)
app.command("view")(view)

for _command in app.registered_commands:  # every verb takes --config
    _command.cls = PlannedCommand


def main() -> None:
    """Run the command line; end the process with the exit code of the cause."""
    # spinning threads of torch can slow training sixfold when another process keeps one core busy
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _hush_matplotlib()
    if os.environ.get(COMPLETE) == "complete_bash":
        join_bash_words(os.environ)
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        _run(arguments)
    except MpikitError as error:
        _fail(error, error.hint, error.exit_code, debug=debug)
    except Exception as error:
        if debug:
            raise
        _fail_for_a_known_cause(error)
        raise


def _fail_for_a_known_cause(error: Exception) -> None:
    """End the process when the file or the machine is to blame, not we."""
    from mpikit.resources import shortage

    mdf = sys.modules.get("mdf")
    if mdf is not None and isinstance(error, mdf.MdfError):
        _fail(error, error.hint, BAD_FILE)
    lack = shortage(error)
    if lack is not None:
        _fail(lack.text, lack.hint, lack.exit_code)


def _hush_matplotlib() -> None:
    """Keep from people what is no business of theirs: a home without a place for fonts, a letter in none."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)


def _run(arguments: list[str]) -> None:
    """Run the app; give the two ways in which Typer ends without a word their own endings."""
    try:
        app(arguments, prog_name="mpikit")
    except SystemExit as end:
        if end.code == INTERRUPTED:
            _fail("interrupted; no file was left half written", "", INTERRUPTED)
        if isinstance(end.__context__, BrokenPipeError):
            _leave_quietly()
        _flush()
        raise


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _leave_quietly()


def _leave_quietly() -> None:
    """Nobody reads any more (``mpikit ... | head``): end without the interpreter's last complaint."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(NO_READER)


def _fail(error: object, hint: str, code: int, *, debug: bool = False) -> None:
    if debug and isinstance(error, BaseException):
        raise error
    from mpikit.cli.console import show_error

    show_error(str(error), hint)
    sys.exit(code)
