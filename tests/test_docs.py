"""What the documentation shows is so: its code runs, and the code, files and commands that it names exist."""

import doctest
import importlib
import re
import runpy
import sys
from pathlib import Path

import pytest

from skattn import datasets, parameters

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
BUILT = {"_build", "auto_examples", "gen_modules", "templates"}
PAGES = sorted(path for path in DOCS.rglob("*.rst") if not BUILT & set(path.relative_to(DOCS).parts))
README = ROOT / "README.md"
MODULES = [
    *["base", "classifier", "frames", "_array_layouts", "functional", "regressor", "scaler", "text", "transformer"],
    *["soft_lookup", "stream", "tokens", "compilation"],
    "datasets._loaders",
    *["inspection.attention_page", "inspection.head_report", "inspection.head_removal", "inspection.gradients"],
    *[f"inspection.{name}_display" for name in ("attention", "head", "importance", "loss_curve", "token_attention")],
]

pytestmark = pytest.mark.skipif(not README.exists() or not PAGES, reason="the documentation is not here")


def name_of(page):
    """Give the name by which pages refer to a page."""
    return page.relative_to(DOCS).with_suffix("").as_posix()


def code_blocks(language):
    """Give the blocks of the README that are in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def every(step, load):
    """Give a loader of so many times fewer samples."""
    return lambda **options: [samples[::step] for samples in load(**options)]


def inclusions():
    """Give each literalinclude: its page, the file it includes, and its options."""
    pattern = re.compile(r"^( *)\.\. literalinclude:: (\S+)\n((?:\1   :.*\n)*)", re.MULTILINE)
    for page in PAGES:
        for _, target, options in pattern.findall(page.read_text(encoding="utf-8")):
            yield pytest.param(
                (page.parent / target).resolve(),
                dict(re.findall(r":([\w-]+): *(.*)", options)),
                id=f"{name_of(page)}-{Path(target).stem}",
            )


def test_every_module_stands_on_its_floor():
    listing = re.search(
        r"code-block:: text\n\n((?: {3}.*\n|\n)+)", (DOCS / "architecture.rst").read_text(encoding="utf-8")
    )[1]
    named = set(re.findall(r"[\w/]+\.py\b", listing))
    modules = {path.name for path in (ROOT / "skattn").rglob("*.py")} - {"__init__.py", "_loaders.py"}
    assert named == modules


def test_readme_code_runs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(parameters, "resolve_max_iter", lambda *_: 2)
    for block in code_blocks("python"):
        exec(compile(block, str(README), "exec"), {})


def test_readme_has_two_commands_and_they_are_what_is_checked():
    run, test = code_blocks("sh")
    assert run == 'pip install ".[plot]" && python examples/plot_quickstart.py\n'
    assert test == 'pip install ".[test]" && pytest\n'


def test_the_first_command_of_the_readme_runs(monkeypatch, tmp_path):
    """With a few samples: at full length the gallery runs it."""
    pytest.importorskip("matplotlib")
    _, command = code_blocks("sh")[0].strip().split(" && ")
    script = ROOT / command.removeprefix("python ")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.setattr(parameters, "resolve_max_iter", lambda *_: 1)
    for name, step in (("load_japanese_vowels", 5), ("load_pen_digits", 37)):
        monkeypatch.setattr(datasets, name, every(step, getattr(datasets, name)))
    runpy.run_path(str(script), run_name="__main__")
    written = {"quickstart_attention.png", "quickstart_loss.png", "quickstart_model.joblib"}
    assert written == {path.name for path in tmp_path.iterdir()}


def test_readme_links_lead_somewhere():
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README.read_text(encoding="utf-8"))
    assert [] == [link for link in links if not (ROOT / link).exists()]


@pytest.mark.parametrize("page", [page for page in PAGES if ">>> " in page.read_text(encoding="utf-8")], ids=name_of)
def test_pages_run(page):
    """Each by itself, as it is read."""
    result = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert result.attempted > 0 and result.failed == 0


def test_code_of_pages_is_run_or_included():
    """A block of Python that is neither could say anything."""
    pattern = re.compile(r"^ *\.\. code(?:-block)?:: *(?:python|pycon)\b|::\n\n +(?:import|from) ", re.MULTILINE)
    assert [] == [name_of(page) for page in PAGES if pattern.search(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(f"skattn.{name}")).failed == 0


@pytest.mark.parametrize("file, options", list(inclusions()))
def test_included_code_is_there(file, options):
    text = file.read_text(encoding="utf-8")
    for option in {"start-at", "start-after", "end-at", "end-before"} & set(options):
        assert options[option] in text
    if "pyobject" in options:
        name = options["pyobject"].split(".")[-1]
        assert re.search(rf"^ *(def|class) {name}\b", text, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_name_files_that_exist(page):
    names = re.findall(r"``((?:skattn/|tests/|examples/)?[\w/]+\.(?:py|csv))``", page.read_text(encoding="utf-8"))
    places = [ROOT, ROOT / "skattn", ROOT / "skattn" / "_kernels"]
    assert [] == [name for name in names if not any((place / name).exists() for place in places)]


@pytest.mark.parametrize("module", ["skattn", "skattn.datasets", "skattn.inspection"])
def test_the_reference_has_every_public_name(module):
    listed = re.findall(r"^   (?:[\w.]+\.)?(\w+)$", (DOCS / "api.rst").read_text(encoding="utf-8"), re.MULTILINE)
    public = importlib.import_module(module).__all__
    assert set(public) - {"__version__", "datasets", "inspection"} <= set(listed)
