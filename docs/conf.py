"""How the docs are built: `make docs` writes them to site/ and takes every warning for an error."""

from __future__ import annotations

import sys
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HOME), str(HOME / "docs" / "extensions")]

import kernelsm  # noqa: E402 - found by the path above

project = "kernelsm"
author = "the authors of kernelsm"
version = release = kernelsm.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "mathml"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["extensions"]
default_role = "py:obj"  # what stands in single backticks in docstrings is a name

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # numpydoc's sections say them in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # api.md names the methods
autosummary_generate = False

html_theme = "furo"
html_title = "kernelsm"
html_logo = "../kernelsm/app/shell/logo.svg"
html_theme_options = {"sidebar_hide_name": True}  # the logo is the name
html_favicon = "../kernelsm/app/shell/icon.svg"
html_math_renderer = "mathml"
html_show_sphinx = False
html_copy_source = False
