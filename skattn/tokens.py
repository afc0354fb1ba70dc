"""Random convolutions of sequences as a transformer of its own: sequences to fewer, wider sequences."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skattn._attempt import all_or_nothing
from skattn._network.stem import Stem, stem_width
from skattn._network.stem_learning import learn_stem
from skattn._training.seen import look, supported_length
from skattn.defaults import resolve_n_kernels, resolve_stride, whole_groups
from skattn.model import Samples
from skattn.parameters import AT_LEAST_1, NUMBER_OF_KERNELS, NUMBER_OF_TOKENS
from skattn.persistence import read_stem, write_stem
from skattn.sequences import read_sequences
from skattn.sizes import memory
from skattn.weighting import read_sample_weight


def _refuse_too_many(n_steps: int, stride: int, n_bytes: int) -> None:
    """Refuse a sequence whose tokens memory cannot hold."""
    size = -(-n_steps // stride) * n_bytes
    if size > memory():
        raise ValueError(
            f"The tokens of the longest sequence, of {n_steps} steps, take {size / 2**30:.3g} GiB, and this machine "
            f"has {memory() / 2**30:.3g}; cut it, or lower n_kernels or n_tokens."
        )


@dataclass(kw_only=True, eq=False, repr=False)
class RandomConvolutionTokens(TransformerMixin, BaseEstimator):
    """Turn sequences into tokens that tell local shapes, by fixed random convolutions.

    It is what stands before attention where an estimator's `embedding` is "random_convolution", to be put before
    others: a token stands for a few steps, and its features are averaged responses of random kernels of 9 taps and
    several dilations, and a window of what they saw. Every feature is standard over the training tokens.

    Parameters
    ----------
    n_kernels : int or "auto", default="auto"
        Random convolutions, in groups of 16. "auto": two for each token to learn from beyond 128, from 64 to 1920.
    n_tokens : int, default=64
        Tokens of a training sequence of median length, and at most four times as many of the longest, but for rare
        ones, less than one in twenty: a token stands for as many steps as that takes.
    causal : bool, default=False
        Whether a token depends on its own and earlier steps only.
    competing : bool, default=False
        Whether kernels compete: their features are then the shares of a token's steps at which each of eight responds
        the most, whatever the size of responses.
    n_step_features : int, default=1
        For 2-D X: how many consecutive columns are one step.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of the result. "auto": that of X.
    random_state : int, RandomState instance or None, default=None
        Draws the kernels.
    n_jobs : int, default=None
        Threads, as in `SelfAttentionTransformer`. The results have the same bits for any number.

    Attributes
    ----------
    stride_ : int
        Steps of a token.
    n_features_out_ : int
        Features of a token.
    n_features_in_ : int
        Columns of a 2-D X, features of a step of any other.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names at fit. Only where they are all strings.

    See Also
    --------
    SelfAttentionTransformer : Learns from these tokens, with ``embedding="random_convolution"``.

    Notes
    -----
    Dempster, Petitjean & Webb (2020), arXiv:1910.13051, draw kernels likewise, and count positive responses over the
    whole sequence; here they are squashed, and averaged over the steps of each token. Competing kernels are those of
    Hydra: Dempster, Schmidt & Webb (2023), arXiv:2203.13652.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import RandomConvolutionTokens
    >>> X = [np.random.default_rng(n_steps).normal(size=(n_steps, 2)) for n_steps in (30, 100, 130)]
    >>> tokens = RandomConvolutionTokens(n_kernels=32, random_state=0).fit_transform(X)
    >>> [sequence.shape for sequence in tokens]
    [(15, 80), (50, 80), (65, 80)]
    """

    n_kernels: int | str = "auto"
    n_tokens: int = 64
    causal: bool = False
    competing: bool = False
    n_step_features: int = 1
    dtype: str = "auto"
    random_state: int | np.random.RandomState | None = None
    n_jobs: int | None = None

    _stem: ClassVar[Stem]  # set by fit; no parameter

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_kernels": NUMBER_OF_KERNELS,
        "n_tokens": NUMBER_OF_TOKENS,
        "causal": ["boolean"],
        "competing": ["boolean"],
        "n_step_features": [AT_LEAST_1],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "random_state": ["random_state"],
        "n_jobs": [Interval(Integral, None, -1, closed="right"), AT_LEAST_1, None],
    }

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Draw kernels and calibrate them.

        Parameters
        ----------
        X : sequences, as in `SelfAttentionTransformer.fit`
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts for quantiles, means and deviations. By default all count alike.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter, X or a weight cannot be used.
        """
        self._validate_params()
        with all_or_nothing(self):
            self._fit(X, sample_weight)
        return self

    def _fit(self, X: Any, sample_weight: Any) -> None:
        data = read_sequences(X, self, reset=True)
        weight = read_sample_weight(sample_weight, data.n_samples)
        counted = np.flatnonzero(weight)
        data, weight = data.take(counted), weight[counted]
        dtype = data.values.dtype if self.dtype == "auto" else np.dtype(self.dtype)
        seen, self._mean, self._scale = look(data, weight)
        stride = resolve_stride(data.lengths, weight, supported_length(seen, data.max_length), self.n_tokens)
        # As in estimators, repeating a sample is weighting it.
        merged = Samples(data, None, weight, "reconstruction", None).merged(keeps_order=True)
        n_kernels = resolve_n_kernels(merged.data.lengths, stride) if self.n_kernels == "auto" else self.n_kernels
        _refuse_too_many(data.max_length, stride, stem_width(data.n_features, n_kernels, self.causal) * dtype.itemsize)
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        self._stem = learn_stem(
            data,
            weight,
            self._mean,
            self._scale,
            n_kernels=whole_groups(n_kernels),
            stride=stride,
            is_causal=self.causal,
            seed=seed,
            dtype=dtype,
            competes=self.competing,
            n_jobs=self.n_jobs,
        )
        self.stride_, self.n_features_out_ = stride, self._stem.width

    def transform(self, X: Any) -> list[NDArray[Any]]:
        """Turn sequences into tokens.

        Parameters
        ----------
        X : sequences, as in `fit`

        Returns
        -------
        tokens : list of ndarray of shape (n_tokens_i, `n_features_out_`)
            A ragged list, as every estimator of this package takes it. Token i stands for the steps from
            ``i * stride_`` on.

        Raises
        ------
        ValueError
            If X cannot be read, differs from that of `fit` in its features, or has more tokens than memory can hold.
        """
        check_is_fitted(self)
        data = read_sequences(X, self, reset=False)
        size = int(self._stem.count_tokens(data.lengths).sum()) * self._stem.width * self._stem.dtype.itemsize
        if size > memory():
            raise ValueError(
                f"The tokens of {data.n_samples} sequences take {size / 2**30:.3g} GiB, and this machine has "
                f"{memory() / 2**30:.3g}; transform a part of them at a time, lower n_kernels or n_tokens, or let an "
                'estimator compute them by batches, with embedding="random_convolution".'
            )
        tokens = self._stem.tokens(data, self._mean, self._scale, self.n_jobs)
        return np.split(tokens.values, np.cumsum(tokens.lengths)[:-1])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_stem")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __getstate__(self) -> dict[str, Any]:
        return write_stem(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(read_stem(state, type(self)))
