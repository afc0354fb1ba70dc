"""Damage and forge saved models: every load must end in an error or in a model that computes, never in a crash.

    python examples/stress_files.py --mutations 10000

Damage is bits flipped, bytes overwritten and files cut short. A forgery is well-formed and has the right checksums,
but says something else in a few places. What is loaded nevertheless transforms sequences and learns from them. Each
thousand runs in a process of its own, in which nothing may start a program, remove a file or open a connection.
"""

import argparse
import copy
import io
import json
import random
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import safetensors.numpy
import skops.io

from skattn import SelfAttentionClassifier, _weights_file
from skattn.persistence import TRUSTED_TYPES

OPTIONS = {
    "n_kernels": 16,
    "n_estimators": 2,
    "d_model": 4,
    "n_heads": 2,
    "d_feedforward": 3,
    "max_iter": 2,
    "random_state": 0,
    "n_jobs": 1,
}
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.remove", "subprocess.Popen", "socket.connect")
BATCH = 1000
NUMBERS = (0, -1, 1, 2, 7, 2**31, 2**63 - 1, 2**64, -(2**63), 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"))
WORDS = ("", "no such", "adam", "sgd", "squared_error", "attention", "learned", "float32", "O", "<U9999999")
LOADERS = ("os", "system", "builtins", "eval", "NdArrayNode", "JsonNode", "ObjectNode", "FunctionNode", "MethodNode")
HOSTILE = (*NUMBERS, *WORDS, *LOADERS, None, True, False, [], {}, [[]], {"a": 1}, [1, 2])


def make_sequences():
    """A few sequences, some longer than any at fit."""
    generator = np.random.default_rng(0)
    X = [generator.normal(size=(n_steps, 3)) for n_steps in (7, 5, 3, 7, 2)]
    return X, np.array(["a", "b", "a", "b", "a"]), [*X, generator.normal(size=(97, 3))]


def damage(content, dice):
    """Flip a bit, overwrite some bytes, or cut the file short."""
    content, how = bytearray(content), dice.random()
    if how < 0.6:
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    elif how < 0.8:
        begin = dice.randrange(len(content))
        content[begin : begin + dice.randrange(1, 64)] = dice.randbytes(dice.randrange(64))
    else:
        del content[dice.randrange(len(content)) :]
    return bytes(content)


def places(value, path=()):
    """Every path into nested dicts and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for name, inner in items:
        yield (*path, name)
        yield from places(inner, (*path, name))


def forge(value, dice):
    """Change something in nested dicts and lists: another value, one from elsewhere, or nothing at all."""
    value = copy.deepcopy(value)
    for _ in range(dice.choice((1, 1, 2, 3))):
        path = dice.choice(list(places(value)))
        where = at(value, path[:-1])
        if isinstance(where, tuple):
            continue
        how = dice.random()
        if how < 0.1:
            del where[path[-1]]
        elif how < 0.3:
            where[path[-1]] = copy.deepcopy(at(value, dice.choice(list(places(value)))))
        else:
            where[path[-1]] = change(where[path[-1]], dice)
    return value


def at(value, path):
    """What stands where a path leads."""
    for name in path:
        value = value[name]
    return value


def change(value, dice):
    """Something else instead of a value, near it or far from it."""
    if isinstance(value, np.ndarray) and dice.random() < 0.9:
        return change_array(value, dice)
    if isinstance(value, int) and dice.random() < 0.5:
        return value + dice.choice((-1, 1, 8, value, -2 * value))
    if isinstance(value, str) and dice.random() < 0.2 and value[:1] == '"':
        return json.dumps(dice.choice(HOSTILE))
    return dice.choice(HOSTILE)


def change_array(array, dice):
    """An array of another shape, type or content."""
    flat = array.ravel()
    if array.size == 0 or array.dtype.kind not in "iuf":
        return array[:-1]
    dtype = dice.choice(("float16", "float32", "float64", "int64", "uint8", ">f8"))
    other = np.array(flat)
    other[dice.randrange(array.size)] = dice.choice((np.nan, np.inf, 1e30, -1, 0)) if array.dtype.kind == "f" else 7
    size = dice.randrange(2 * array.size)
    return dice.choice((flat[:-1], np.resize(flat, size), array[np.newaxis], array.astype(dtype), other, array[::-1]))


def forge_weights(content, dice):
    """A file of weights whose digest is right."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    description = json.loads(header["__metadata__"]["skattn"])
    tensors = dict(safetensors.numpy.load(content))
    if dice.random() < 0.3:
        tensors = forge(tensors, dice)
    else:
        description = forge(description, dice)
    tensors = {str(name): np.ascontiguousarray(a) for name, a in tensors.items() if isinstance(a, np.ndarray)}
    tensors = {name: a if a.dtype.isnative else a.astype(a.dtype.newbyteorder("=")) for name, a in tensors.items()}
    if set(_weights_file.FIELDS) <= set(description):
        description["sha256"] = _weights_file.digest(tensors, description)
    return safetensors.numpy.save(tensors, {"skattn": json.dumps(description)})


def forge_skops(content, dice):
    """A skops file whose checksums are right, with another description or other arrays."""
    changed, in_array = io.BytesIO(), dice.random() < 0.3
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(changed, "w") as after:
        names = before.namelist()
        chosen = dice.choice([name for name in names if name != "schema.json"])
        for name in names:
            data = before.read(name)
            if name == "schema.json" and not in_array:
                data = json.dumps(forge(json.loads(data), dice)).encode()
            elif name == chosen and in_array:
                buffer = io.BytesIO()
                np.save(buffer, change_array(np.load(io.BytesIO(data)), dice))
                data = buffer.getvalue() if dice.random() < 0.5 else damage(data, dice)
            after.writestr(name, data)
    return changed.getvalue()


def load_weights(content):
    path = Path("model.safetensors")
    path.write_bytes(content)
    return SelfAttentionClassifier(**OPTIONS).load_weights(path)


def load_skops(content):
    return skops.io.loads(content, trusted=TRUSTED_TYPES)


def load_state(state):
    estimator = SelfAttentionClassifier.__new__(SelfAttentionClassifier)
    estimator.__setstate__(state)
    return estimator


# Of each kind: what makes the file of a model, what alters it, what loads it, and which errors are right.
KINDS = {
    "weights, damaged": ("weights", damage, load_weights, ValueError),
    "weights, forged": ("weights", forge_weights, load_weights, ValueError),
    "skops, damaged": ("skops", damage, load_skops, Exception),
    "skops, forged": ("skops", forge_skops, load_skops, Exception),
    "state, forged": ("state", forge, load_state, ValueError),
}


def save(model, form):
    """A model as bytes, or as a state."""
    if form == "state":
        return model.__getstate__()
    if form == "skops":
        return skops.io.dumps(model)
    model.save_weights("model.safetensors")
    return Path("model.safetensors").read_bytes()


def run(kind, seed, n_mutations):
    """Alter and load, over and over; print how often which end was met."""
    form, alter, load, errors = KINDS[kind]
    X, y, longer = make_sequences()
    model = SelfAttentionClassifier(**OPTIONS).fit(X, y)
    content, expected = save(model, form), model.predict_proba(X)
    load(content).partial_fit(X, y).predict_proba(longer)
    sys.addaudithook(refuse)
    ends = {"refused": 0, "the same": 0, "another model": 0}
    for number in range(n_mutations):
        altered = alter(content, random.Random(f"{seed} {number}"))
        try:
            loaded = load(altered)
        except errors:
            ends["refused"] += 1
            continue
        ends[use(loaded, X, y, longer, expected)] += 1
    print(json.dumps(ends))


def use(loaded, X, y, longer, expected):
    """Let a loaded model compute and learn: an error is as good as a result, for its parameters may be any."""
    try:
        end = "the same" if np.array_equal(loaded.predict_proba(X), expected) else "another model"
        loaded.predict_proba(longer)
        loaded.partial_fit(X, y)
    except Exception:
        end = "another model"
    return end


def refuse(event, arguments):
    """End the process at once where a file had it do what no file may."""
    if event.startswith(FORBIDDEN):
        print(f"FORBIDDEN: {event}", file=sys.stderr, flush=True)
        raise SystemExit(3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=10_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        warnings.simplefilter("ignore")
        return run(options.kind, options.seed, options.mutations)
    print("| kind | tried | refused | the same model | another model | crashed |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    n_crashed = 0
    for kind in KINDS:
        ends, crashed = {}, 0
        for first in range(0, options.mutations, BATCH):
            n_mutations, seed = min(BATCH, options.mutations - first), options.seed + first
            script, numbers = str(Path(__file__).resolve()), ["--seed", str(seed), "--mutations", str(n_mutations)]
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, script, "--kind", kind, *numbers]
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if done.returncode:
                crashed += 1
                print(f"{kind}, seed {seed}: ended with {done.returncode}\n{done.stderr[-2000:]}", file=sys.stderr)
                continue
            ends = {end: count + ends.get(end, 0) for end, count in json.loads(done.stdout.splitlines()[-1]).items()}
        print(f"| {kind} | {options.mutations} | {' | '.join(map(str, ends.values()))} | {crashed} |", flush=True)
        n_crashed += crashed
    return n_crashed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
