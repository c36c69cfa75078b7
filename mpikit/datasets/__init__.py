"""Public MPI data sets: which there are, which calibration fits which measurement, and how to get them."""

from mpikit.datasets.catalogue import DATASETS, Dataset, dataset, fitting, in_bytes
from mpikit.datasets.fetching import fetch, plan
from mpikit.datasets.places import cache_folder, fetched_path, place

__all__ = [
    "DATASETS",
    "Dataset",
    "cache_folder",
    "dataset",
    "fetch",
    "fetched_path",
    "fitting",
    "in_bytes",
    "place",
    "plan",
]
