"""Write the files that later versions must still read: fitted estimators, what went in, and what came out.

Run for each release, with the oldest NumPy that is supported (NumPy 1 cannot read all that NumPy 2 pickles), and keep
the folder of that version for good:

    python tests/files/write.py
"""

import json
import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED

import joblib
import numpy as np
import skops.io

import skattn
from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn.persistence import TRUSTED_TYPES

RESULTS = ("transform", "predict", "predict_proba", "decision_function")
ATTRIBUTES = ("objective_", "classes_", "loss_curve_", "validation_scores_", "n_iter_", "n_features_in_")
SMALL = {"d_model": 6, "n_heads": 2, "d_feedforward": 5, "max_iter": 3, "random_state": 0, "n_jobs": 1}


def make_sequences(n_steps, n_features, dtype):
    """17 sequences as one array, all but the first padded."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(17, n_steps, n_features)).astype(dtype)
    for sequence, length in zip(X[1:], generator.integers(1, n_steps + 1, size=16), strict=True):
        sequence[length:] = np.nan
    return X


def make_classifier():
    """Rows of named columns, words as classes, early stopping."""
    import pandas as pd

    X = np.random.default_rng(1).normal(size=(17, 10)).astype(np.float32)
    y = np.where(X[:, 0] > 0, "rises", "falls")
    names = [f"{axis}{step}" for step in range(5) for axis in "xy"]
    options = {"early_stopping": True, "validation_fraction": 0.3, "class_weight": {"falls": 2.0}, "window": (3, 1)}
    model = SelfAttentionClassifier(**SMALL, **options, n_step_features=2, n_kv_heads=1, dropout=0.1)
    return model.fit(pd.DataFrame(X, columns=names), y), X


def make_regressor():
    """Two values in double precision, moved by SGD."""
    X = make_sequences(7, 3, np.float64)
    y = np.stack([X[:, 0, 0], X[:, 0, 1] * 100 + 7], axis=1)
    options = {"optimizer": "sgd", "learning_rate": "adaptive", "position": "sinusoidal", "n_layers": 2}
    return SelfAttentionRegressor(**SMALL, **options, causal=True).fit(X, y), X


def make_transformer():
    """Hidden steps predicted from the rest, in two calls of partial_fit."""
    X = make_sequences(7, 3, np.float32)
    model = SelfAttentionTransformer(**SMALL, pooling="attention", optimizer="adam", objective="reconstruction")
    return model.partial_fit(X).partial_fit(X), X


MAKERS = {"classifier": make_classifier, "regressor": make_regressor, "transformer": make_transformer}
KINDS = {
    "classifier": SelfAttentionClassifier,
    "regressor": SelfAttentionRegressor,
    "transformer": SelfAttentionTransformer,
}


def describe(model):
    """Everything that a model says of itself, as arrays by name."""
    attributes = {name: np.asarray(getattr(model, name)) for name in ATTRIBUTES if hasattr(model, name)}
    attributes["weights_"] = np.concatenate([weight.ravel() for weight in model.weights_.values()])
    attributes["weight_names"] = np.array(list(model.weights_))
    attributes["feature_names_in_"] = np.array(list(getattr(model, "feature_names_in_", [])), dtype=str)
    attributes["parameters"] = np.asarray(json.dumps(model.get_params()))
    return attributes


def name_columns(model, X):
    """Give X as it was at fit: with the names of its columns, if it had any."""
    if not hasattr(model, "feature_names_in_"):
        return X
    import pandas as pd

    return pd.DataFrame(X, columns=model.feature_names_in_)


def write(folder):
    """Write each model in every form, and its input, results and attributes as .npz beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in MAKERS.items():
        model, X = make()
        joblib.dump(model, folder / f"{name}.joblib")
        skops.io.dump(model, folder / f"{name}.skops", compression=ZIP_DEFLATED)
        model.save_weights(folder / f"{name}.safetensors")
        named = name_columns(model, X)
        results = {result: getattr(model, result)(named) for result in RESULTS if hasattr(model, result)}
        np.savez_compressed(folder / f"{name}.npz", X=X, **results, **describe(model))


def read(path):
    """Read a model in whatever form it is."""
    if path.suffix == ".joblib":
        return joblib.load(path)
    if path.suffix == ".skops":
        return skops.io.load(path, trusted=TRUSTED_TYPES)
    parameters = json.loads(str(np.load(path.with_suffix(".npz"))["parameters"]))
    return KINDS[path.stem](**parameters).load_weights(path)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / skattn.__version__
    write(target)
    print(f"written to {target}: {sum(path.stat().st_size for path in target.iterdir())} bytes")
