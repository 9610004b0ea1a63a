"""Statistics and histogram of a buffer."""

import numpy as np

from nndbg.tui.spread import draw_spread
from nndbg.tui.statistics import histogram, statistics

from .test_heat import made


def test_statistics_are_of_the_finite_numbers_and_count_the_others():
    found = statistics(np.array([1, 0, -3, np.nan, np.inf, -np.inf], np.float32))
    assert (found.count, found.zeros, found.nans, found.infinities) == (6, 1, 1, 2)
    assert (found.least, found.median, found.largest) == (-3, 0, 1)
    assert found.mean == np.mean([1, 0, -3])
    assert found.deviation == np.std([1, 0, -3])


def test_where_no_number_is_finite_the_figures_are_none():
    found = statistics(np.array([np.nan, np.inf]))
    assert np.isnan([found.least, found.mean, found.largest]).all()


def test_a_histogram_counts_both_sides_over_the_same_bins_and_leaves_zeros_out():
    tensor = made([[1, 2, 0, 0]], [[1, 4, 0, 3]])
    found = histogram(tensor, 3)
    assert found.edges.tolist() == [1, 2, 3, 4]
    assert found.actual.tolist() == [1, 1, 0]
    assert found.expected.tolist() == [1, 0, 2]
    assert found.left_out == 2


def test_nothing_to_count_and_one_number_are_no_trouble():
    assert histogram(made([[0, np.nan]]), 4) is None
    assert histogram(made([[2, 2]]), 4).actual.sum() == 2
    assert histogram(made([[3e38, -3e38]], [[1e308, -1e308]]), 4) is None


def test_table_and_bars_lie_side_by_side_where_there_is_room():
    tensor = made([[1, 2, 3]], [[1, 2, np.nan]])
    wide = draw_spread(tensor, 90, 20).plain.splitlines()
    assert "difference" in wide[0] and "reference" in wide[0].split("count from here")[1]
    assert max(map(len, wide)) <= 90
    narrow = draw_spread(tensor, 50, 8).plain.splitlines()
    assert "count from here" not in narrow[0]
    assert max(map(len, narrow)) <= 50
    assert "nan               0          1" in "\n".join(narrow)
