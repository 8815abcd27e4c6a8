"""Sphinx configuration. Everything builds offline; warnings are errors (``make docs``)."""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "src"), str(HERE.parent / "tools")]

from generate_docs import generate  # noqa: E402  it stands beside us, not in the path

generate(HERE)  # before anything is read: pages of tables and commands are documents of their own

project = "osgp"
author = "the osgp contributors"
copyright = "the osgp contributors, Apache-2.0"
_version = re.search(r'^__version__ = "(.+)"$', (HERE.parent / "src/osgp/__init__.py").read_text("utf-8"), re.MULTILINE)
if _version is None:
    raise SystemExit("src/osgp/__init__.py does not declare __version__")
release = version = _version[1]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "generated"]
myst_enable_extensions = ["deflist", "colon_fence", "fieldlist", "attrs_inline"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_data", "_generated", "_ext", "Thumbs.db", ".DS_Store"]
nitpicky = False
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
# Copy what is typed, not the prompt in front of it nor the output below.
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = f"osgp {release}"
html_theme_options = {"navigation_with_keys": True}
html_show_sphinx = False
html_copy_source = False
