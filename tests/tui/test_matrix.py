"""The matrix: how it shares out its width, what it draws, and how much."""

import numpy as np
import pytest
from textual.app import App, ComposeResult

from nndbg.reference import Bounded
from nndbg.tui.matrix import Matrix
from nndbg.tui.matrix_layout import Side, fits_together, lay_out
from nndbg.tui.palette import VERMILION
from nndbg.tui.tensor import Tensor


def made(rows: int, columns: int, wrong: tuple[tuple[int, int], ...] = (), dtype="f4") -> Tensor:
    actual = np.random.default_rng(5).uniform(-1, 1, (rows, columns)).astype(dtype)
    mask = np.zeros(actual.shape, bool)
    for place in wrong:
        mask[place] = True
    expected = Bounded(actual.astype(float) + 1e-8, np.full(actual.shape, 1e-6))
    return Tensor("W1", "f32", (rows, columns), actual, expected, mask)


@pytest.mark.parametrize("width", range(30, 220, 19))
@pytest.mark.parametrize("shape", [(1, 1), (10, 1), (64, 10), (784, 128), (100_000, 7)])
@pytest.mark.parametrize("side", [None, *Side])
def test_the_panes_fit_side_by_side(width, shape, side):
    tensor = made(*shape)
    layout = lay_out(width, tensor, side)
    assert [p.side for p in layout.panes] == ([side] if side else list(Side))
    last = layout.panes[-1]
    if layout.columns > 1:
        assert last.start + last.cell * layout.columns <= width
    assert layout.columns <= tensor.columns
    ends = [pane.start + pane.cell * layout.columns for pane in layout.panes]
    for end, after in zip(ends, layout.panes[1:], strict=False):
        assert end < after.start


def test_a_column_is_found_in_each_pane_and_nowhere_else():
    layout = lay_out(90, made(64, 64), None)
    assert layout.columns == 3
    for pane in layout.panes:
        found = [layout.column_at(pane.start + x) for x in range(pane.cell * 3)]
        assert found == [column for column in range(3) for _ in range(pane.cell)]
    assert layout.column_at(0) is None
    assert layout.column_at(89) is None


def test_a_vector_needs_little_room_for_all_three():
    assert fits_together(50, made(128, 1))
    assert not fits_together(50, made(128, 9))
    assert fits_together(90, made(784, 128))


def test_integers_take_no_more_room_than_they_need():
    tensor = made(8, 20)
    tensor = Tensor("y", "u8", (8, 20), tensor.actual.astype(np.uint8), None, tensor.wrong)
    assert lay_out(90, tensor, None).columns == 17


class OneMatrix(App[None]):
    def compose(self) -> ComposeResult:
        yield Matrix("nothing")


def lines(matrix: Matrix) -> list[str]:
    return [matrix.render_line(y).text for y in range(matrix.size.height)]


async def test_its_virtual_size_is_that_of_all_rows_and_columns():
    async with OneMatrix().run_test(size=(90, 20)) as pilot:
        matrix = pilot.app.query_one(Matrix)
        matrix.show(made(784, 128))
        await pilot.pause()
        assert matrix.virtual_size.height == 784 + 2
        layout = matrix._layout
        width = matrix.scrollable_content_region.width
        assert matrix.virtual_size.width - width == layout.unit * (128 - layout.columns)


async def test_the_last_row_and_column_can_be_reached():
    async with OneMatrix().run_test(size=(90, 20)) as pilot:
        matrix = pilot.app.query_one(Matrix)
        tensor = made(784, 128)
        matrix.show(tensor, (783, 127))
        await pilot.pause()
        shown = lines(matrix)
        assert shown[1].split().count("127") == 3
        assert shown[-1].startswith("783 ")
        assert f"{tensor.actual[783, 127]:.5f}" in shown[-1]


async def test_a_wrong_element_is_marked_by_sign_and_colour():
    async with OneMatrix().run_test(size=(90, 20)) as pilot:
        matrix = pilot.app.query_one(Matrix)
        matrix.show(made(9, 9, wrong=((4, 1),)), (0, 0))
        await pilot.pause()
        marked = [y for y, line in enumerate(lines(matrix)) if "✗" in line]
        assert marked == [4 + 2]
        segments = [s for s in matrix.render_line(6) if s.style.color.name == VERMILION.lower()]
        assert len(segments) == 2
        assert segments[0].text.strip().startswith("✗")


async def test_only_what_is_on_the_screen_is_written():
    async with OneMatrix().run_test(size=(90, 20)) as pilot:
        matrix = pilot.app.query_one(Matrix)
        matrix.show(made(50_000, 200))
        await pilot.pause()
        assert len(matrix._lines) <= 18
        matrix.action_corner("last")
        await pilot.pause()
        assert len(matrix._lines) <= 3 * 18


async def test_words_stand_where_there_is_no_tensor():
    async with OneMatrix().run_test(size=(90, 20)) as pilot:
        matrix = pilot.app.query_one(Matrix)
        assert "nothing" in "".join(lines(matrix))
        matrix.show(made(3, 3))
        matrix.show_words("its pointer \x1b[31mis null")
        assert r"its pointer \x1b[31mis null" in "".join(lines(matrix))


async def test_a_smaller_tensor_keeps_the_cursor_inside():
    async with OneMatrix().run_test(size=(90, 20)) as pilot:
        matrix = pilot.app.query_one(Matrix)
        matrix.show(made(100, 100), (99, 99))
        matrix.show(made(4, 3))
        await pilot.pause()
        assert matrix.cursor == (3, 2)
        assert "‹" not in lines(matrix)[1]
