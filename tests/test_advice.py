"""The guide has advice on every parameter of every estimator of sequences, beside the default that it has."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn.parameters import SelfAttentionParameters

PAGE = Path(__file__).parent.parent / "docs" / "guide" / "settings.rst"
SHARED = set(inspect.signature(SelfAttentionParameters).parameters)
OWN = {
    "Of the classifier": SelfAttentionClassifier,
    "Of the regressor": SelfAttentionRegressor,
    "Of the transformer": SelfAttentionTransformer,
}

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")


def advice():
    """Give the rows of the tables by their headings: name, default, advice."""
    _, text = PAGE.read_text(encoding="utf-8").split("Every parameter\n", 1)
    parts = re.split(r"^(.+)\n~+\n", text, flags=re.MULTILINE)
    pattern = re.compile(r"^   \* - `(\w+)`\n     - ``(.+)``\n     - (.+)", re.MULTILINE)
    return {title: pattern.findall(part) for title, part in zip(parts[1::2], parts[2::2], strict=True)}


def test_every_shared_parameter_has_its_line_and_no_other():
    names = [name for title, rows in advice().items() if title not in OWN for name, _, _ in rows]
    assert SHARED == set(names) and len(names) == len(set(names))


@pytest.mark.parametrize("title", OWN)
def test_every_parameter_of_one_estimator_has_its_line(title):
    own = set(inspect.signature(OWN[title]).parameters) - SHARED
    assert own == {name for name, _, _ in advice()[title]}


@pytest.mark.parametrize("title", advice() if PAGE.exists() else [])
def test_defaults_are_those_of_the_code(title):
    parameters = inspect.signature(OWN.get(title, SelfAttentionParameters)).parameters
    stated = {name: ast.literal_eval(default) for name, default, _ in advice()[title]}
    assert {name: parameters[name].default for name in stated} == stated
