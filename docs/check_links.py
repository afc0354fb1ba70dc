"""Look through built pages for references that lead nowhere: ``python docs/check_links.py docs/_build``.

Pages, anchors, pictures, scripts and downloads must be there; addresses elsewhere need only be well formed, for no
network is asked. What does not hold is printed, and the exit code is then 1.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ADDRESSES = {"a": ["href"], "link": ["href"], "img": ["src", "srcset"], "script": ["src"], "iframe": ["src"]}


class Page(HTMLParser):
    """What a page refers to, and which of its places have names."""

    def __init__(self, text):
        super().__init__()
        self.references, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors |= {attributes[name] for name in ("id", "name") if attributes.get(name)}
        for name in ADDRESSES.get(tag, []):
            if attributes.get(name) is not None:
                parts = attributes[name].split(",") if name == "srcset" else [attributes[name]]
                self.references += [part.split()[0] if name == "srcset" else part for part in parts]


def wrong_with(reference, page, folder, pages):
    """Say what is wrong with a reference of a page, or give None."""
    try:
        url = urlsplit(reference)
    except ValueError as error:
        return str(error)
    if re.search(r"\s", reference):
        return "holds a space"
    if url.scheme in {"data", "mailto"}:
        return None
    if url.scheme or url.netloc:
        return None if url.scheme in {"http", "https"} and "." in url.netloc else "is no address"
    target = (page.parent / unquote(url.path)).resolve() if url.path else page
    if folder not in target.parents or not target.is_file():
        return "is not there"
    fragment = unquote(url.fragment)
    if fragment and target in pages and fragment not in pages[target].anchors:
        return "has no such place"
    return None


def broken(folder):
    """Give a line for each broken reference of the pages in a folder."""
    folder = Path(folder).resolve()
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    if not pages:
        return [f"{folder} holds no page"]
    found = ((path, reference, wrong_with(reference, path, folder, pages)) for path in pages
             for reference in dict.fromkeys(pages[path].references))  # fmt: skip
    return [f"{path.relative_to(folder)}: {reference!r} {wrong}" for path, reference, wrong in found if wrong]


if __name__ == "__main__":
    lines = broken(sys.argv[1])
    print(*lines, f"{len(lines)} broken references", sep="\n")
    sys.exit(bool(lines))
