"""Write the pages of results from outputs of ``mpikit reproduce``.

    python docs/results/make_results.py OUTPUT [OUTPUT ...]

Give all runs of an experiment in one call: its folder is made anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mpikit.experiments import write_results_page

if __name__ == "__main__":
    for path in write_results_page([Path(name) for name in sys.argv[1:]], Path(__file__).parent):
        print(path)
