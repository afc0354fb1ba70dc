"""How much worse a model gets where a block of steps, or a feature, tells nothing."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skattn._wording import shortened
from skattn.categories import resolve_categorical
from skattn.inspection.answers import Answers
from skattn.inspection.given import Given, parts_of, read_given
from skattn.inspection.replacing import Occlusion, Permutation, check_replacement

MOST_BLOCKS = 32
"""Blocks that `window` "auto" cuts the longest sequence into."""


def step_importance(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    method: str = "permutation",
    scoring: Any = None,
    n_repeats: int = 5,
    window: int | str = "auto",
    replacement: Any = "auto",
    random_state: Any = None,
    n_jobs: int | None = None,
) -> Bunch:
    """Tell how much worse a model gets where a block of steps tells nothing.

    For any fitted estimator of scikit-learn that takes sequences, and for pipelines: scikit-learn's
    `permutation_importance` takes neither X of three axes nor ragged X.

    Parameters
    ----------
    model : estimator
        Fitted.
    X : sequences, as in `SelfAttentionTransformer.fit`
        Not altered. Best of sequences that the model has not learned from.
    y : as in the model's `score`, default=None
        What is right. None: importance is how much answers move, those of the first of `predict_proba`,
        `decision_function`, `predict` and `transform` that there is.
    method : {"permutation", "occlusion"}, default="permutation"
        What a block's values are replaced by. "permutation": by those that other sequences have there, as counted from
        their first step. "occlusion": by `replacement`.
    scoring : str, callable or None, default=None
        As in scikit-learn, a larger number is better. None: the model's `score`.
    n_repeats : int, default=5
        How often values are exchanged anew. Occlusion is the same each time, so it is done once.
    window : int or "auto", default="auto"
        Steps of a block; the last one may be shorter. "auto": one step, or as many as leave 32 blocks at most.
    replacement : {"auto", "mean", "interpolation", "missing"}, float or array of shape (n_features,), default="auto"
        With occlusion: "mean", each number's mean over the valid steps of X. "interpolation": what lies on the line
        between the steps beside the block, and the mean where there are none. "missing": NaN, for models that take
        it; but the mean at the last step, where NaN would be padding. A number, for all that are no categories, or one
        for each feature. "auto": the mean. In the place of categories stands a code that the model does not know,
        unless an array says another. Times stay.
    random_state : int, RandomState instance or None, default=None
        With a number results are the same every time, whatever `n_jobs`.
    n_jobs : int or None, default=None
        Blocks that are looked at side by side.

    Returns
    -------
    importance : Bunch
        - ``importances_mean``, ``importances_std`` of shape (n_blocks,), over repeats;
        - ``importances`` of shape (n_blocks, n_repeats), or (n_blocks, 1) of occlusion: by how much the score falls,
          or answers move;
        - ``steps``, int array of shape (n_blocks, 2): first step of each block, and the one after its last;
        - ``local``, with occlusion only, a list of arrays of shape (n_steps_i,): for each sequence by how much the
          probability of its class in y falls (of the predicted class without y) where the block of a step is replaced;
          where there are no probabilities, by how much its answer moves. Steps of a block have one number.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    ValueError
        If an argument is none of the above, the window is longer than the longest sequence, y does not belong to X,
        or there is one sequence and nothing to exchange with.
    TypeError
        If X holds text, or the model neither predicts nor transforms.

    See Also
    --------
    feature_importance : The same for features.

    Notes
    -----
    The model answers for X ``1 + n_blocks * n_repeats`` times, at most 161 with the defaults and 33 with occlusion;
    twice that where occlusion has y, for the score and for each sequence.

    Where a sequence is permuted, lengths and padding stay. A sequence that ends before a block keeps all its values, so
    late blocks of ragged X matter for few sequences and to few.

    Permutation: Breiman (2001), "Random Forests", section 10. Occlusion: Zeiler & Fergus (2014), arXiv:1311.2901,
    section 4.2.
    """
    given = _read(model, X, method, n_repeats)
    blocks = _blocks(window, given.data.max_length)
    names = [("steps", int(first), int(last)) for first, last in blocks]
    found = _measure(model, given, y, names, method, scoring, n_repeats, replacement, random_state, n_jobs)
    if "local" in found:
        sizes = blocks[:, 1] - blocks[:, 0]
        lengths = given.data.lengths.tolist()
        found["local"] = [np.repeat(row, sizes)[:length] for row, length in zip(found["local"], lengths, strict=True)]
    return Bunch(**found, steps=blocks)


def feature_importance(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    features: Any = None,
    method: str = "permutation",
    scoring: Any = None,
    n_repeats: int = 5,
    replacement: Any = "auto",
    random_state: Any = None,
    n_jobs: int | None = None,
) -> Bunch:
    """Tell how much worse a model gets where a feature of the steps tells nothing.

    Parameters
    ----------
    model, X, y : as in `step_importance`
    features : array-like of int, str or bool, default=None
        Numbers, names or a mask of those to look at. None: all.
    method : {"permutation", "occlusion"}, default="permutation"
        "permutation": a sequence is given the feature of another one, at all steps; where that has another length, its
        steps are repeated or left out evenly. "occlusion": it is replaced at all steps.
    scoring, n_repeats : as in `step_importance`
    replacement : {"auto", "mean", "missing"}, float or array of shape (n_features,), default="auto"
        As in `step_importance`. Where the feature is the time, steps are put the usual interval apart.
    random_state, n_jobs : as in `step_importance`

    Returns
    -------
    importance : Bunch
        - ``importances_mean``, ``importances_std`` of shape (n_places,), over repeats, and ``importances`` of shape
          (n_places, n_repeats), as in `step_importance`;
        - ``features``, int array of shape (n_places,): which they are, in rising order;
        - ``feature_names`` of shape (n_places,): their names, "x0", "x1", ... where X has none;
        - ``local``, with occlusion only, of shape (n_samples, n_places): as in `step_importance`.

    Raises
    ------
    NotFittedError, ValueError, TypeError
        As `step_importance`, and if there is no such feature.

    See Also
    --------
    step_importance : The same for blocks of steps.

    Notes
    -----
    The model answers for X ``1 + n_places * n_repeats`` times; with occlusion ``1 + n_places`` times, and twice that
    with y. Features that tell the same stand in for each other: replaced one by one, none of them seems to matter.
    """
    given = _read(model, X, method, n_repeats)
    n_features = given.data.n_features
    wanted = "all" if features is None else features
    columns = resolve_categorical(wanted, n_features, given.names, parameter="features")
    if not columns:
        raise ValueError(f"features={shortened(repr(features), 60)} has none; give one, or None for all.")
    places = [("feature", column) for column in columns]
    found = _measure(model, given, y, places, method, scoring, n_repeats, replacement, random_state, n_jobs)
    names = given.names or [f"x{column}" for column in range(n_features)]
    return Bunch(**found, features=np.array(columns), feature_names=np.array([names[column] for column in columns]))


def _read(model: Any, X: Any, method: Any, n_repeats: Any) -> Given:
    """X, once all is in order that does not depend on it."""
    check_is_fitted(model)
    if method not in ("permutation", "occlusion"):
        raise ValueError(f"method={shortened(repr(method), 60)}; values are replaced by 'permutation' or 'occlusion'.")
    _check_count("n_repeats", n_repeats)
    given = read_given(model, X)
    if method == "permutation" and given.data.n_samples == 1:
        raise ValueError(
            "X holds one sequence, which has no other to exchange values with; pass several, or use method='occlusion'."
        )
    return given


def _check_count(name: str, count: Any) -> None:
    if not isinstance(count, Integral) or isinstance(count, bool) or count < 1:
        raise ValueError(f"{name}={shortened(repr(count), 60)}; give a whole number from 1 on.")


def _blocks(window: Any, longest: int) -> NDArray[np.int64]:
    """First step of each block, and the one after its last."""
    if isinstance(window, str) and window == "auto":
        window = -(-longest // MOST_BLOCKS)
    elif isinstance(window, str):
        raise ValueError(f"window={shortened(repr(window), 60)}; give a number of steps, or 'auto'.")
    _check_count("window", window)
    if window > longest:
        raise ValueError(
            f"window={window} is longer than the longest sequence of X, of {longest} steps, so that nothing would be "
            "left of any; give fewer steps, or 'auto'."
        )
    firsts = np.arange(0, longest, int(window))
    return np.stack([firsts, np.minimum(firsts + int(window), longest)], axis=1)


def _measure(
    model: Any,
    given: Given,
    y: Any,
    places: list[tuple[Any, ...]],
    method: str,
    scoring: Any,
    n_repeats: int,
    replacement: Any,
    random_state: Any,
    n_jobs: int | None,
) -> dict[str, Any]:
    """Importance of each place, and with occlusion that for each sequence."""
    data, is_occluded = given.data, method == "occlusion"
    of_steps = places[0][0] == "steps"
    replacement = check_replacement(replacement, data.n_features, list(parts_of(model)), of_steps=of_steps)
    if is_occluded:
        ways: list[Any] = [Occlusion(data, replacement)]
    else:
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        ways = [Permutation(data, [seed, repeat]) for repeat in range(n_repeats)]
    # Asked in the form in which all changed X come, so that nothing but values differs.
    answers = Answers(model, given.with_values(data.values.copy()), data.n_samples, y, scoring, is_occluded)
    results = Parallel(n_jobs=n_jobs)(delayed(_compare)(answers, given, ways, place) for place in places)
    importances = np.array([[number for number, _ in of_place] for of_place in results])
    found = {
        "importances_mean": importances.mean(axis=1),
        "importances_std": importances.std(axis=1),
        "importances": importances,
    }
    return found | ({"local": np.stack([of_place[0][1] for of_place in results], axis=1)} if is_occluded else {})


def _compare(answers: Answers, given: Given, ways: list[Any], place: tuple[Any, ...]) -> list[tuple[float, Any]]:
    """What `Answers.compare` says of a place, replaced in each of several ways."""
    kind, *where = place
    return [answers.compare(given.with_values(getattr(way, kind)(*where))) for way in ways]
