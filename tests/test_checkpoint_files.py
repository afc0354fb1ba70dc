"""A file that is damaged, strange, newer or cannot be written is refused with words, and none is ever run."""

import hashlib
import importlib.util
import io
import json
import os
import pickle
import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from killing import LONG, OTHER, STOPPING, X, all_of, die_after, header_of
from problems import (
    ESTIMATORS,
    SMALL,
    assert_same_bits,
    fitted,
    results_of,
)
from sklearn.base import clone

import skattn
import skattn.checkpoint
from skattn import SelfAttentionRegressor


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.ckpt"


def forge(path, change):
    """Write the file anew as someone would who knows the form: `change` gets the header and the arrays."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(arrays.pop("header").tobytes())
    change(header, arrays)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    path.write_bytes(seal(buffer.getvalue()))


def seal(content):
    return content + hashlib.sha256(content).digest()


@pytest.fixture
def killed(path):
    """The path of a fit that was killed, and an estimator that would go on with it."""
    model = SelfAttentionRegressor(**LONG | STOPPING, checkpoint=path)
    assert die_after(2, fitted, clone(model), X)
    return path, model


def refused(model, path, message):
    """The fit is refused for this reason before any work, names the path and leaves the file alone."""
    content = path.read_bytes()
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}.*{message}") as caught:
        fitted(model, X)
    assert not hasattr(model, "n_features_in_") and content == path.read_bytes()
    return caught.value


DAMAGED = "is no whole checkpoint of skattn: .*; give another path, or delete the file to begin anew"


def test_a_file_cut_short_is_refused(killed):
    path, model = killed
    content = path.read_bytes()
    for n_bytes in (0, 1, 31, 32, 33, 1000, len(content) // 2, len(content) - 32, len(content) - 1):
        path.write_bytes(content[:n_bytes])
        refused(model, path, DAMAGED)


def test_a_file_with_any_bit_flipped_is_refused(killed):
    path, model = killed
    content = path.read_bytes()
    for bit in np.random.default_rng(0).integers(8 * len(content), size=200).tolist():
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        refused(model, path, DAMAGED)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def saved(save, *arguments, **arrays):
    buffer = io.BytesIO()
    save(buffer, *arguments, **arrays)
    return buffer.getvalue()


STRANGERS = {
    "text": lambda bomb: b"This is a letter.",
    "pickle": lambda bomb: pickle.dumps(bomb),
    "array": lambda bomb: saved(np.save, np.ones(7)),
    "array of objects": lambda bomb: saved(np.save, np.array([bomb])),
    "archive of objects": lambda bomb: saved(np.savez, header=np.array([bomb]), parameters=np.array([bomb])),
    "archive without header": lambda bomb: saved(np.savez, parameters=np.ones(7)),
    "header that is no JSON": lambda bomb: saved(np.savez, header=np.ones(7)),
    "header that is a list": lambda bomb: saved(np.savez, header=np.frombuffer(b"[1, 2]", np.uint8)),
    "header as deep as a well": lambda bomb: saved(np.savez, header=np.frombuffer(b"[" * 10**6, np.uint8)),
    "empty header": lambda bomb: saved(np.savez, header=np.frombuffer(b"{}", np.uint8)),
}


@pytest.mark.parametrize("is_sealed", [False, True])
@pytest.mark.parametrize("name", STRANGERS)
def test_a_file_that_is_no_checkpoint_is_refused_and_never_run(name, is_sealed, path):
    trace = path.with_name("trace")
    content = STRANGERS[name](Bomb(trace))
    path.write_bytes(seal(content) if is_sealed else content)
    refused(SelfAttentionRegressor(**LONG, checkpoint=path), path, DAMAGED)
    assert not trace.exists()


FORGED_HEADERS = {
    "a negative counter": lambda header: header["training"].update(n_updates=-1),
    "a counter beyond all bounds": lambda header: header["training"].update(n_updates=2**70, plan_updates=2**71),
    "a counter with a fraction": lambda header: header["training"].update(n_epochs=2.0),
    "a counter in words": lambda header: header["training"].update(n_flat_epochs="many"),
    "a seed beyond all bounds": lambda header: header["training"].update(seed=2**31),
    "no seed": lambda header: header["training"].pop("seed"),
    "more updates than planned": lambda header: header["training"].update(plan_updates=1),
    "no plan": lambda header: header["training"].update(plan_updates=None),
    "more epochs than losses": lambda header: header["training"]["loss_curve"].pop(),
    "a loss in words": lambda header: header["training"]["loss_curve"].__setitem__(0, "low"),
    "a counter too many": lambda header: header["training"].update(network=1),
    "another optimizer": lambda header: header["training"]["optimizer"].update(name="adam"),
    "steps that are no number": lambda header: header["training"]["optimizer"].update(n_steps=None),
    "no optimizer": lambda header: header["training"].pop("optimizer"),
    "an optimizer in words": lambda header: header["training"].update(optimizer="adamw"),
    "no training": lambda header: header.pop("training"),
    "training in a list": lambda header: header.update(training=[]),
    "training in words": lambda header: header.update(training="much"),
    "no beginning": lambda header: header.pop("begun_with"),
    "no data": lambda header: header["begun_with"].pop("data"),
    "data in words": lambda header: header["begun_with"].update(data="some"),
    "more than there is": lambda header: header.update(more=1),
}


@pytest.mark.parametrize("name", FORGED_HEADERS)
def test_a_forged_header_is_refused(name, killed):
    path, model = killed
    forge(path, lambda header, arrays: FORGED_HEADERS[name](header))
    refused(model, path, DAMAGED)


def test_an_optimizer_of_another_kind_is_named(killed):
    path, model = killed
    forge(path, lambda header, arrays: FORGED_HEADERS["another optimizer"](header))
    refused(model, path, "optimizer is Adam.*, expected adamw")


FORGED_ARRAYS = {
    "too short": lambda arrays: arrays.update(parameters=arrays["parameters"][:-1]),
    "too long": lambda arrays: arrays.update(kept_parameters=np.append(arrays["kept_parameters"], 0)),
    "another shape": lambda arrays: arrays.update(parameters=arrays["parameters"][np.newaxis]),
    "another precision": lambda arrays: arrays.update({"mean": np.float32(arrays["mean"])}),
    "another byte order": lambda arrays: arrays.update(parameters=arrays["parameters"].astype(">f8")),
    "words": lambda arrays: arrays.update(parameters=arrays["parameters"].astype(str)),
    "not finite": lambda arrays: arrays["parameters"].__setitem__(3, np.nan),
    "missing": lambda arrays: arrays.pop("mean_square"),
    "no parameters": lambda arrays: arrays.pop("parameters"),
    "too many": lambda arrays: arrays.update(more=arrays["parameters"]),
}


@pytest.mark.parametrize("name", FORGED_ARRAYS)
def test_forged_arrays_never_reach_a_kernel(name, killed):
    path, model = killed
    forge(path, lambda header, arrays: FORGED_ARRAYS[name](arrays))
    with pytest.raises(ValueError, match=DAMAGED):
        fitted(model, X)
    assert not hasattr(model, "n_features_in_"), "the estimator is as it was"


def test_a_file_forged_with_nothing_changed_is_gone_on_with(killed):
    """So the forged ones were refused for what was changed."""
    path, model = killed
    forge(path, lambda header, arrays: None)
    expected = fitted(clone(model).set_params(checkpoint=None), X)
    assert_same_bits(all_of(fitted(model, X)), all_of(expected))


@pytest.mark.parametrize("version", ["99.1.0", f"{skattn.__version__.split('.dev')[0]}.1"])
def test_a_file_of_a_newer_version_is_refused_with_both_named(version, killed):
    path, model = killed
    forge(path, lambda header, arrays: (header.clear(), header.update(skattn=version)))
    refused(model, path, f"was written by skattn {version}, and this is skattn {skattn.__version__}.*another path")


def test_a_file_of_an_older_version_has_the_defaults_of_what_came_later(killed):
    path, model = killed
    expected = fitted(clone(model).set_params(checkpoint=None), X)

    def grow_old(header, arrays):
        header["skattn"] = "0.1.0"
        del header["begun_with"]["parameters"]["causal"]
        del header["training"]["n_flat_epochs"]

    forge(path, grow_old)
    with pytest.raises(ValueError, match="began otherwise: causal is True and was False"):
        fitted(clone(model).set_params(causal=True), X)
    assert_same_bits(results_of(fitted(model, X), X), results_of(expected, X))


def test_a_file_says_which_version_wrote_it(killed):
    assert skattn.__version__ == header_of(killed[0])["skattn"]


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize(
    ("name", "error", "message"),
    [("missing/fit", FileNotFoundError, "choose another path, or make its folder"), (".", IsADirectoryError, "folder")],
)
def test_a_path_that_cannot_be_written_is_an_error_before_any_work(kind, name, error, message, tmp_path):
    """X, which could not be used, is not even looked at."""
    with pytest.raises(error, match=f"{re.escape(str(tmp_path))}.*cannot be written.*{message}"):
        kind(checkpoint=tmp_path / name).fit(None, None)


def test_a_path_must_be_a_path():
    with pytest.raises(ValueError, match="The 'checkpoint' parameter of SelfAttentionRegressor must be"):
        SelfAttentionRegressor(checkpoint=3).fit(X, np.zeros(len(X)))


@pytest.fixture
def full_disk():
    """Makes the system refuse to write larger files, as a full disk does, until it is closed."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def full_disk():
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return full_disk


