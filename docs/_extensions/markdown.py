"""Show what stands in Markdown files in pages: headings, links, tables, and what reads alike in both."""

import re
from itertools import groupby
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from docutils.statemachine import StringList
from sphinx.util.nodes import nested_parse_with_titles

UNDERLINES = "=-~^"
LINK = re.compile(r"\[((?:[^\]`]|`[^`]*`)+)\]\(([^)]+)\)")


def as_rst(text):
    """Give Markdown as reStructuredText, in which `name` is code as it is there."""
    lines = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL).splitlines()
    written = []
    for is_table, block in groupby(lines, lambda line: line.startswith("|")):
        block = list(block)
        written += _table(block) if is_table else [part for line in block for part in _line(line)]
    return written


def _line(line):
    heading = re.match(r"(#+) (.*)", line)
    if heading is None:
        return [_links(line)]
    title = re.sub(r"^\[([^\]]+)\]", r"\1", heading[2])
    return ["", title, UNDERLINES[len(heading[1]) - 1] * len(title), ""]


def _table(rows):
    """A list-table: the second row only says how columns are set."""
    written = ["", ".. list-table::", "   :header-rows: 1", "   :class: measured", ""]
    for row in [rows[0], *rows[2:]]:
        cells = [_links(cell.strip()) for cell in row.strip().strip("|").split("|")]
        starts = ["   * - ", *["     - "] * (len(cells) - 1)]
        written += [f"{start}{cell}".rstrip() for start, cell in zip(starts, cells, strict=True)]
    return [*written, ""]


def _links(line):
    """Links to files, which no page leads to, become their names."""
    return LINK.sub(lambda link: f"`{link[1]} <{link[2]}>`__" if link[2].startswith("http") else link[1], line)


class Markdown(Directive):
    """``.. markdown:: file``, or what stands in it between two marks."""

    required_arguments = 1
    option_spec = {"start-after": directives.unchanged, "end-before": directives.unchanged}

    def run(self):
        environment = self.state.document.settings.env
        name, path = environment.relfn2path(self.arguments[0])
        environment.note_dependency(name)
        text = Path(path).read_text(encoding="utf-8")
        for option, part in (("start-after", 1), ("end-before", 0)):
            if option in self.options:
                text = text.split(self.options[option], 1)[part]
        node = nodes.section()
        node.document = self.state.document
        nested_parse_with_titles(self.state, StringList(as_rst(text), source=path), node)
        return node.children


def setup(app):
    app.add_directive("markdown", Markdown)
    return {"parallel_read_safe": True}
