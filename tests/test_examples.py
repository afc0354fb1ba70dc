"""Scripts of `examples/` that are not run as a whole here: what they read, and what they print."""

import importlib.util
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="the examples are not here")


def script(name):
    """A script, as a module."""
    specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def table():
    """The script that prints the table of accuracies, as a module."""
    return script("table_accuracy")


@pytest.fixture
def beside(monkeypatch):
    """Let scripts import what stands beside them."""
    monkeypatch.syspath_prepend(EXAMPLES)


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


def test_cross_validation_stands_beside_models_of_rows(folder, beside, monkeypatch, capsys):
    X = np.random.default_rng(0).normal(size=(24, 9, 2))
    np.savez(folder / "Plane.npz", X=X, y=X[:, 4, 0] > 0, split=np.zeros(24))
    options = ["--data", str(folder), "--cuts", "1", "--only", "ERing", "Plane", "Libras"]
    monkeypatch.setattr(sys, "argv", ["table_cross_validation.py", *options])
    script("table_cross_validation").main()
    printed = capsys.readouterr()
    header, _, *rows = [line.strip("| ").split(" | ") for line in printed.out.splitlines()]
    assert header[:6] == ["data set", "samples, fits", "skattn", "log loss", "ridge", "trees"]
    (ragged, whole, mean), trees = rows, header.index("trees")
    assert ragged[:2] == ["ERing", "16, 3"] and ragged[trees] == "–"
    assert whole[:2] == ["Plane", "24, 3"] and 0.5 < float(whole[trees]) <= 1
    assert mean[0] == "mean of the 1 that all take" and mean[2:] == whole[2:]
    assert "Libras: skipped, as no --data folder holds Libras.npz" in printed.err


