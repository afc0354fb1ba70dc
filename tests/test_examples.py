"""Scripts of `examples/` that are not run as a whole here: what they read, and what they print."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="the examples are not here")


@pytest.fixture
def table():
    """The script that prints the table of accuracies, as a module."""
    specification = importlib.util.spec_from_file_location("table_accuracy", EXAMPLES / "table_accuracy.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path):
    """A folder with one small data set, and one published number that counts and one that does not."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(23, 5, 3)).astype(np.float32)
    X[::2, 3:] = np.nan
    np.savez(tmp_path / "ERing.npz", X=X, y=np.arange(23) % 2, split=np.arange(23) % 3 // 2)
    (tmp_path / "published.csv").write_text(
        "dataset,model,value,protocol,source\n"
        'ERing,ROCKET,0.875,"default split, fold 0",somewhere\n'
        'ERing,MiniROCKET,0.999,"best accuracy",somewhere\n'
    )
    return tmp_path


def test_accuracies_stand_beside_published_ones(table, folder, monkeypatch, capsys):
    options = ["--data", str(folder), "--seeds", "2", "--only", "ERing", "Libras"]
    monkeypatch.setattr(sys, "argv", ["table_accuracy.py", *options])
    table.main()
    printed = capsys.readouterr()
    header, _, row, *_ = printed.out.splitlines()
    cells = dict(zip(header.split(" | "), row.split(" | "), strict=True))
    assert row.startswith("| ERing | 16 / 7, 5 × 3, 2 | ")
    assert (cells["ROCKET"], cells["MiniROCKET"]) == ("0.875", "–")
    assert "Libras: skipped, as no --data folder holds Libras.npz" in printed.err


def test_a_table_is_put_between_its_marks(table, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", encoding="utf-8")
    table.insert("new", page)
    assert page.read_text(encoding="utf-8") == f"before\n{table.BEGIN}\n\nnew\n\n{table.END}\nafter\n"


def test_without_a_folder_only_shipped_data_is_there(table):
    assert table.load("ERing", None) is None and table.read_published(None) == {}


def test_a_bag_of_steps_ignores_padding_and_order(table):
    steps = np.random.default_rng(1).normal(size=(7, 3))
    padded = np.concatenate([steps[::-1], np.full((2, 3), np.nan)])
    alone, beside = table.bag_of_steps([steps, padded])
    np.testing.assert_allclose(alone, beside)