def test_a_full_disk_is_a_clear_error_and_costs_nothing(full_disk, path):
    model = fitted(SelfAttentionRegressor(**LONG), OTHER)
    before = all_of(model)
    assert die_after(3, fitted, clone(model).set_params(checkpoint=path), X)
    content = path.read_bytes()
    message = f"{re.escape(str(path))} was not written and is as it was: .*; free space, or choose another path"
    with full_disk(), pytest.raises(OSError, match=message):
        fitted(model.set_params(checkpoint=path), X)
    assert content == path.read_bytes() and [path] == list(path.parent.iterdir())
    assert_same_bits(all_of(model), before)
    assert_same_bits(all_of(fitted(model, X)), all_of(fitted(clone(model).set_params(checkpoint=None), X)))


def test_what_killed_processes_left_long_ago_is_removed(path):
    draft = path.with_name(f".{path.name}.0123abcd.part")
    draft.touch()
    os.utime(draft, (0, 0))
    fitted(SelfAttentionRegressor(**SMALL, checkpoint=path), X)
    assert [path] == list(path.parent.iterdir())


STRESS = Path(__file__).parent.parent / "examples" / "stress_kill.py"


@pytest.mark.skipif(not STRESS.exists(), reason="the examples are not here")
def test_a_process_killed_at_a_random_moment_leaves_a_file_that_is_gone_on_with(tmp_path):
    specification = importlib.util.spec_from_file_location("stress_kill", STRESS)
    stress = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(stress)
    outcomes = stress.kill_and_resume(3, tmp_path, seed=1)
    assert ["", "", ""] == [outcome["failed"] for outcome in outcomes]
    assert any(outcome["epochs"] for outcome in outcomes)
