"""A training step against torch: attention alone, and two layers with feed-forward against ``nn.TransformerEncoder``.

Run: ``python examples/bench_step.py`` (``pip install torch`` for the other side; without it, our side alone), or
``--only positions`` for ways to tell positions alone. A step is forward, backward, gradient clipping left out on both
sides, and AdamW.
"""

import argparse
import time
from contextlib import contextmanager
from types import SimpleNamespace

import bench_common as bench
import numpy as np

from skattn import SelfAttentionClassifier, ensemble
from skattn._kernels import parallel
from skattn._network.architecture import Architecture
from skattn._network.network import Network
from skattn._network.positions import OF_TIME, POSITIONS
from skattn._training.descent import Descent
from skattn._training.optimizers import OPTIMIZERS

SHAPES = [(32, 29, 12, 64, 4), (32, 100, 6, 64, 4), (64, 50, 3, 32, 4), (200, 64, 1, 64, 4), (16, 1000, 4, 64, 4)]
SHAPES_OF_POSITIONS = [(64, 20, 3, 64, 4), (64, 50, 3, 64, 4), (64, 200, 8, 64, 4), (8, 1000, 8, 64, 4)]
N_CLASSES = 5
torch = bench.torch


def data_of(shape, lengths=None):
    n_samples, n_steps, n_features = shape[:3]
    generator = np.random.default_rng(0)
    lengths = np.full(n_samples, n_steps) if lengths is None else lengths
    values = generator.normal(size=(n_samples * n_steps, n_features)).astype(np.float32)
    # When each step was, for those who are told that it says so.
    values[:, 0] = generator.exponential(size=(n_samples, n_steps)).cumsum(axis=1).ravel()
    data = SimpleNamespace(values=values, starts=np.arange(n_samples) * n_steps, lengths=lengths)
    return data, generator.integers(0, N_CLASSES, n_samples)


def our_step(shape, n_layers, d_feedforward, n_jobs=2, lengths=None, position="none", time_feature=None):
    n_samples, n_steps, n_features, d_model, n_heads = shape
    data, labels = data_of(shape, lengths)
    architecture = Architecture(
        n_features=n_features, n_outputs=N_CLASSES, loss="cross_entropy", d_model=d_model, n_heads=n_heads,
        n_kv_heads=n_heads, d_head=d_model // n_heads, d_value=d_model // n_heads, n_layers=n_layers,
        d_feedforward=d_feedforward, position=position, max_steps=n_steps, window=(None, None), pooling="mean",
        time_feature=time_feature,
    )  # fmt: skip
    network = Network(architecture, np.float32)
    network.initialise(np.random.default_rng(0))
    optimizer = OPTIMIZERS["adamw"](network.parameters.size, network.dtype, 0.01)
    descent = Descent(optimizer, network.parameters, network.n_decayed, np.inf)
    descent.plan([1e-3])
    learner = network.learner(data, labels[:, None], seed=0, n_jobs=n_jobs)
    batch = np.arange(n_samples), np.array([n_samples]), np.full(n_samples, 1 / n_samples)
    plan = learner.plan(*batch, 0, descent)
    return lambda: plan.run(0, 1)


