"""scikit-learn's callbacks hear of fits, networks and epochs, see what is learned, stop it, and change no bit."""

import importlib.util
import pickle
import sys
import threading

import numpy as np
import pytest
from problems import ESTIMATORS, SMALL, STEMS, assert_same_bits, fitted, make_ragged, results_of, target_of
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skattn.callbacks
from skattn import SelfAttentionClassifier, SelfAttentionRegressor

try:
    from sklearn.callback import ProgressBar, ScoringMonitor
except ImportError:
    ScoringMonitor = None

pytestmark = pytest.mark.skipif(ScoringMonitor is None, reason="scikit-learn has callbacks since 1.9")

X = make_ragged()
TWO = SMALL | {"n_estimators": 2, "n_jobs": 2}


class Recorder:
    """Writes down what it hears, as (hook, name of the task), and what `also` makes of a task's end."""

    def __init__(self, also=lambda **seen: None, stops=lambda context: False):
        self.heard, self.threads, self.made, self.also, self.stops = [], set(), [], also, stops

    def setup(self, estimator, context):
        self.heard.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.heard.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context, *, fitted_estimator=None):
        self.threads.add(threading.get_ident())
        self.heard.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.threads.add(threading.get_ident())
        self.heard.append(("end", context.task_name))
        seen = {"X": X, "y": y, "metadata": metadata, "fitted": fitted_estimator, "name": context.task_name}
        self.made.append(self.also(**seen))
        return self.stops(context)


class Propagated(Recorder):
    """Set on a search or a pipeline, it is handed to what is fitted in there."""

    max_propagation_depth = None


def in_words(heard):
    """What was heard, shortly: epochs that begin and end as one word."""
    words = [word if hook == "begin" else f"/{word}" if hook == "end" else hook for hook, word in heard]
    return " ".join(words).replace("epoch /epoch", "e")


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("parameters", [SMALL, TWO, STEMS | {"n_jobs": 2}, SMALL | {"batch_size": 7}])
def test_looking_on_changes_no_bit(kind, parameters):
    """Even where a callback predicts after every epoch."""
    expected = results_of(fitted(kind(**parameters), X), X)
    recorder = Recorder(also=lambda fitted, **_: results_of(fitted, X))
    model = fitted(kind(**parameters).set_callbacks(recorder), X)
    assert_same_bits(results_of(model, X), expected)
    assert_same_bits(recorder.made[-1], expected)


def test_a_network_is_a_fit_of_epochs():
    recorder = Recorder()
    fitted(SelfAttentionRegressor(**SMALL).set_callbacks(recorder), X)
    assert "setup fit e e e /fit teardown" == in_words(recorder.heard)


def test_several_networks_are_heard_of_in_order_and_from_one_thread():
    recorder = Recorder()
    fitted(SelfAttentionRegressor(**TWO).set_callbacks(recorder), X)
    assert "setup fit network e e e /network network e e e /network /fit teardown" == in_words(recorder.heard)
    assert {threading.get_ident()} == recorder.threads


def test_callbacks_see_what_the_user_passed():
    recorder = Recorder(also=lambda X, y, metadata, **_: (X, y, metadata))
    model, weight = SelfAttentionRegressor(**SMALL).set_callbacks(recorder), np.arange(1.0, len(X) + 1)
    y = target_of(model, X)
    model.fit(X, y, weight)
    assert all(seen[0] is X and seen[1] is y and seen[2]["sample_weight"] is weight for seen in recorder.made)
    model.fit(X, y)
    assert recorder.made[-1][2] is None


def test_after_an_epoch_the_estimator_is_as_if_training_had_ended_there():
    """At a rate that does not depend on how many epochs were to come."""
    steady = SMALL | {"learning_rate": "constant"}
    recorder = Recorder(also=lambda fitted, **_: fitted)
    fitted(SelfAttentionClassifier(**steady).set_callbacks(recorder), X)
    for number, seen in enumerate(recorder.made[:-1]):
        expected = fitted(SelfAttentionClassifier(**steady | {"max_iter": number + 1}), X)
        assert_same_bits(results_of(seen, X), results_of(expected, X))
        assert expected.loss_curve_ == seen.loss_curve_


