"""In which order the gallery shows the tutorials."""

from pathlib import Path

ORDER = (
    "plot_first_image",
    "plot_mpi",
    "plot_denoise",
    "plot_reconstruction",
    "plot_tune",
    "plot_plugin",
    "plot_reproduce",
    "plot_simulated_scan",
    "plot_kaczmarz",
    "plot_symmetry",
    "plot_wgan",
)


class FromFirstToLast:
    """Sort key of sphinx-gallery: from the first steps to special questions, others last."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, name: str) -> tuple[int, str]:
        stem = Path(name).stem
        return (ORDER.index(stem) if stem in ORDER else len(ORDER), stem)
