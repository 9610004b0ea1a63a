"""Lines and marks of a chart are where their axes place them, each in its own style."""

from __future__ import annotations

from rich.style import Style

from nndbg.chart import axis
from nndbg.chart.lines import Line, draw

RED, BLUE = Style(color="red"), Style(color="blue")
X, Y = axis.of_steps(0, 10), axis.linear(0.0, 10.0)


def test_a_chart_has_its_size_and_an_axis_below():
    chart = draw([Line([(0, 0), (9, 10)], RED)], axis.of_steps(0, 9), Y, (40, 5), "step")
    assert len(chart) == 5 + 2
    assert all(len(row.plain) <= 40 for row in chart)
    assert chart[-1].plain.endswith("step")


def test_a_line_rises_from_its_first_point_to_its_last():
    chart = draw([Line([(0, 0), (10, 10)], RED)], X, Y, (40, 5), "step")
    drawn = [row.plain[4:] for row in chart[:5]]
    firsts = [len(row) - len(row.lstrip()) for row in drawn]
    assert firsts == sorted(firsts, reverse=True)


def test_where_lines_meet_both_are_seen_in_the_colour_of_the_last():
    flat = [(0.0, 5.0), (10.0, 5.0)]
    alone = draw([Line(flat, RED)], X, Y, (40, 5), "step")
    both = draw([Line(flat, RED), Line(flat, BLUE)], X, Y, (40, 5), "step")
    assert [row.plain for row in alone] == [row.plain for row in both]
    assert {str(span.style) for row in both for span in row.spans} >= {"blue"}
    assert not any("red" in str(span.style) for row in both for span in row.spans)


def test_marks_are_drawn_over_lines_and_lost_numbers_are_not_drawn():
    chart = draw([], X, Y, (40, 5), "step", [(5, 5), (6, float("nan"))], BLUE)
    assert "".join(row.plain for row in chart).count("●") == 1


def test_a_line_without_points_draws_nothing():
    chart = draw([Line([], RED)], X, Y, (40, 5), "step")
    assert not any(0x2800 < ord(c) <= 0x28FF for row in chart for c in row.plain)
