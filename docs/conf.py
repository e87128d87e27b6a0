"""Sphinx settings: Markdown through MyST, the furo theme, and nothing that needs the network."""

from __future__ import annotations

import hansa

project = "Hansa"
author = "The Hansa developers"
copyright = "2026, The Hansa developers"  # noqa: A001  # Sphinx's name for it
version = release = hansa.__version__

extensions = ["myst_parser", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "examples"]
html_theme = "furo"
html_title = f"Hansa {release}"
html_static_path: list[str] = []
html_copy_source = False

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
copybutton_prompt_text = r"\$ |# "
copybutton_prompt_is_regexp = True
nitpicky = True
linkcheck_ignore = [r"https?://(localhost|127\.0\.0\.1)"]
