"""Parameters, classes and options that are wrong, or odd but fine: tables for drawn cases."""

import numpy as np

# What no parameter may be, or which do not fit each other; and odd ones that are fine.
BAD_PARAMETERS = [
    {"d_model": 0}, {"d_model": -4}, {"d_model": 4.0}, {"d_model": "4"}, {"d_model": None}, {"d_model": 2**62},
    {"d_model": 7, "n_heads": 2, "d_head": None}, {"n_heads": 3, "d_head": None, "n_kv_heads": None, "d_model": 4},
    {"n_heads": 4, "n_kv_heads": 3}, {"n_heads": 2, "n_kv_heads": 4}, {"n_heads": 0}, {"n_heads": 10**30},
    {"d_head": 0}, {"d_head": 10**18}, {"d_value": -1}, {"d_value": 2**63}, {"n_layers": 0}, {"n_layers": 10**9},
    {"d_feedforward": -1}, {"d_feedforward": "wide"}, {"d_feedforward": 10**15}, {"position": "absolute"},
    {"position": None}, {"position": ["learned"]}, {"causal": "yes"}, {"causal": 3}, {"window": -1},
    {"window": (1,)}, {"window": (1, 2, 3)}, {"window": (1, -2)}, {"window": (1.5, 2)}, {"window": "12"},
    {"window": (True, 2)}, {"window": {}}, {"window": 2.5}, {"pooling": "median"}, {"pooling": 3}, {"pooling": []},
    {"optimizer": "lbfgs"}, {"optimizer": None}, {"learning_rate": "fast"}, {"learning_rate_init": 0},
    {"learning_rate_init": -1.0}, {"learning_rate_init": np.nan}, {"learning_rate_init": np.inf},
    {"learning_rate_init": "0.1"}, {"alpha": -0.1}, {"alpha": np.nan}, {"alpha": np.inf}, {"alpha": None},
    {"dropout": 1}, {"dropout": 1.0}, {"dropout": -0.1}, {"dropout": np.nan}, {"batch_size": 0}, {"batch_size": 2.5},
    {"batch_size": "all"}, {"max_iter": 0}, {"max_iter": -1}, {"max_iter": None}, {"max_iter": np.inf},
    {"early_stopping": "maybe"}, {"validation_fraction": 0}, {"validation_fraction": 1.0},
    {"validation_fraction": np.nan}, {"n_iter_no_change": 0}, {"n_iter_no_change": np.inf}, {"tol": -1},
    {"tol": np.nan}, {"shuffle": None}, {"warm_start": "no"}, {"dtype": "float16"}, {"dtype": np.float32},
    {"dtype": None}, {"random_state": -1}, {"random_state": "seed"}, {"random_state": 2**40}, {"random_state": 0.5},
    {"n_jobs": 0}, {"n_jobs": 1.5}, {"n_jobs": "all"}, {"verbose": -1}, {"verbose": "loud"}, {"n_step_features": 0},
    {"n_step_features": None}, {"n_step_features": 1.5}, {"class_weight": "fair"}, {"class_weight": {"alien": 2}},
    {"class_weight": [1, 2]}, {"class_weight": {0: -1, 1: 1}}, {"objective": "hinge"}, {"objective": None},
    {"patch_size": 0}, {"patch_size": 2.5}, {"patch_size": None}, {"patch_stride": 0}, {"patch_stride": "half"},
    {"handle_missing": "drop"}, {"handle_missing": None}, {"categorical_features": "some"},
    {"categorical_features": [10**6]}, {"categorical_features": [-1]}, {"categorical_features": ["no such"]},
    {"patch_size": 3, "embedding": "random_convolution"},
]  # fmt: skip
ODD_PARAMETERS = [
    {"d_model": np.int8(64), "n_heads": 4}, {"d_model": np.uint8(8)}, {"n_heads": np.int64(2)}, {"n_heads": True},
    {"n_layers": np.uint8(2)}, {"d_head": np.int8(100)}, {"d_value": np.uint8(200)}, {"d_feedforward": np.int8(100)},
    {"window": np.int8(3)}, {"window": (np.uint8(200), None)}, {"window": 10**30}, {"window": (2**63, 2**64)},
    {"batch_size": np.uint8(3)}, {"batch_size": 10**30}, {"batch_size": np.int8(127)}, {"max_iter": np.uint8(2)},
    {"n_iter_no_change": np.int8(100)}, {"n_iter_no_change": 10**30}, {"tol": 1e300}, {"tol": np.float32(1e-3)},
    {"learning_rate_init": np.float32(1e-3)}, {"learning_rate_init": np.float16(1e-3)}, {"alpha": np.float32(0.1)},
    {"alpha": True}, {"dropout": np.float32(0.5)}, {"dropout": 1e-300}, {"dropout": 1 - 2**-53}, {"n_jobs": 10**12},
    {"n_jobs": -(10**12)}, {"n_jobs": -1}, {"n_jobs": np.int8(2)}, {"random_state": np.uint32(3)},
    {"random_state": None}, {"random_state": 2**32 - 1}, {"shuffle": np.bool_(True)}, {"causal": np.bool_(False)},
    {"validation_fraction": np.float32(0.5), "early_stopping": True}, {"learning_rate_init": 1e-300},
    {"learning_rate_init": 1e3}, {"learning_rate_init": 1e30}, {"learning_rate_init": 1e300}, {"alpha": 1e30},
    {"alpha": 1e300}, {"learning_rate_init": 1.0, "alpha": 1e5, "max_iter": 20}, {"window": []},
]  # fmt: skip

