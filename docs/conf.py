"""How the pages are built: ``sphinx-build docs docs/_build``; with ``-D plot_gallery=0``, no example is run."""

import sys
from pathlib import Path

import skattn

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "skattn"
author = "the skattn developers"
copyright = author
version = release = skattn.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
    "markdown",
]
exclude_patterns = ["_build"]
templates_path = ["templates"]
# Docstrings write names as `d_model`, as NumPy's do.
default_role = "literal"

autosummary_generate = True
autodoc_typehints = "none"
autodoc_inherit_docstrings = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = f"skattn {version}"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
# What is copied runs: without prompts and results.
copybutton_prompt_text = ">>> |... |$ "
copybutton_prompt_is_regexp = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    # Measurements want a quiet machine, and print what stands in other chapters.
    "ignore_pattern": r"(^|[/\\])(?!plot_)\w+\.py$",
    "reset_modules": ("matplotlib",),
    "backreferences_dir": "gen_modules/backreferences",
    "doc_module": ("skattn",),
    "reference_url": {"skattn": None},
    "download_all_examples": False,
    "write_computation_times": False,
    "show_signature": False,
    # What a notebook would draw is shown, and no address of an object.
    "capture_repr": ("_repr_html_",),
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "reset_argv": "gallery.arguments",
    "within_subsection_order": "gallery.ReadingOrder",
}

# References of other packages are looked up on the network, which a build must not need.
# Learned attributes are properties, which numpydoc refers to; they stand in the table of attributes alone.
nitpick_ignore_regex = [(r"py:.*", r"sklearn\..*"), (r"py:obj", r"\w+_")]

# Every parameter is documented, under its name and in its place, and so are results. Not asked for:
numpydoc_validation_checks = {
    "all",
    *["ES01", "EX01", "SA01"],  # more than a summary, examples and "See Also" everywhere
    *["PR04", "PR07", "RT03"],  # words where "X, y : as in `fit`", or a type and a shape, say all
    "PR08",  # capitals: "float32 or float64." begins as it is written
    "RT02",  # results without names
}
