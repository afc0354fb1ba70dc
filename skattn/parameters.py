"""What a user may set: names, defaults, allowed values, documentation, and what follows from them."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skattn._network.attending import FORMS, MOST_KEYS
from skattn._network.layers import POOLINGS
from skattn._network.network import Architecture
from skattn._network.positions import POSITIONS
from skattn._training.optimizers import OPTIMIZERS
from skattn._training.schedules import SCHEDULES
from skattn._training.settings import Settings
from skattn._wording import shortened
from skattn.defaults import resolve_batch_size, resolve_learning_rate, resolve_max_iter

HIDDEN_FRACTION = 0.3
"""Share of a sequence's steps that reconstruction hides and predicts from the rest."""

FEEDFORWARD_RATIO = 2
"""Width of the feed-forward part in units of `d_model` for ``d_feedforward="auto"``."""

_AT_LEAST_0 = Interval(Integral, 0, None, closed="left")
AT_LEAST_1 = Interval(Integral, 1, None, closed="left")
NUMBER_OF_KERNELS = [Interval(Integral, 1, 1 << 20, closed="both"), StrOptions({"auto"})]
NUMBER_OF_TOKENS = [Interval(Integral, 1, 1 << 20, closed="both")]
# Wider or deeper networks than any machine carries are a slip of the pen.
_WIDTH = Interval(Integral, 1, 1 << 24, closed="both")
_DEPTH = Interval(Integral, 1, 10_000, closed="both")


