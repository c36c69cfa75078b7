"""``mpikit view``: files in the window of napari."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mpikit.viewer import Layer


def view(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="MDF files: measurements, calibrations, reconstructions.",
            show_default=False,
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the layers, open no window; napari is not needed.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the layers as one JSON object, open no window.")
    ] = False,
) -> None:
    """Look at files in napari: images in mm, rows of a system matrix, signals and spectra.

    mpikit view image.mdf

    mpikit view systemmatrix.mdf scan.mdf --dry-run
    """
    from mpikit.viewer import layers_of_file
    from mpikit.viewer.window import check_window, open_window

    if not (dry_run or json):
        check_window()
    layers = [(source, layer) for source in sources for layer in layers_of_file(source)]
    if json:
        from mpikit.cli.console import show_json

        show_json({"layers": [{"file": str(source), **layer.described()} for source, layer in layers]})
    elif dry_run:
        _list([layer for _, layer in layers])
    else:
        open_window([layer for _, layer in layers])


def _list(layers: list[Layer]) -> None:
    from mpikit.cli.console import show_table

    rows = [
        (layer.name, _axes(layer), _in_mm(layer, layer.scale), _in_mm(layer, layer.translate))
        for layer in layers
    ]
    show_table(("layer", "axes", "voxel z, y, x / mm", "first voxel / mm"), rows)


def _axes(layer: Layer) -> str:
    return ", ".join(f"{axis} {size}" for axis, size in zip(layer.axes, layer.data.shape, strict=True))


def _in_mm(layer: Layer, values: tuple[float, ...]) -> str:
    is_of_voxels = layer.kind in ("image", "rows")
    return ", ".join(f"{value + 0:.4g}" for value in values[-3:]) if is_of_voxels else ""
