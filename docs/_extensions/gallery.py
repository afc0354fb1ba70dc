"""How sphinx-gallery runs and sorts the examples."""

import tempfile
from pathlib import Path

from sphinx_gallery.sorting import FileNameSortKey

FOLDER = tempfile.TemporaryDirectory(prefix="skattn_examples_")


def arguments(gallery, script):
    """Let what an example writes lie elsewhere than beside it."""
    writes = "--output" in Path(script["src_file"]).read_text(encoding="utf-8")
    return ["--output", FOLDER.name] if writes else []


class ReadingOrder(FileNameSortKey):
    """The quickstart first, the others by name."""

    def __call__(self, filename):
        return not filename.startswith("plot_quickstart"), filename