CLASSES = {
    "none": None,
    "numbers": [0, 1, 2],
    "words": ["x", "y", "z"],
    "repeated": [1, 0, 2, 2],
    "nothing": [],
    "one": [1],
    "NaN": [0, 1, np.nan],
    "mixed": np.array(["x", 1, None], dtype=object),
    "two axes": [[0, 1], [2, 3]],
    "text": "xyz",
    "a number": 3,
    "a set": {0, 1},
    "unequal lists": [[0], [1, 2]],
}

BAD_OPTIONS = [
    {"lengths": "all"}, {"lengths": -1}, {"lengths": 10**6}, {"lengths": [1.5]}, {"lengths": np.nan},
    {"lengths": [[1], [2]]}, {"lengths": np.ones((2, 2), int)}, {"lengths": 10**30}, {"lengths": []},
    {"lengths": [None]}, {"lengths": ([1] * 9, [1] * 9)}, {"lengths": {}}, {"lengths": [[1], [1, 2]]},
    {"window": 3}, {"window": (1,)}, {"window": (1, 2, 3)}, {"window": (-1, 2)}, {"window": "ab"},
    {"window": (1.0, 2.0)}, {"window": (np.nan, 1)}, {"scale": "wide"}, {"scale": np.nan}, {"scale": np.inf},
    {"scale": [1, 2]}, {"scale": 1j}, {"scale": 10**400}, {"scale": np.ones(3)}, {"n_jobs": 0}, {"n_jobs": "all"},
    {"n_jobs": 1.5}, {"lengths": True}, {"lengths": np.datetime64("2020")}, {"scale": []}, {"dilation": 0},
    {"dilation": 1.5}, {"n_global_steps": -1}, {"top_k": "all"}, {"top_k": False}, {"causal": "begin"},
    {"kind": "sums"},
    {"mask": 3}, {"mask": np.ones((7, 997), bool)}, {"bias": "b"}, {"bias": np.ones((2, 997))}, {"bias": 1j},
]  # fmt: skip
SOUND_OPTIONS = [
    {}, {"causal": True}, {"window": (1, 2)}, {"window": (0, None)}, {"window": (2**70, 0)}, {"window": [3, 3]},
    {"scale": 1.0}, {"scale": 0}, {"scale": -2}, {"scale": np.float32(0.3)}, {"scale": 30}, {"n_jobs": 2},
    {"n_jobs": -1}, {"lengths": 1}, {"lengths": 0}, {"window": (np.int8(2), np.uint64(1))}, {"causal": np.True_},
    {"causal": "end"}, {"window": (3, 2), "dilation": 2}, {"window": (2**70, 1), "dilation": 3, "n_global_steps": 1},
    {"window": (1, 1), "dilation": 2**70}, {"window": (0, 0), "n_global_steps": 2**70}, {"mask": True}, {"bias": 0.5},
]  # fmt: skip
BAD_ARRAYS = {
    "three axes": lambda a: a[0],
    "five axes": lambda a: a[None],
    "no samples": lambda a: a[:0],
    "no steps": lambda a: a[:, :, :0],
    "no width": lambda a: a[..., :0],
    "words": lambda a: np.full(a.shape, "w"),
    "complex": lambda a: a * 1j,
    "none": lambda a: None,
    "objects": lambda a: a.astype(object),
    "dates": lambda a: np.zeros(a.shape, "M8[D]"),
    "masked": lambda a: np.ma.masked_greater(a, -9e9),
    "one more sample": lambda a: np.concatenate([a, a[:1]]),
    "one more width": lambda a: np.concatenate([a, a[..., :1]], axis=3),
    "ragged": lambda a: [[[[1.0], [1.0, 2.0]]]],
    "text": lambda a: "text",
    "number": lambda a: 5.0,
}