def test_before_anything_is_learned_there_is_no_fitted_estimator():
    class Early(Recorder):
        def on_fit_task_begin(self, estimator, context, *, fitted_estimator=None):
            self.made.append((context.task_name, fitted_estimator and fitted_estimator.n_iter_))

    early = Early()
    fitted(SelfAttentionRegressor(**SMALL).set_callbacks(early), X)
    assert [("fit", None), ("epoch", None), ("epoch", 1), ("epoch", 2)] == [seen for seen in early.made if seen]


def test_with_early_stopping_the_best_epoch_so_far_is_seen():
    model = SelfAttentionRegressor(**SMALL | {"learning_rate_init": 0.3, "max_iter": 7}, early_stopping=True)
    y = target_of(model, X)

    def scores(fitted, name, **_):
        return (fitted.score(X, y), max(fitted.validation_scores_)) if name == "epoch" else None

    recorder = Recorder(also=scores)
    model.set_params(scoring="r2").set_callbacks(recorder).fit(X, y, X_val=X, y_val=y)
    for seen, best in filter(None, recorder.made):
        assert seen == pytest.approx(best)


def test_a_monitor_scores_every_epoch():
    monitor = ScoringMonitor(scoring="accuracy")
    model = fitted(SelfAttentionClassifier(**TWO).set_callbacks(monitor), X)
    found = {row["task_id_path"]: row["accuracy"] for row in monitor.get_logs().data}
    assert 1 + 2 + 2 * 3 == len(found)
    assert model.score(X, target_of(model, X)) == found[(0,)] == found[0, 1] == found[0, 1, 2]


@pytest.mark.parametrize(
    ("stops", "heard"),
    [
        (lambda context: context.task_name == "epoch", "setup fit network e /network network e /network /fit teardown"),
        (lambda context: True, "setup fit network e /network /fit teardown"),
        (lambda context: context.task_name == "fit", None),
    ],
)
def test_a_callback_stops_epochs_or_networks(stops, heard):
    """And what was learned until then is the fitted estimator."""
    recorder = Recorder(stops=stops)
    model = fitted(SelfAttentionClassifier(**TWO).set_callbacks(recorder), X)
    assert (heard or in_words(recorder.heard)) == in_words(recorder.heard)
    n_networks, n_epochs = heard.count(" network") if heard else 2, 1 if heard else 3
    assert n_networks == len(model._model.members) and n_epochs == model.n_iter_
    assert np.isfinite(model.predict_proba(X)).all()


def test_a_stopped_regressor_of_quantiles_is_calibrated_by_what_it_has():
    model = SelfAttentionRegressor(**TWO, loss="quantile", quantiles=(0.1, 0.9))
    long = make_ragged(61)
    model.set_callbacks(Recorder(stops=lambda context: True)).fit(long, target_of(model, long))
    assert 1 == len(model._model.members) and model.predict_quantiles(long).shape == (61, 2)


def test_a_pass_is_an_epoch_of_each_network_whoever_asks_to_stop():
    recorder = Recorder(stops=lambda context: True)
    model = SelfAttentionRegressor(**TWO).set_callbacks(recorder)
    for _ in "12":
        model.partial_fit(X, target_of(model, X))
    once = "setup fit network e /network network e /network /fit teardown"
    assert f"{once} {once}" == in_words(recorder.heard) and 2 == model.n_iter_


def test_after_a_checkpoint_only_what_is_left_is_heard_of(tmp_path):
    parameters = TWO | {"checkpoint": tmp_path / "fit.ckpt"}

    def fail_late(name, **_):
        if name == "epoch" and recorder.heard.count(("end", "epoch")) == 5:
            raise RuntimeError("the power went out")

    recorder = Recorder(also=fail_late)
    with pytest.raises(RuntimeError, match="power"):
        fitted(SelfAttentionRegressor(**parameters).set_callbacks(recorder), X)
    recorder = Recorder()
    model = fitted(SelfAttentionRegressor(**parameters).set_callbacks(recorder), X)
    assert "setup fit network /network network e /network /fit teardown" == in_words(recorder.heard)
    assert_same_bits(results_of(model, X), results_of(fitted(SelfAttentionRegressor(**TWO), X), X))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_callbacks_are_torn_down_whatever_ends_a_fit(error):
    def fail(name, **_):
        raise error

    recorder = Recorder(also=fail)
    model = SelfAttentionRegressor(**SMALL).set_callbacks(recorder)
    with pytest.raises(error):
        fitted(model, X)
    assert ("teardown", "fit") == recorder.heard[-1]
    assert (error is KeyboardInterrupt) == hasattr(model, "n_iter_")
    assert not [name for name in vars(model) if "context" in name or "ctx" in name or "teardown" in name]


