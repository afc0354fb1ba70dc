"""
Pass everything that a user may pass
====================================

Draws cases as ``tests/test_fuzz.py`` does, by the same strategies, but others and as many as asked for, and counts
for how many the result was right, how many were refused with words, and how many failed. No two cases of a thousand
have the same description::

    python examples/stress_fuzz.py --cases 100000

It needs a checkout, for the strategies stand in ``tests/``. Cases are run by child processes, a chunk each, so a crash
of compiled code costs one case and no report. A failed case is printed with the command that runs it alone::

    python examples/stress_fuzz.py --seed 17 --only 423

"""

import argparse
import faulthandler
import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
VERDICTS = ("right", "refused", "failed")
CHUNK, PATIENCE = 1000, 1800  # cases, seconds


def main():
    """Run chunk after chunk, and print the table."""
    options = read_options()
    if not (TESTS / "strategies.py").exists():
        sys.exit(f"There is no {TESTS / 'strategies.py'}: run this script from a checkout of the repository.")
    sys.path[:0] = [str(TESTS), str(TESTS.parent)]
    if options.report:
        run_chunk(options)
    elif options.only:
        run_one(options)
    else:
        counts, failures, texts, begin = Counter(), [], set(), time.time()
        for seed in range(options.seed, options.seed + -(-options.cases // CHUNK)):
            chunk_counts, chunk_failures = start_chunk(seed, min(CHUNK, options.cases - sum(counts.values())), texts)
            counts += chunk_counts
            failures += chunk_failures
            print_failures(chunk_failures, sys.stderr)
            print(f"seed {seed}: {sum(counts.values())} cases, {len(failures)} failed", file=sys.stderr, flush=True)
        print_table(counts)
        print(f"\nSeeds from {options.seed} on, {len(texts):,} descriptions, {time.time() - begin:.0f} s.")
        print_failures(failures, sys.stdout)
        sys.exit(bool(failures))


def read_options():
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000, help="how many to draw")
    parser.add_argument("--seed", type=int, default=0, help="of the first chunk; the next ones count on")
    parser.add_argument("--only", type=int, default=0, help="run this case of the seed's chunk alone, and let it fail")
    parser.add_argument("--report", help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=1, help=argparse.SUPPRESS)
    return parser.parse_args()


def start_chunk(seed, n_cases, texts):
    """Run a chunk in a child process, and note what was run; after a crash or a hang another child goes on."""
    counts, failures, first = Counter(), [], 1
    while first <= n_cases:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report"
            command = [sys.executable, __file__, "--seed", str(seed), "--cases", str(n_cases), "--first", str(first)]
            try:
                child = subprocess.run([*command, "--report", str(report)], timeout=PATIENCE, check=False)
                ended = f"the process ended with {child.returncode}"
            except subprocess.TimeoutExpired:
                ended = f"no end within {PATIENCE} s"
            lines = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
        begun = [line for line in lines if "text" in line and "verdict" not in line]
        texts.update(line["text"] for line in begun)
        for line in lines:
            if "verdict" in line:
                counts[line["kind"], line["verdict"]] += 1
                failures += [(seed, line["number"], line["text"])] if line["verdict"] == "failed" else []
        if lines and lines[-1] == {"end": True}:
            return counts, failures
        number = begun[-1]["number"] if begun else first
        counts[begun[-1]["kind"] if begun else "start", "failed"] += 1
        failures.append((seed, number, f"{begun[-1]['text'] if begun else ''}\n{ended}"))
        first = number + 1
    return counts, failures


def run_chunk(options):
    """In a child: judge each case, and write what is begun and what came of it, a line each."""
    from judge import judge

    faulthandler.enable()
    with open(options.report, "w", encoding="utf-8", buffering=1) as report:

        def check(number, case):
            about = {"number": number, "kind": case.kind}
            print(json.dumps(about | {"text": repr(case)}), file=report)
            try:
                about |= {"verdict": judge(case)}
            except Exception:
                about |= {"verdict": "failed", "text": f"{case!r}\n{traceback.format_exc()}"}
            print(json.dumps(about), file=report)

        draw(options.seed, options.first, options.cases, check)
        print(json.dumps({"end": True}), file=report)


def run_one(options):
    """Run one case, and let it raise."""
    from judge import judge

    def check(number, case):
        if number == options.only:
            print(case, flush=True)
            print(judge(case))

    draw(options.seed, options.only, options.only, check)


def draw(seed, first, last, check):
    """Hand the cases from number `first` to `last` of a seed to `check`, the same ones each time."""
    import hypothesis
    from strategies import STRATEGIES

    drawn, kinds = set(), sorted(STRATEGIES)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=CHUNK,  # always, as hypothesis draws others for another number
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(hypothesis.strategies.one_of([STRATEGIES[kind] for kind in kinds]))
    def each(case):
        text = repr(case)
        if text in drawn:
            hypothesis.reject()  # hypothesis likes to repeat itself with a number or two changed
        number = len(drawn) + 1
        if first <= number <= last:
            check(number, case)
        drawn.add(text)  # not before: hypothesis runs what failed once more

    each()


def print_table(counts):
    """How many cases of each kind were right, refused and failed."""
    kinds = sorted({kind for kind, _ in counts})
    print("| cases | drawn | right | refused | failed |\n| --- | ---: | ---: | ---: | ---: |")
    for name, of in [*((kind, [kind]) for kind in kinds), ("all", kinds)]:
        row = [sum(counts[kind, verdict] for kind in of) for verdict in VERDICTS]
        print(f"| {name} | {sum(row):,} | " + " | ".join(f"{number:,}" for number in row) + " |")


def print_failures(failures, file):
    """The command that runs each alone, and what came of it."""
    for seed, number, text in failures:
        print(f"\npython examples/stress_fuzz.py --seed {seed} --only {number}\n{text}", file=file)


if __name__ == "__main__":
    main()
