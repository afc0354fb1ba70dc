"""How the pages are built: ``sphinx-build docs docs/_build``, with or without the gallery."""

from importlib.util import find_spec

import skattn

project = "skattn"
author = "the skattn developers"
copyright = author
version = release = skattn.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax", "numpydoc"]
exclude_patterns = ["_build"]
# Docstrings write names as `d_model`, as NumPy's do.
default_role = "literal"

autosummary_generate = True
autodoc_typehints = "none"
autodoc_inherit_docstrings = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
templates_path = ["templates"]

html_theme = "alabaster"
html_theme_options = {
    "description": "Self-attention over sequences, as scikit-learn estimators",
    "fixed_sidebar": True,
    "page_width": "1080px",
}
html_show_copyright = False

has_gallery = find_spec("sphinx_gallery") is not None
if has_gallery:
    extensions.append("sphinx_gallery.gen_gallery")
    sphinx_gallery_conf = {
        "examples_dirs": "../examples",
        "gallery_dirs": "auto_examples",
        "filename_pattern": r"/plot_",
        # Measurements want a quiet machine.
        "ignore_pattern": r"bench_|stress_|__init__",
        "download_all_examples": False,
    }


def setup(app):
    """Let pages ask whether the gallery is built."""
    if has_gallery:
        app.tags.add("gallery")