@dataclass(kw_only=True, eq=False, repr=False)
class SelfAttentionParameters(BaseEstimator):
    """Parameters that all estimators share.

    As a keyword-only data class it writes scikit-learn's ``__init__``, which only stores its arguments,
    and a subclass adds a parameter by adding a field.

    Parameters
    ----------
    d_model : int, default=64
        Width of the vector that represents a step. Pooled features are a multiple of it: see `pooling`, `n_estimators`.
    n_heads : int, default=4
        Attention patterns computed side by side in a layer.
    n_kv_heads : int, default=None
        Heads of the keys and values, each shared by ``n_heads / n_kv_heads`` query heads. None: one
        for each query head; 1: multi-query attention.
    d_head : int, default=None
        Width of one head's queries and keys. None: ``d_model / n_heads``, which must be whole.
    d_value : int, default=None
        Width of one head's values. None: as `d_head`.
    n_layers : int, default=1
        Layers, one after the other.
    d_feedforward : int, "auto" or None, default="auto"
        Hidden width of the feed-forward part of a layer. "auto": ``2 * d_model``. None or 0: layers
        of attention alone.
    position : {"auto", "learned", "sinusoidal", "rotary", "alibi", "relative", "none"}, default="auto"
        How a step's place in the sequence is told. "learned": a learned vector for every place up to the end of the
        longest sequence at fit, the last one standing for later places too; where less than one in twenty sequences
        has 64 steps or more, say, there are vectors for at most 256, for few exceptions cannot teach more.
        "sinusoidal": fixed waves. "rotary": queries and keys are turned by angles that grow with the place, so that
        only distances count. "alibi": each head takes off scores what grows with the distance, at a rate of its own.
        "relative": each head adds a learned number for each distance up to 64 steps, and one for all beyond. "none":
        order does not count. All but "learned" mean the same for sequences longer than those of fit. "auto":
        "learned"; with a `time_feature`, or where each step is told from those before it, "rotary", or "sinusoidal"
        where attention is "linear".
    causal : bool, default=False
        Whether a step attends only to itself and to earlier steps.
    window : int or tuple (left, right), default=None
        How many steps before and after itself a step attends to; None, for both or in one place of the
        tuple, is no limit, and one number is both sides. With `causal` the right side is 0.
    dilation : int, default=1
        Of its window a step sees those a multiple of so many steps away (Beltagy et al. 2020, arXiv:2004.05150).
        Needs a window. What is not seen is not computed.
    n_global_steps : int, default=0
        The first so many steps see all others and are seen by all, beyond the window (Beltagy et al. 2020); with
        `causal`, or a window whose right side is 0, of what comes before. Needs a window.
    top_k : int, default=None
        A step reads only so many of the steps that it sees, those of highest score. None: all.
    attention : {"softmax", "linear"}, default="softmax"
        "linear": what steps read of each other is summed up once, in time and memory that grow with the length alone
        (Katharopoulos et al. 2020, arXiv:2006.16236), for sequences of many thousand steps. It can be `causal`, but has
        no window, no `top_k`, and of positions "learned", "sinusoidal" and "none".
    pooling : {"mean", "max", "mean_max", "first", "last", "attention"} or None, default="mean_max"
        How the steps of a sequence become one vector; "mean_max" is both, ``2 * d_model`` wide. None:
        `transform` gives every step's vector. A classifier or regressor then wants a label or value for every step,
        and `SelfAttentionTransformer` learns by the mean of steps where the target is one a sequence.
    n_pooling_queries : int, default=1
        For ``pooling="attention"``: learned queries that each read the steps in their own way (Lee et al. 2019,
        arXiv:1810.00825), ``n_pooling_queries * d_model`` features; `pooling_weights` shows what they read.
        Several read by `n_heads` heads each, a share of the width a head, or as many of them as divide it; one alone
        reads by one.
    n_step_features : int, default=1
        For 2-D X: how many consecutive columns are one step.
    categorical_features : {"all", "from_dtype"}, array-like of int, bool or str, or None, default=None
        Features of a step that are categories: whole numbers from 0 on, each of which names one and gets a learned
        vector. Their numbers, a mask, or their names where samples are data frames; "all" for tokens; "from_dtype"
        for those that were words or categories in the frame that `sequences_from_frame` read, which then keep their
        meaning where another frame numbers them otherwise. A code that
        `fit` has not seen takes a vector that stands for the unknown: one code in twenty is taken for it while
        learning.
    handle_missing : {"error", "mask"}, default="error"
        What NaN within a sequence is. "error": a mistake. "mask": a value that is missing. It counts as the mean of
        its feature, to which a learned vector is added that says so; a stem takes the straight line between the
        values around it, with `causal` the value before it; a missing category is unknown. Whole steps of NaN at the
        end are padding in either case.
    time_feature : int or str, default=None
        Feature that says when a step was, in any unit, by its number, or its name where samples are data frames.
        Position is then told by true differences, in units of the median interval of fit: steps need not be even, and
        several may be at once. It is not learned from otherwise. Dates and durations, of Python, NumPy or a data
        frame, are read as seconds. None: steps are even.
    patch_size : int, default=1
        Steps that are made one token, for long signals: attention is then between fewer tokens. The last ones of a
        sequence are as long as what is left of it. 1: a step is a token.
    patch_stride : int, default=None
        Steps from one patch to the next. None: `patch_size`.
    embedding : {"auto", "linear", "convolution", "random_convolution"}, default="auto"
        What a step is turned into before attention. "linear": a linear map of its numbers, and the vectors of its
        categories. "convolution": that, and a learned convolution of each step and its two neighbours, or with
        `causal` the two before it.
        "random_convolution": a stem of fixed random convolutions, calibrated on the training sequences, turns a
        sequence into about `n_tokens` tokens that tell its local shapes; attention is then between tokens
        (`token_spans` says which steps each stands for). "auto": the stem for numbers; "convolution" where there
        are categories, unless steps are hidden; "linear" for steps of 0 and 1 alone, more than 512 features a step,
        sequences of one step, patches, a `time_feature`, a row a step (``pooling=None``, labels of steps), an objective
        without y, and numbers in `partial_fit`.
    n_kernels : int or "auto", default="auto"
        Random convolutions of the stem, in groups of 16. "auto": two for each token to learn from beyond 128, from 64
        to 1920.
    n_tokens : int, default=64
        Tokens of a training sequence of median length, and at most four times as many of the longest, but for rare
        ones, less than one in twenty: a token stands for as many steps as that takes.
    pretrained : fitted estimator, str or path-like, default=None
        Any of the three, or the file of its `save_weights`: its network is what this one begins with, but for its
        outputs; width, layers and features must be the same, and data is scaled as there. In searches and pipelines,
        which clone what they are given, wrap an estimator in scikit-learn's `FrozenEstimator`. More networks than it
        has begin with its in turn.
    freeze : str or sequence of str, default=None
        Weights that stay as they are: their names, as `weights_` has them, or patterns such as "layers.*". What comes
        before the first weight that learns costs no way back. With `warm_start` they may change between fits.
    adapter_rank : int, default=0
        Rank of two narrow matrices whose product is added to each of the projections of attention: query, key, value
        and output (Hu et al. 2021, arXiv:2106.09685). With `pretrained`, and unless `freeze` says otherwise, nothing
        else learns but the outputs; without it they learn beside all others. `merge_adapters` adds them up.
    n_estimators : int, default=3
        Networks that are trained from different seeds, each with a stem of its own: values are averaged, of
        probabilities the logarithms, features stand side by side. Time and memory grow with their number; they are
        trained at the same time, each on its share of the cores, or one after another with `checkpoint`.
    optimizer : {"adamw", "adam", "sgd"}, default="adamw"
        How the gradient moves the weights. "sgd" has Nesterov's momentum.
    learning_rate_init : float or "auto", default="auto"
        Highest learning rate. "auto": behind a stem 0.002 for up to 300 sequences and 0.003 from 500 on; else, and with
        `early_stopping`, 0.001, 0.003 where all features are categories, and 0.01 where adapters learn beside weights
        that stay.
    learning_rate : {"cosine", "constant", "adaptive"}, default="cosine"
        How the rate goes on: up in a short warm-up and down along half a cosine, always the same, or
        divided by 5 when the training loss stops improving.
    alpha : float, default=0.01
        Strength of weight decay ("adamw") or of the L2 penalty ("adam", "sgd"); normalisation weights,
        biases and positions are free of it.
    dropout : float, default=0.1
        Share of activations set to zero while training, in [0, 1).
    embedding_dropout : float, default=0.3
        Share of the stem's features that are left out of an update, in blocks of 16, in [0, 1). They cost nothing in
        that update.
    token_dropout : float, default=0
        Share of the tokens (what a stem or patches make of steps; else steps) that an update sees as nothing but their
        places, in [0, 1).
    batch_size : int or "auto", default="auto"
        Sequences an update. "auto": behind a stem 8, and 16 of 2000 and more; else all of up to 64, which makes
        `sample_weight` the same as repeating samples; 32 of more, and up to 256 of very many.
    max_iter : int or "auto", default="auto"
        Epochs, that is, passes over the training data. "auto": behind a stem as many as 100 updates take for 15
        sequences, 600 for 30 to 300, 1000 for 500 and 1500 for 2000 and more; else 300 where one batch holds all, up to
        1500 for 300 sequences and more, and 20 epochs at least.
    early_stopping : bool, default=False
        Whether to watch the score of validation samples, end when it stops improving, and keep
        the weights that scored best: of losses that may be equal, by their standard error, the last.
        The samples are ``X_val, y_val`` of `fit`, or else a share of X.
    scoring : str, callable or None, default=None
        That score: the name of a scorer of scikit-learn, or a callable ``(estimator, X, y)`` that gives a
        number, higher being better. None: minus the mean loss, which tells more than right and wrong where
        a class is rare. A transformer predicts nothing that could be scored otherwise.
    validation_fraction : float, default=0.1
        That share, in (0, 1), of each class, of which one sample at least is left to learn from. Only
        used with `early_stopping`.
    n_iter_no_change : int, default=10
        Training ends after this many epochs, and 50 updates, without an improvement by `tol`.
    tol : float, default=1e-4
        Smallest improvement of the training loss, or of the validation score, that counts.
    shuffle : bool, default=True
        Whether every epoch cuts its batches anew.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last fit instead of from new ones.
    checkpoint : str or path-like, default=None
        File that `fit` writes after every epoch, and goes on from where it was killed, ending with the same
        bits; of a fit that has ended it gives the model at once. Data and parameters must be those of the
        fit in the file, but for `n_jobs` and `verbose`; one in which `random_state` was None keeps its
        seed. It holds no code. `partial_fit` does not use it.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of weights and results. "auto": weights are of "float32" behind a stem, whose responses say no more,
        and where all features are categories, else of that of X; `transform` gives that of X. X itself is neither
        converted nor copied: its features are centred and scaled in double precision, and rounded after that.
    random_state : int, RandomState instance or None, default=None
        Decides the stem's kernels, the initial weights, the batches, the validation share, dropout and hidden steps.
    n_jobs : int, default=None
        Threads. None: all cores that this process may use, or what joblib's context says; -1: all.
        The results have the same bits for any number.
    verbose : int, default=0
        0: silent. 1: about 20 lines a fit. 2: one bar for all networks, with the time that is left, and one for
        predictions that take more than 2 seconds; where standard output is no terminal, lines now and then. 3: a line
        each epoch.

    Attributes
    ----------
    weights_ : dict of str to ndarray
        Every learned array by its name, for example ``"layers.0.query.weight"``, a matrix being ``(n_in, n_out)``;
        those of the second network are ``"networks.1.layers.0.query.weight"``, and so on. Read-only: these are the
        arrays that are computed with.
    objective_ : str
        What was learned: "cross_entropy", "binary_cross_entropy", "squared_error", "reconstruction" or another one.
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted; for several labels a sample, their column numbers. Only with classes.
    loss_curve_ : list of float
        Training loss of every epoch, the mean over networks.
    best_loss_ : float
        Lowest training loss of an epoch.
    validation_scores_ : list of float
        Validation score of every epoch: minus the mean loss, each sample counting by its weight, or what
        `scoring` says. Only with `early_stopping` or ``X_val``.
    n_iter_ : int
        Epochs so far, all calls of `partial_fit` and warm starts included.
    n_features_in_ : int
        Columns of a 2-D X, features of a step of any other.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of these at fit, where X is a data frame or holds data frames, and they are all strings.
    """

    d_model: int = 64
    n_heads: int = 4
    n_kv_heads: int | None = None
    d_head: int | None = None
    d_value: int | None = None
    n_layers: int = 1
    d_feedforward: int | str | None = "auto"
    position: str = "auto"
    causal: bool = False
    window: int | tuple[int | None, int | None] | None = None
    dilation: int = 1
    n_global_steps: int = 0
    top_k: int | None = None
    attention: str = "softmax"
    pooling: str | None = "mean_max"
    n_pooling_queries: int = 1
    n_step_features: int = 1
    categorical_features: Any = None
    handle_missing: str = "error"
    time_feature: int | str | None = None
    patch_size: int = 1
    patch_stride: int | None = None
    embedding: str = "auto"
    n_kernels: int | str = "auto"
    n_tokens: int = 64
    pretrained: Any = None
    freeze: str | Sequence[str] | None = None
    adapter_rank: int = 0
    n_estimators: int = 3
    optimizer: str = "adamw"
    learning_rate_init: float | str = "auto"
    learning_rate: str = "cosine"
    alpha: float = 0.01
    dropout: float = 0.1
    embedding_dropout: float = 0.3
    token_dropout: float = 0
    batch_size: int | str = "auto"
    max_iter: int | str = "auto"
    early_stopping: bool = False
    scoring: str | Callable[..., Any] | None = None
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    tol: float = 1e-4
    shuffle: bool = True
    warm_start: bool = False
    checkpoint: str | os.PathLike[str] | None = None
    dtype: str = "auto"
    random_state: int | np.random.RandomState | None = None
    n_jobs: int | None = None
    verbose: int = 0

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "d_model": [_WIDTH],
        "n_heads": [_WIDTH],
        "n_kv_heads": [_WIDTH, None],
        "d_head": [_WIDTH, None],
        "d_value": [_WIDTH, None],
        "n_layers": [_DEPTH],
        "d_feedforward": [Interval(Integral, 0, 1 << 24, closed="both"), StrOptions({"auto"}), None],
        "position": [StrOptions({"auto", *POSITIONS})],
        "causal": ["boolean"],
        "window": [_AT_LEAST_0, tuple, list, None],
        "dilation": [Interval(Integral, 1, 1 << 31, closed="both")],
        "n_global_steps": [Interval(Integral, 0, 1 << 31, closed="both")],
        "top_k": [Interval(Integral, 1, MOST_KEYS, closed="both"), None],
        "attention": [StrOptions(set(FORMS))],
        "pooling": [StrOptions(set(POOLINGS)), None],
        "n_pooling_queries": [Interval(Integral, 1, 1 << 16, closed="both")],
        "n_step_features": [AT_LEAST_1],
        "categorical_features": ["array-like", StrOptions({"all", "from_dtype"}), None],
        "handle_missing": [StrOptions({"error", "mask"})],
        "time_feature": [Interval(Integral, 0, None, closed="left"), str, None],
        "patch_size": [Interval(Integral, 1, 1 << 20, closed="both")],
        "patch_stride": [Interval(Integral, 1, 1 << 20, closed="both"), None],
        "embedding": [StrOptions({"auto", "linear", "convolution", "random_convolution"})],
        "n_kernels": NUMBER_OF_KERNELS,
        "n_tokens": NUMBER_OF_TOKENS,
        "pretrained": [HasMethods(["fit"]), str, os.PathLike, None],
        "freeze": [str, "array-like", None],
        "adapter_rank": [Interval(Integral, 0, 1 << 16, closed="both")],
        "n_estimators": [Interval(Integral, 1, 10_000, closed="both")],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "learning_rate": [StrOptions(set(SCHEDULES))],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "embedding_dropout": [Interval(Real, 0, 1, closed="left")],
        "token_dropout": [Interval(Real, 0, 1, closed="left")],
        "batch_size": [AT_LEAST_1, StrOptions({"auto"})],
        "max_iter": [AT_LEAST_1, StrOptions({"auto"})],
        "early_stopping": ["boolean"],
        "scoring": [str, callable, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [AT_LEAST_1],
        "tol": [Interval(Real, 0, None, closed="left")],
        "shuffle": ["boolean"],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "random_state": ["random_state"],
        "n_jobs": [Interval(Integral, None, -1, closed="right"), AT_LEAST_1, None],
        "verbose": ["verbose"],
    }

    def _validate_params(self) -> None:
        """Check every parameter by its constraints; scikit-learn's errors show all of a value."""
        try:
            super()._validate_params()
        except ValueError as error:
            raise type(error)(shortened(error, 400)) from error


