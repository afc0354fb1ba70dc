"""
Pass everything that a user may pass
====================================

Draws cases as ``tests/test_fuzz.py`` does, by the same strategies, but others and as many as asked for, and counts
for how many the result was right, how many were refused with words, and how many failed::

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
CHUNK, PATIENCE = 2000, 1800  # cases, seconds


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
        counts, failures, begin = Counter(), [], time.time()
        for seed in range(options.seed, options.seed + -(-options.cases // CHUNK)):
            chunk_counts, chunk_failures = start_chunk(seed, min(CHUNK, options.cases - sum(counts.values())))
            counts += chunk_counts
            failures += chunk_failures
            print(f"seed {seed}: {sum(counts.values())} cases, {len(failures)} failed", file=sys.stderr, flush=True)
        print_table(counts, failures, options.seed, time.time() - begin)
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


def start_chunk(seed, n_cases):
    """Run a chunk in a child process; after a crash or a hang another child goes on behind it."""
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
        begun = [line for line in lines if "verdict" not in line]
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

        draw(options.seed, options.cases, options.first, check)
        print(json.dumps({"end": True}), file=report)


def run_one(options):
    """Run one case, and let it raise."""
    from judge import judge

    def check(number, case):
        if number == options.only:
            print(case, flush=True)
            print(judge(case))

    draw(options.seed, max(CHUNK, options.only), options.only, check)


def draw(seed, n_cases, first, check):
    """Hand the cases of a seed to `check`, the same ones each time, from number `first` on."""
    import hypothesis
    from strategies import STRATEGIES

    number, kinds = 0, sorted(STRATEGIES)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=n_cases,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(hypothesis.strategies.one_of([STRATEGIES[kind] for kind in kinds]))
    def each(case):
        nonlocal number
        number += 1
        if number >= first:
            check(number, case)

    each()


def print_table(counts, failures, seed, seconds):
    """How many cases of each kind were right, refused and failed; then the failures."""
    kinds = sorted({kind for kind, _ in counts})
    print("| cases | drawn | right | refused | failed |\n| --- | ---: | ---: | ---: | ---: |")
    for name, of in [*((kind, [kind]) for kind in kinds), ("all", kinds)]:
        row = [sum(counts[kind, verdict] for kind in of) for verdict in VERDICTS]
        print(f"| {name} | {sum(row):,} | " + " | ".join(f"{number:,}" for number in row) + " |")
    print(f"\nSeeds from {seed} on, {seconds:.0f} s.")
    for seed, number, text in failures:
        print(f"\npython examples/stress_fuzz.py --seed {seed} --only {number}\n{text}")


if __name__ == "__main__":
    main()
