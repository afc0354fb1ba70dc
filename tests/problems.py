"""Small sequence problems in every form that X may have, and estimators that fit them in a moment."""

import numpy as np

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer

N_SAMPLES, N_FEATURES, MAX_STEPS = 23, 3, 11
ESTIMATORS = (SelfAttentionTransformer, SelfAttentionClassifier, SelfAttentionRegressor)
# What tests rely on is said here, so that better defaults do not break them.
SMALL = {
    "d_model": 14,
    "n_heads": 2,
    "d_feedforward": 17,
    "position": "learned",
    "pooling": "mean",
    "optimizer": "adamw",
    "learning_rate": "cosine",
    "learning_rate_init": 0.003,
    "alpha": 0.01,
    "dropout": 0.0,
    "embedding": "linear",
    "n_estimators": 1,
    "max_iter": 3,
    "random_state": 0,
}
# Two networks behind stems, which is what the defaults are like.
STEMS = SMALL | {"embedding": "random_convolution", "n_kernels": 16, "n_estimators": 2, "dropout": 0.1}


# What features may be, and what may be made of steps, for `make_told`: parameters that go into every file.
TOLD = {
    "categories": {"categorical_features": [1, 3]},
    "what is missing": {"handle_missing": "mask"},
    "a stem of what is missing": STEMS | {"handle_missing": "mask"},
    "rotation by time": {"time_feature": 2, "position": "rotary"},
    "waves of time": {"time_feature": 2, "position": "sinusoidal"},
    "distances of time": {"time_feature": 2, "position": "alibi"},
    "learned distances": {"position": "relative", "n_layers": 2},
    "patches": {"patch_size": 3, "patch_stride": 2},
    "a learned convolution": {"embedding": "convolution"},
    "all of it": {
        **{"categorical_features": [1, 3], "handle_missing": "mask", "time_feature": 2, "position": "auto"},
        **{"patch_size": 3, "embedding": "convolution", "n_estimators": 2, "dtype": "float32"},
    },
}


def make_told(parameters, n_samples=N_SAMPLES, seed=0):
    """Sequences of a number, a code, a time and another code; numbers are missing where they may be."""
    generator, X = np.random.default_rng(seed), make_ragged(n_samples, 4, seed)
    for steps in X:
        steps[:, 1], steps[:, 3] = 3 * generator.integers(5, size=len(steps)), generator.integers(2, size=len(steps))
        steps[:, 2] = 1e5 + np.cumsum(generator.exponential(size=len(steps)))
        if "handle_missing" in parameters:
            steps[1:-1, 0] = np.where(generator.random(len(steps[1:-1])) < 0.4, np.nan, steps[1:-1, 0])
    return X


def make_ragged(n_samples=N_SAMPLES, n_features=N_FEATURES, seed=0, dtype=np.float64):
    """Sequences of 1 to 11 steps; the first is the longest."""
    generator = np.random.default_rng(seed)
    lengths = [MAX_STEPS, *generator.integers(1, MAX_STEPS + 1, size=n_samples - 1)]
    return [generator.normal(size=(n_steps, n_features)).astype(dtype) for n_steps in lengths]


def make_array(n_samples=N_SAMPLES, n_features=N_FEATURES, n_steps=7, seed=0):
    """Sequences of equal length: (n_samples, n_steps, n_features)."""
    return np.random.default_rng(seed).normal(size=(n_samples, n_steps, n_features))


def pad(sequences, n_steps=None):
    """Ragged sequences as one array, NaN where they have ended."""
    n_steps = n_steps or max(map(len, sequences))
    padded = np.full((len(sequences), n_steps, sequences[0].shape[1]), np.nan, dtype=sequences[0].dtype)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded


def as_objects(sequences):
    """Ragged sequences as a 1-D object array."""
    column = np.empty(len(sequences), dtype=object)
    column[:] = sequences
    return column


FORMS = {
    "array": make_array,
    "padded array": lambda: pad(make_ragged()),
    "list": make_ragged,
    "tuple": lambda: tuple(make_ragged()),
    "object array": lambda: as_objects(make_ragged()),
    "rows": lambda: make_array(n_features=1)[:, :, 0],
}
"""The forms of X by name; all hold `N_SAMPLES` sequences."""


def direction(X):
    """A label for each sequence: whether its first feature ends higher than it began."""
    return np.array(["rises" if _rise(sequence) > 0 else "falls" for sequence in X])


def rise(X):
    """A value for each sequence: how much its first feature rises, or falls."""
    return np.array([_rise(sequence) for sequence in X])


def _rise(sequence):
    feature = np.asarray(sequence).reshape(len(sequence), -1)[:, 0]
    feature = feature[~np.isnan(feature)]
    # A single step rises if it is positive, so that both classes occur at every length.
    return feature[-1] - feature[0] if len(feature) > 1 else feature[0]


def target_of(estimator, X):
    """A y of the kind that the estimator learns."""
    return rise(X) if isinstance(estimator, SelfAttentionRegressor) else direction(X)


def fitted(estimator, X):
    """The estimator, fitted to what it learns about X."""
    return estimator.fit(X, target_of(estimator, X))


def richly_fitted(kind, X, **parameters):
    """A fitted model whose training state is as rich as it gets."""
    estimator = kind(**SMALL | parameters | {"batch_size": 7, "dropout": 0.1, "warm_start": True})
    y = target_of(estimator, X)
    return estimator.fit(X, y, X_val=X, y_val=y)


def take(X, indices):
    """Some samples, in the form that X has."""
    return type(X)(X[i] for i in indices) if isinstance(X, list | tuple) else X[indices]


def results_of(estimator, X):
    """Everything that a fitted estimator can say about X, by the name of the method."""
    names = ("transform", "predict", "predict_proba", "decision_function")
    return {name: getattr(estimator, name)(X) for name in names if hasattr(estimator, name)}


def assert_same_bits(actual, expected):
    """All results are equal, to the last bit."""
    assert actual.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)