def torch_step(shape, n_layers, d_feedforward):
    if torch is None:
        return None
    n_samples, n_steps, n_features, d_model, n_heads = shape
    nn = torch.nn

    class AttentionModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Linear(n_features, d_model)
            self.attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
            self.head = nn.Linear(d_model, N_CLASSES)

        def forward(self, x):
            h = self.embedding(x)
            return self.head((h + self.attention(h, h, h, need_weights=False)[0]).mean(1))

    class EncoderModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Linear(n_features, d_model)
            layer = nn.TransformerEncoderLayer(
                d_model, n_heads, d_feedforward, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            self.encoder = nn.TransformerEncoder(layer, n_layers, nn.LayerNorm(d_model), enable_nested_tensor=False)
            self.head = nn.Linear(d_model, N_CLASSES)

        def forward(self, x):
            return self.head(self.encoder(self.embedding(x)).mean(1))

    model = EncoderModel() if d_feedforward else AttentionModel()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    loss = nn.CrossEntropyLoss()
    data, labels = data_of(shape)
    x, y = torch.from_numpy(data.values.reshape(n_samples, n_steps, n_features)), torch.from_numpy(labels)

    def step():
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return step


def compare(title, n_layers, feedforward_ratio):
    print(f"\n{title}\n")
    bench.head("(batch, steps, features, d_model, heads)", "skattn ms", "torch ms", "ratio")
    ratios = []
    for shape in SHAPES:
        width = feedforward_ratio * shape[3]
        sides = our_step(shape, n_layers, width), torch_step(shape, n_layers, width)
        mine, other = bench.in_turn(sides, bench.rounds(5 * bench.once(sides[0])))
        if other is not None:
            ratios.append(other / mine)
        ratio = f"{ratios[-1]:.2f}" if ratios else ""
        bench.row(shape, f"{mine * 1e3:.2f}", "" if other is None else f"{other * 1e3:.2f}", ratio)
    if ratios:
        print(f"\nmedian ratio {np.median(ratios):.2f}, smallest {min(ratios):.2f}")


def ragged():
    lengths = np.random.default_rng(1).integers(1, 513, 64)
    shape = (64, 512, 6, 64, 4)
    sides = our_step(shape, 1, 0, lengths=lengths), our_step(shape, 1, 0)
    some, full = bench.in_turn(sides, 10)
    print(f"\nragged batch (64 sequences of 1 to 512 steps) beside the padded one: {some / full:.2f}")


def threads():
    sides = our_step(SHAPES[1], 1, 0, n_jobs=1), our_step(SHAPES[1], 1, 0, n_jobs=2)
    one, two = bench.in_turn(sides, 30)
    print(f"two threads beside one, {SHAPES[1]}: {one / two:.2f} times as fast")


def positions(n_builds=9):
    """Time steps of one layer on one thread beside learned positions; where arrays happen to lie weighs as much.

    So every side is built anew several times, and its fastest step of all is shown.
    """
    print("\nA step by how positions are told, beside learned positions: attention alone, one layer, one thread\n")
    told = [("learned", None), *((name, None) for name in POSITIONS if name not in ("learned", "none"))]
    told += [(name, 0) for name in OF_TIME]
    titles = [name if feature is None else f"{name} by times" for name, feature in told[1:]]
    bench.head("(batch, steps, features, d_model, heads)", "learned, ms", *titles)
    for shape in SHAPES_OF_POSITIONS:
        seconds = []
        for _ in range(n_builds):
            sides = [our_step(shape, 1, 0, n_jobs=1, position=name, time_feature=feature) for name, feature in told]
            seconds.append(fastest(sides, bench.rounds(len(sides) * bench.once(sides[0]))))
        first, *others = np.min(seconds, axis=0)
        bench.row(shape, f"{first * 1e3:.2f}", *(f"{other / first:.2f}" for other in others))


def fastest(sides, n_rounds):
    """Time functions in turn; gives the fewest seconds of this thread's of each."""
    seconds = np.empty((n_rounds, len(sides)))
    for i in range(n_rounds):
        for place, side in enumerate(sides):
            start = time.thread_time()
            side()
            seconds[i, place] = time.thread_time() - start
    return seconds.min(axis=0)


def outside():
    """Time of an update that is not spent in compiled code, over whole fits at the default settings on one thread.

    Time of the processor, for on a busy machine neighbours come in between.
    """
    print("\nProcessor time outside compiled code, of a fit of one network in float32 on one thread\n")
    bench.head("(sequences, steps, features)", "embedding", "updates", "update ms", "outside ms")
    for shape, n_epochs in (((64, 20, 3), 300), ((2000, 50, 3), 8)):
        generator = np.random.default_rng(0)
        X, y = generator.normal(size=shape).astype(np.float32), generator.integers(0, 3, shape[0])
        for embedding in ("random_convolution", "linear"):
            fixed = {"embedding": embedding, "n_estimators": 1, "n_jobs": 1, "random_state": 0}
            with stopwatch() as seconds:
                SelfAttentionClassifier(**fixed, max_iter=2).fit(X, y)
                model, before = SelfAttentionClassifier(**fixed, max_iter=n_epochs), dict(seconds)
                model.fit(X, y)
            n_updates = model._model.state.n_updates
            total, inside = (1e3 * (seconds[name] - before[name]) / n_updates for name in ("training", "inside"))
            bench.row(shape, embedding, n_updates, f"{total:.2f}", f"{total - inside:.3f}")


@contextmanager
def stopwatch():
    """Measure the processor time of this thread in `train`, and of that what is spent in compiled code."""
    seconds, region, train = {"training": 0.0, "inside": 0.0}, parallel._region, ensemble.train

    def timed(name, function):
        def call(*arguments, **options):
            start = time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                seconds[name] += time.thread_time() - start

        return call

    def timed_train(*arguments, **options):
        parallel._region = lambda parallel: timed("inside", region(parallel))
        try:
            return timed("training", train)(*arguments, **options)
        finally:
            parallel._region = region

    ensemble.train = timed_train
    try:
        yield seconds
    finally:
        ensemble.train = train


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["positions"])
    bench.describe()
    bench.use_threads(2)
    positions()
    if parser.parse_args().only:
        raise SystemExit
    compare("Attention alone, one layer (torch without normalisation)", 1, 0)
    compare("Two layers with feed-forward 2 * d_model", 2, 2)
    ragged()
    threads()
    outside()
