"""References of built pages that lead nowhere are found, and no others."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "docs" / "check_links.py"

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the documentation is not here")


@pytest.fixture
def links():
    """The script, as a module."""
    specification = importlib.util.spec_from_file_location("check_links", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def broken(links, tmp_path):
    """Give the broken references of a site of two pages and a picture, the first page as told."""
    (tmp_path / "site" / "part").mkdir(parents=True)
    (tmp_path / "outside.html").write_text("")
    (tmp_path / "site" / "a picture.png").write_bytes(b"")
    (tmp_path / "site" / "part" / "other.html").write_text("<h2 id='there'>Other</h2><a href='../index.html'>back</a>")

    def look(text):
        (tmp_path / "site" / "index.html").write_text(text)
        return [line.removeprefix("index.html: ") for line in links.broken(tmp_path / "site")]

    return look


def test_pages_places_pictures_and_addresses_that_are_there_are_found(broken):
    page = "<a href='part/other.html#there'><img src='a%20picture.png'></a><a href='#here' id='here'>x</a>"
    elsewhere = "<a href='https://arxiv.org/abs/2106.09685#S1'>x</a><img src='data:image/png;base64,AAAA'>"
    assert [] == broken(page + elsewhere)


@pytest.mark.parametrize(
    "page, expected",
    [
        ("<a href='part/gone.html'>x</a>", "'part/gone.html' is not there"),
        ("<a href='part/other.html#gone'>x</a>", "'part/other.html#gone' has no such place"),
        ("<a href='#gone'>x</a>", "'#gone' has no such place"),
        ("<img src='gone.png'>", "'gone.png' is not there"),
        ("<img srcset='a%20picture.png 1x, gone.png 2x'>", "'gone.png' is not there"),
        ("<script src='gone.js'></script>", "'gone.js' is not there"),
        ("<a href='../outside.html'>x</a>", "'../outside.html' is not there"),
        ("<a href='part'>x</a>", "'part' is not there"),
        ("<a href='https://arxiv'>x</a>", "'https://arxiv' is no address"),
        ("<a href='htps://arxiv.org'>x</a>", "'htps://arxiv.org' is no address"),
        ("<a href='http://[arxiv.org'>x</a>", "'http://[arxiv.org' Invalid IPv6 URL"),
        ("<a href='part/other.html #there'>x</a>", "'part/other.html #there' holds a space"),
    ],
)
def test_what_leads_nowhere_is_told(broken, page, expected):
    assert [expected] == broken(page)


def test_a_folder_without_pages_is_no_site(links, tmp_path):
    assert [f"{tmp_path} holds no page"] == links.broken(tmp_path)
