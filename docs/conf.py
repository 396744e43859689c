"""The documentation site: `nox -s docs` builds it with Sphinx."""

from __future__ import annotations

import sys
from pathlib import Path

import reactorhost

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "reactorhost"
author = "the reactorhost maintainers"
project_copyright = author
version = release = reactorhost.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "docstrings",
    "plain_markdown",
]
exclude_patterns = ["examples", "benchmarks"]
# Every reference must resolve, and every page must be in a table of contents.
nitpicky = True
# In docstrings, `name` is a link where the name is documented, and code where it is not.
default_role = "py:obj"
nitpick_ignore_regex = [
    ("py:obj", ".*"),
    # Of other documentation, which is not read: a build needs no network.
    ("py:class", r"(_pytest|asyncio|click|collections\.abc|contextvars|pathlib|signal|socket|subprocess|types)\..*"),
    (
        "py:class",
        r"SSLContext|Task|reactorhost\.api\.(awaitable|worker)\.T|reactorhost\.api\.worker_protocols\.HasFileno",
    ),
]

# The pages are read on GitHub too: no extension of its syntax but the directives of Sphinx.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90

# Of a block with prompts only what is entered is copied, without the prompts.
copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"
copybutton_copy_empty_lines = False

_COLOURED = (
    "color-brand-primary",
    "color-brand-content",
    "color-brand-visited",
    "color-api-name",
    "color-api-pre-name",
)

html_theme = "furo"
html_title = "reactorhost"
html_baseurl = "https://reactorhost.readthedocs.io/"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_theme_options = {
    "light_css_variables": dict.fromkeys(_COLOURED, "#0b6e75"),
    "dark_css_variables": dict.fromkeys(_COLOURED, "#5cc5c9"),
    "source_repository": "https://github.com/reactorhost/reactorhost/",
    "source_branch": "main",
    "source_directory": "docs/",
}
