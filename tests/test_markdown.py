"""What stands in Markdown files reads in pages as it does there."""

import importlib.util
from pathlib import Path

import pytest

EXTENSION = Path(__file__).parent.parent / "docs" / "_extensions" / "markdown.py"


@pytest.fixture
def as_rst():
    """The function that turns Markdown into what pages are written in."""
    if not EXTENSION.exists():
        pytest.skip("the documentation is not here")
    pytest.importorskip("sphinx")
    specification = importlib.util.spec_from_file_location("markdown", EXTENSION)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return lambda text: "\n".join(module.as_rst(text))


def test_headings_are_underlined_as_deep_as_they_are(as_rst):
    assert "\nLog\n===\n\n\nOne - two\n---------\n" == as_rst("# Log\n## [One] - two")


def test_links_outwards_are_kept_and_those_to_files_are_their_names(as_rst):
    assert "`Here <https://a.org/b>`__ or `there`" == as_rst("[Here](https://a.org/b) or [`there`](docs/there.rst)")


def test_a_table_has_its_rows_and_no_marks_of_its_columns(as_rst):
    expected = ".. list-table::\n   :header-rows: 1\n   :class: measured\n\n   * - a\n     - b\n   * - 1\n     -\n"
    assert f"before\n\n{expected}\nafter" == as_rst("before\n| a | b |\n| --- | ---: |\n| 1 | |\nafter")


def test_what_is_hidden_stays_so(as_rst):
    assert "shown" == as_rst("<!-- a\nmark -->\nshown")
