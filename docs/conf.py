"""Sphinx settings; build with ``sphinx-build -W -b html docs docs/_build``."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for tutorial_order

project = "mpikit"
author = "The mpikit developers"
copyright = "The mpikit developers"  # noqa: A001 - Sphinx wants this name
release = version = installed_version("mpikit")

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "sphinx_gallery.gen_gallery"]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "plugins/example", "plugins/learned", "tutorials", "results/**/*.table.md"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings have types, shapes and units
maximum_signature_line_length = 80
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "tutorials",
    "gallery_dirs": "auto_tutorials",
    "within_subsection_order": "tutorial_order.FromFirstToLast",
    "filename_pattern": "",  # run every script, not only plot_*
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "remove_config_comments": True,
    "min_reported_time": 1e6,
}

html_theme = "furo"  # dark and light, readable on a phone
html_title = f"mpikit {version}"
html_static_path = ["_static"]
html_css_files = ["mpikit.css"]
