"""Sphinx's settings for the site; `make docs` builds it, see build.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "subcritic"
project_copyright = "2026 the subcritic authors"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    # Ours, beside this file.
    "docstrings",
    "layout",
    "mathml",
    "notation",
]

# The ' of σ'(z) is no quotation mark.
smartquotes = False

html_theme = "furo"
html_title = "subcritic"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_use_index = False
html_domain_indices = False
html_copy_source = False
html_show_sourcelink = False

# Formulae as GitHub writes them, $…$ and ```math; headings have the anchors that GitHub gives them.
myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4
html_math_renderer = "mathml"

# A block that does not say what it is stays plain text.
highlight_language = "none"

# A single backtick in a docstring is code, as in Markdown.
default_role = "literal"
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
python_display_short_literal_types = True
add_module_names = False
