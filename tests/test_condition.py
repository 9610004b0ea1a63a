"""Conditions on buffers: what they say, and what the language has not."""

import numpy as np
import pytest

from nndbg.condition import parse_condition
from nndbg.errors import UsageError

ARRAYS = {
    "z2": np.array([[1.0, np.nan], [3.0, -4.0]], np.float32),
    "dW1": np.array([[2.0, -11.0]], np.float32),
    "y": np.array([200, 100], np.uint8),
    "loss": np.array(0.5, np.float32),
    "max": np.array([1.0]),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("isnan(z2).any()", True),
        ("isnan(z2).all()", False),
        ("abs(dW1).max() > 10", True),
        ("dW1.max() > 10", False),
        ("max(abs(dW1)) >= 11", True),
        ("  loss > 0.4", True),
        ("0.4 < loss < 0.5", False),
        ("0.4 < loss <= 0.5", True),
        ("loss > 1 or isnan(z2[0, 1])", True),
        ("loss > 1 and isnan(z2[0, 1])", False),
        ("not (loss > 1)", True),
        ("(~isnan(z2) & (z2 > 2)).sum() == 1", True),
        ("z2[:, 0].mean() == 2", True),
        ("z2[-1, -1] == -4", True),
        ("(z2.max(axis=1) > 2).any()", True),
        ("(z2.max(axis=1) > 3).any()", False),
        ("y.sum() == 300", True),
        ("(y - 150)[1] == -50", True),
        ("isfinite(z2).count() == 3", True),
        ("loss / 0 == inf", True),
        ("max.max() == 1", True),
    ],
)
def test_a_condition_says_of_the_arrays_what_numpy_says(text, expected):
    assert parse_condition(text, ARRAYS).holds(ARRAYS.__getitem__) is expected


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("__import__('os').system('true')", 1, "not in the language"),
        ("z2.dump()", 1, "there is no .dump()"),
        ("z2.__class__", 1, "not in the language"),
        ("abs(z3).max() > 1", 5, "no buffer z3. There are: dW1, loss, max, y, z2"),
        ("z2.max() > 'a'", 12, "not in the language"),
        ("z2[loss] > 1", 4, "an index is a whole number"),
        ("z2 ** 2 > 1", 1, "not in the language"),
        ("[x for x in z2]", 1, "not in the language"),
        ("(lambda: z2)()", 1, "not in the language"),
        ("loss > 1 if z2 else z2", 1, "not in the language"),
        ("loss >", 6, "invalid syntax"),
        ("loss > 1)", 9, "unmatched"),
        ("z2) > (1", 3, "unmatched"),
        ("tanh(z2).max() > 0", 1, "no function tanh"),
        ("isnan(z2, axis=0).any()", 1, "only a reduction"),
        ("z2.max(axis=loss) > 1", 13, "an axis is a whole number"),
        ("z2.max(0) > 1", 1, "not in the language"),
        ("1 > 2", 1, "names no buffer"),
        ("f'{z2}'", 1, "not in the language"),
        ("(z2 := 3) > 2", 2, "not in the language"),
    ],
)
def test_what_the_language_has_not_is_refused_with_its_column(text, column, what):
    with pytest.raises(UsageError) as error:
        parse_condition(text, ARRAYS)
    said, shown, caret = str(error.value).splitlines()
    assert said.startswith(f"column {column}: ")
    assert what in said
    assert shown == f"  {text}"
    assert caret.index("^") == column + 1


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("z2 > 1", "4 values"),
        ("z2 > 1 or loss > 1", "4 values"),
        ("(z2 + y[:, :]).any()", "too many indices"),
        ("z2[7, 0] > 1", "out of bounds"),
        ("z2.max(axis=4).any()", "out of bounds"),
    ],
)
def test_what_the_arrays_do_not_allow_is_said_when_it_is_computed(text, what):
    condition = parse_condition(text, ARRAYS)
    with pytest.raises(UsageError, match=what):
        condition.holds(ARRAYS.__getitem__)


def test_an_empty_a_long_and_a_deep_condition_are_refused():
    for text in ("", "  ", "loss > 1" + " or loss > 1" * 200, "-" * 60 + "loss > 1", "(" * 400):
        with pytest.raises(UsageError):
            parse_condition(text, ARRAYS)


def test_a_condition_knows_its_buffers():
    assert parse_condition("z2.max() > loss", ARRAYS).buffers == {"z2", "loss"}
