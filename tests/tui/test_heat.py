"""Numbers as colours: signs, magnitudes, and what becomes of them where there is little room."""

import numpy as np

from nndbg.reference import Bounded
from nndbg.tui.heat import Scale, colours, gathered, heat_of, signs
from nndbg.tui.matrix_layout import Side
from nndbg.tui.tensor import Tensor


def made(actual, expected=None, error=1e-3, wrong=()) -> Tensor:
    actual = np.asarray(actual, np.float32)
    marked = np.zeros(actual.shape, bool)
    for place in wrong:
        marked[place] = True
    reference = None
    if expected is not None:
        reference = Bounded(np.asarray(expected, np.float64), np.full(actual.shape, error))
    return Tensor("z", "f32", actual.shape, actual, reference, marked)


def test_actual_and_reference_share_a_scale_that_keeps_the_sign():
    tensor = made([[1, -2], [0, np.nan]], [[1, -4], [0, 2]])
    assert np.array_equal(heat_of(tensor, Side.ACTUAL), [[0.25, -0.5], [0, np.nan]], equal_nan=True)
    assert np.array_equal(heat_of(tensor, Side.REFERENCE), [[0.25, -1], [0, 0.5]])


def test_a_difference_is_bright_only_beyond_its_bound():
    tensor = made(
        [[1.0009, 2.5, 1.5], [3, 4, np.nan]], [[1, 2, 2], [3, 4, 5]], wrong=[(0, 1), (0, 2), (1, 2)]
    )
    heat = heat_of(tensor, Side.DIFFERENCE)
    assert 0.2 < heat[0, 0] <= 0.25
    assert (heat[0, 1], heat[0, 2]) == (1, -1)
    assert (heat[1, 0], heat[1, 1]) == (0, 0)
    assert np.isnan(heat[1, 2])


def test_one_wrong_element_is_seen_however_small_the_picture():
    heat = np.zeros((784, 128))
    heat[783, 127] = -1
    heat[3, 3] = np.nan
    small = gathered(heat, Scale(784, 20, 4), Scale(128, 30, 4))
    assert small.shape == (20, 30)
    assert small[19, 29] == -1
    assert np.isnan(small[0, 0])
    assert np.count_nonzero(small) == 2


def test_a_small_matrix_takes_several_points_an_element():
    scale = Scale(count=3, most=10, largest=4)
    assert (scale.each, scale.blocks) == (3, 3)
    assert [scale.point(place) for place in range(3)] == [0, 3, 6]
    assert [scale.place(point) for point in (0, 2, 3, 8, 9)] == [0, 0, 1, 2, None]
    assert gathered(np.array([[1.0, 2.0, 3.0]]), Scale(1, 2, 2), scale).shape == (2, 9)


def test_a_place_and_its_point_belong_together_where_places_share_points():
    scale = Scale(count=784, most=20, largest=4)
    for place in (0, 39, 40, 500, 783):
        found = scale.place(scale.point(place))
        assert found is not None
        assert 0 <= place - found < 40


def test_sign_and_magnitude_can_be_read_without_colour():
    drawn = signs(np.array([0, 0.2, 0.5, 1, -0.2, -0.5, -1, np.nan]))
    assert "".join(drawn.tolist()) == " '+#,-=!"


def test_both_signs_differ_in_colour_and_grow_with_the_magnitude():
    drawn = colours(np.array([[-1, -0.1, 0, 0.1, 1, np.nan]])).astype(int)[0]
    zero = drawn[2]
    below, slightly_below, above, slightly_above = drawn[0], drawn[1], drawn[4], drawn[3]
    assert below[2] > below[0] and above[0] > above[2]
    assert abs(below - zero).sum() > abs(slightly_below - zero).sum() > 0
    assert abs(above - zero).sum() > abs(slightly_above - zero).sum() > 0
    assert not any((drawn[5] == one).all() for one in drawn[:5])