def test_bad_input_is_refused_before_callbacks_hear_of_anything():
    recorder = Recorder()
    with pytest.raises(ValueError, match="inconsistent|samples"):
        SelfAttentionRegressor(**SMALL).set_callbacks(recorder).fit(X, np.zeros(5))
    assert [] == recorder.heard


def test_what_is_no_callback_is_refused():
    with pytest.raises(TypeError, match="FitCallback"):
        SelfAttentionRegressor().set_callbacks(print)


def test_clones_share_callbacks_and_pickles_keep_them():
    monitor = ScoringMonitor(scoring="r2")
    model = fitted(SelfAttentionRegressor(**SMALL).set_callbacks(monitor), X)
    assert clone(model)._skl_callbacks == [monitor]
    restored = pickle.loads(pickle.dumps(model))
    assert_same_bits(results_of(restored, X), results_of(model, X))
    assert isinstance(restored._skl_callbacks[0], ScoringMonitor)
    assert len(monitor.get_logs(select="all")) == 1
    fitted(clone(model), X)
    assert len(monitor.get_logs(select="all")) == 2
    assert not hasattr(model.set_callbacks(), "_skl_callbacks")


def test_a_pipeline_and_a_search_hand_their_callbacks_down():
    recorder = Propagated()
    pipeline = make_pipeline(FunctionTransformer(), SelfAttentionClassifier(**SMALL))
    search = GridSearchCV(pipeline, {"selfattentionclassifier__alpha": [0.0, 0.1]}, cv=2).set_callbacks(recorder)
    fitted(search, X)
    assert 3 * (2 * 2 + 1) == recorder.heard.count(("end", "epoch"))
    assert 1 == recorder.heard.count(("setup", "fit")) == recorder.heard.count(("teardown", "fit"))
    assert not hasattr(search.best_estimator_[-1], "_skl_callbacks")


def test_a_monitor_of_a_search_hears_of_processes():
    monitor = ScoringMonitor(scoring="accuracy")
    search = GridSearchCV(
        SelfAttentionClassifier(**SMALL).set_callbacks(monitor), {"alpha": [0.0, 0.1]}, cv=2, n_jobs=2
    )
    fitted(search, X)
    assert 5 * (1 + 3) == len(monitor.get_logs().data)


def test_the_bar_of_scikit_learn_shows_networks(capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "150")
    search = GridSearchCV(SelfAttentionClassifier(**TWO), {"alpha": [0.0, 0.1]}, cv=2)
    fitted(search.set_callbacks(ProgressBar()), X)
    shown = capsys.readouterr().out
    assert "GridSearchCV - candidate-split-evaluation | SelfAttentionClassifier - fit #3" in shown
    assert "SelfAttentionClassifier - network #1" in shown and "100%" in shown


def test_before_version_1_9_there_are_none_and_an_estimator_says_so(monkeypatch):
    """The module is read anew, as if scikit-learn had none."""
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    specification = importlib.util.spec_from_file_location("callbacks_before", skattn.callbacks.__file__)
    before = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(before)

    class Estimator(before.CallbackSupportMixin):
        pass

    assert not hasattr(Estimator(), "set_callbacks")
    with pytest.raises(AttributeError, match=r"needs scikit-learn 1.9 or newer, and this is .*verbose=2"):
        Estimator().set_callbacks()
    assert before.with_callbacks(results_of) is results_of
    assert before.FitCallbacks.of(Estimator(), X, None, None) is None