def test_people_that_are_told_are_not_those_learned_from(beside, monkeypatch, capsys):
    unseen, seen = script("table_unseen"), []
    generator = np.random.default_rng(0)
    steps = [generator.normal(size=(20, 6)) + (i % 2) for i in range(40)]
    recordings = {"X": steps, "y": np.arange(40) % 2, "subject": np.arange(40) // 4}
    monkeypatch.setattr(unseen, "read_watch", lambda: recordings)
    monkeypatch.setattr(unseen, "PIECES", {"short": (2, 9, 2, 3)})
    cut = unseen.cut_out(recordings, 2, 9, 2)
    np.testing.assert_array_equal(cut[0][0], np.float32(steps[0][::2][:9]))
    np.testing.assert_array_equal(cut[0][1], np.float32(steps[0][::2][1:10]))
    monkeypatch.setattr(
        unseen, "score", lambda models, X, y, is_known: seen.append((is_known, X)) or [0.5] * len(models)
    )
    monkeypatch.setattr(sys, "argv", ["table_unseen.py", "--draws", "2"])
    monkeypatch.setattr(unseen, "rockets", dict)
    unseen.main()
    assert "| short: 9 × 6 | 3, 24 | 0.500 |" in capsys.readouterr().out
    for is_known, X in seen:
        known = set(cut[2][is_known])
        assert X.shape == (80, 9, 6) and len(known) == 3 and not known & set(cut[2][~is_known])


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


def test_each_step_of_a_case_has_the_next_activity_or_the_end(beside):
    log = {"activity": np.array([1, 8, 6, 2, 3], np.int8), "dt_seconds": np.array([0, 15, 9, 0, 7], np.float32)}
    tokens = script("table_tokens")
    folds, activities = tokens.read_events({**log, "lengths": np.array([3, 2]), "split": np.array([0, 1])})
    ((X_train, y_train), (X_test, y_test)) = folds[0]
    assert [[[8, 6, 0]], [[3, 0]]] == [[labels.tolist() for labels in y] for y in (y_train, y_test)]
    assert [[1, 8, 6], [2, 3]] == [steps[:, 0].tolist() for steps in [*X_train, *X_test]]
    np.testing.assert_allclose(X_train[0][:, 1], np.log1p([0, 15, 9]), rtol=1e-6)
    # Simple models see each prefix as a sample.
    prefixes = tokens.prefixes(X_train)
    assert [[1], [1, 8], [1, 8, 6]] == [steps[:, 0].tolist() for steps in prefixes]
    assert [[1, 0, 0, 0, 1, 0, 0, 0, 0, 1]] == tokens.count_events(prefixes[1:2], activities).tolist()
    model = tokens.OfPrefixes(tokens.MostFrequentFollower()).fit(X_train, y_train)
    assert model.score(X_train, y_train) == 1


def test_the_most_frequent_follower_of_the_last_activity_comes_next(beside):
    X = [np.array([[5, 0], [code, 0]]) for code in (1, 1, 1, 2, 2, 2, 2)]
    model = script("table_tokens").MostFrequentFollower().fit(X, np.array([3, 3, 4, 5, 5, 5, 5]))
    assert [3, 5, 5] == model.predict([np.array([[code, 0]]) for code in (1, 2, 7)]).tolist()


def test_codes_are_read_to_their_ends_and_split_as_the_file_says(beside):
    data = {"tokens": np.array([[1, 2, 0], [2, 0, 0], [1, 1, 1]]), "lengths": np.array([2, 1, 3])}
    vocabulary = np.array(["<pad>", "A", "C"])
    folds, _ = script("table_tokens").read_tokens(
        {**data, "y": np.array([0, 1, 0]), "split": np.array([0, 0, 1]), "vocab": vocabulary}
    )
    assert [[1, 2], [2], [1, 1, 1]] == [codes.tolist() for part in folds[0] for codes in part[0]]


@pytest.mark.parametrize("name", ["remove_cells", "remove_blocks"])
def test_so_many_values_are_taken_away_and_lines_fill_them(beside, name):
    missing = script("table_missing")
    steps = np.random.default_rng(0).normal(size=(211, 7))
    gappy = getattr(missing, name)(steps, np.random.default_rng(1))
    gone = np.isnan(gappy)
    assert abs(gone.mean() - missing.SHARE) < 0.03
    np.testing.assert_array_equal(steps[~gone], gappy[~gone])
    assert np.isfinite(missing.interpolate(gappy)).all()


def test_answers_to_codes_stand_in_their_sequences(beside):
    tasks = script("table_tasks")
    pairs, values = tasks.make_recall_of_codes(0, n_samples=17)
    is_asked = pairs[:, :-1:2] == pairs[:, -1:]
    assert (is_asked.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(values, pairs[:, 1::2][is_asked])
    symbols, followers = tasks.make_induction_of_codes(0, n_samples=17)
    is_marked = symbols[:, :-1] == symbols[:, -1:]
    assert (is_marked.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(followers, symbols[:, 1:][is_marked])


def test_waves_look_alike_in_order_and_differ_in_time(beside):
    X, y = script("table_tasks").make_waves(0, n_samples=2000)
    looks = np.array([[np.abs(np.diff(steps[:, 1])).mean(), steps[:, 1].std(), len(steps)] for steps in X])
    spans = np.array([np.ptp(steps[:, 0]) for steps in X])
    of_classes = [looks[y == label].mean(axis=0) for label in range(4)]
    np.testing.assert_allclose(of_classes, np.tile(looks.mean(axis=0), (4, 1)), rtol=0.05)
    periods = [spans[y == label].mean() * 1.5**label for label in range(4)]
    np.testing.assert_allclose(periods, np.full(4, np.mean(periods)), rtol=0.05)
    assert all((np.diff(steps[:, 0]) >= 0).all() for steps in X)


def test_lookups_stand_beside_what_others_choose(beside, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["table_lookup.py", "--repeats", "1", "--only", "wine"])
    lookup = script("table_lookup")
    lookup.main()
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| wine")]
    assert list(lookup.CLASSIFIERS) == [row[1] for row in rows]
    assert all(0.9 < float(row[2]) <= 1 and float(row[3]) > 0 for row in rows)


def test_what_is_filled_in_and_told_stands_beside_other_ways(beside, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["table_imputation.py", "--samples", "40", "--epochs", "1"])
    imputation = script("table_imputation")
    imputation.main()
    lines = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    rows = {name: numbers for name, *numbers in lines if name != "---" and not name.endswith(" by")}
    assert 12 == len(rows)
    assert all(0.9 < float(number) < 1.1 for number in rows["the mean"])
    assert float(rows["IterativeImputer"][0]) < 0.9 < float(rows["IterativeImputer"][1])


@pytest.mark.parametrize("more", [(), ("--objective", "next_step"), ("--objective", "contrastive")])
def test_few_labels_stand_beside_what_was_learned_without(more, beside, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["table_pretraining.py", "--seeds", "1", "--labels", "2", "--epochs", "1", *more])
    pretraining = script("table_pretraining")
    generator = np.random.default_rng(0)
    sequences = generator.normal(size=(30, 8, 2)).astype(np.float32), np.arange(30) % 3
    monkeypatch.setattr(pretraining, "load", lambda name, folder: [sequences, sequences])
    pretraining.main()
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[-5:]]
    assert [row[0] for row in rows] == [*pretraining.WAYS, "the defaults"]
    assert [row[2] for row in rows][:2] == ["100.0%", "100.0%"]
    assert all(float(row[2].rstrip("%")) < 15 for row in rows[2:4])


def test_what_ranks_steps_stands_beside_occlusion(beside, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["table_importance.py", "--sets", "1", "--samples", "7"])
    importance = script("table_importance")
    generator = np.random.default_rng(0)
    sequences = [generator.normal(size=(n_steps, 2)).astype(np.float32) for n_steps in (5, 7, 4) * 5]
    splits = [(sequences, np.arange(15) % 3)] * 2
    monkeypatch.setattr(importance, "load", lambda name, folder: splits)
    monkeypatch.setattr(importance, "make_marked", lambda: splits)
    monkeypatch.setattr(importance, "make_planted", lambda seed: planted(importance.N_STEPS))
    quick = partial(importance.SelfAttentionClassifier, max_iter=10, n_kernels=64, d_model=16, n_estimators=1)
    monkeypatch.setattr(importance, "SelfAttentionClassifier", quick)
    importance.main()
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert 4 == sum(row[2:] == ["1 of 1", "1 of 1"] for row in rows)
    agreed = [row[1:] for row in rows if row[0] == "occlusion by the mean" and "first" in row[1]]
    assert [["1.00, first 100%"] * 3] * 2 == agreed


def planted(n_steps):
    """What any model finds: a step of a feature that lies high or low."""
    X, y = np.random.default_rng(0).normal(size=(400, n_steps, 3)).astype(np.float32), np.arange(400) % 2
    X[:, 4, 1] = 20 * y - 10
    return X, y, 4, 1
