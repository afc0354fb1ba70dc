"""Whatever is passed, the result is right, or an error says what is wrong before anything changes."""

import pytest
import strategies
from array_cases import ArrayCase
from hypothesis import HealthCheck, Phase, given, reject, settings
from judge import judge
from preparations import PREPARATIONS

# The same cases every time; `examples/stress_fuzz.py` draws others, and many more. They are small as drawn.
FEW = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("kind", strategies.STRATEGIES)
def test_any_case_is_right_or_refused(kind):
    drawn = set()
    few = settings(FEW, max_examples=24) if kind in PREPARATIONS else FEW

    @few
    @given(strategies.STRATEGIES[kind])
    def check(case):
        if repr(case) in drawn:
            reject()  # hypothesis likes to repeat itself with a number or two changed
        judge(case)
        drawn.add(repr(case))

    check()
    assert few.max_examples == len(drawn)


def test_a_wrong_judgement_is_noticed():
    """What must be refused and is not, and the other way round."""
    for expected in ("refused", "right"):
        case = ArrayCase([[[[[1.0]]]]] * 3, {"window": (0, 0) if expected == "refused" else 1.5}, expected, [])
        with pytest.raises(AssertionError):
            judge(case)