def document(estimator: type) -> type:
    """Fill ``{parameters}`` and ``{attributes}`` in a class docstring with those that all share."""
    # python -OO leaves no docstrings, and data classes then write some of their own.
    if estimator.__doc__ and sys.flags.optimize < 2:
        shared = (SelfAttentionParameters.__doc__ or "").split("----------\n")
        parameters = shared[1].rsplit("Attributes", maxsplit=1)[0].strip()
        text = estimator.__doc__.replace("{parameters}", parameters)
        estimator.__doc__ = text.replace("{attributes}", shared[2].strip())
    return estimator


def resolve_settings(parameters: SelfAttentionParameters, architecture: Architecture, n_samples: int) -> Settings:
    """Hand the learning parameters on under their own names, every "auto" decided.

    Parameters
    ----------
    parameters : SelfAttentionParameters
    architecture : Architecture
    n_samples : int
        Different samples to learn from.
    """
    known = set(parameters.get_params(deep=False))
    given = {f.name: _plain(getattr(parameters, f.name)) for f in fields(Settings) if f.name in known}
    given["learning_rate_init"] = resolve_learning_rate(parameters, architecture, n_samples)
    given["batch_size"] = resolve_batch_size(given["batch_size"], architecture, n_samples)
    given["max_iter"] = resolve_max_iter(given["max_iter"], architecture, n_samples, given["batch_size"])
    return Settings(**given)


def name_of(value: Any) -> str:
    """Say what a parameter is, in the same words in every process: the representation of a function has an address."""
    names = (getattr(value, name, None) for name in ("__module__", "__qualname__"))
    return ".".join(map(str, names)) if hasattr(value, "__qualname__") else repr(value)


def _plain(value: Any) -> Any:
    """A number of NumPy's as one of Python's, which neither overflows nor rounds what it is multiplied with."""
    return value.item() if isinstance(value, np.generic) else value
