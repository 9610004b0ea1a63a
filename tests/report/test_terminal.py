"""The report for people: a line for each output, then the first divergence in words."""

from __future__ import annotations

import re
import unicodedata
from io import StringIO

import pytest
from rich.console import Console

from nndbg.compare import Mode, Status
from nndbg.report import Report
from nndbg.report.as_terminal import show
from nndbg.report.words import SIGNS
from nndbg.report.write import RENDERERS

SYMBOL = {
    Status.AGREE: "✓",
    Status.DIVERGED: "✗",
    Status.NONFINITE: "∞",
    Status.UNWRITTEN: "○",
    Status.UNCHECKED: "?",
}


def text(report: Report) -> str:
    return RENDERERS["terminal"](report)


def line(report: Report, op: str) -> str:
    (found,) = re.findall(rf"^\S +{op} .*$", text(report), re.MULTILINE)
    return found


@pytest.mark.parametrize("status", Status)
def test_every_status_has_its_symbol(verdict, status: Status):
    report = Report("p", (0,), (verdict(0, status=status),))
    assert line(report, "dense2")[0] == SYMBOL[status]
    assert set(SIGNS) == set(Status)


def test_the_steps_of_one_output_share_a_line(verdict):
    report = Report("p", (0, 1, 2), tuple(verdict(step) for step in range(3)))
    assert re.search(r"dense2 +dense +z2 +local +12288 +0 ", line(report, "dense2"))


def test_a_wrong_step_shows_through_steps_that_could_not_be_checked(verdict):
    statuses = (Status.UNCHECKED, Status.UNWRITTEN, Status.AGREE)
    verdicts = tuple(verdict(step, status=status) for step, status in enumerate(statuses))
    assert line(Report("p", (0, 1, 2), verdicts), "dense2").startswith("○")


def test_outputs_modes_and_ops_have_lines_of_their_own(verdict):
    report = Report(
        "p",
        (0,),
        (verdict(0, "a"), verdict(0, "b"), verdict(0, "b", mode=Mode.CHAIN), verdict(0, "c")),
    )
    assert len(re.findall(r"^✓", text(report), re.MULTILINE)) == 4


def test_the_wrong_steps_are_listed_as_ranges(verdict):
    wrong = {0, 1, 2, 5, 7, 8}
    report = Report(
        "p",
        tuple(range(9)),
        tuple(verdict(s, status=Status.DIVERGED if s in wrong else Status.AGREE) for s in range(9)),
    )
    assert line(report, "dense2").startswith("✗")
    assert line(report, "dense2").rstrip().endswith("wrong in 0-2, 5, 7-8")
    assert f" {64 * 6} " in line(report, "dense2")


@pytest.mark.parametrize(
    ("actual", "bound", "share"),
    [(0.25, 1e-6, "0%"), (0.2505, 1e-3, "50%"), (0.251, 1e-3, "100%"), (0.5, 1e-3, "2e+02 x")],
)
def test_the_worst_element_is_told_as_a_share_of_its_bound(verdict, actual, bound, share: str):
    report = Report("p", (0,), (verdict(0, actual=actual, bound=bound),))
    assert f" {share} " in line(report, "dense2")


def test_the_largest_share_of_all_steps_is_told(verdict):
    report = Report(
        "p", (0, 1), (verdict(0, actual=0.2505, bound=1e-3), verdict(1, actual=0.25, bound=1e-3))
    )
    assert " 50% " in line(report, "dense2")


def test_an_output_without_elements_to_show_has_a_dash(verdict):
    report = Report("p", (0,), (verdict(0, status=Status.UNWRITTEN, worst=False),))
    assert " - " in line(report, "dense2")


def test_the_first_divergence_is_told_in_words(verdict):
    report = Report(
        "prog",
        (0, 4),
        (verdict(0, "a"), verdict(4, "b", Status.DIVERGED, says="why"), verdict(4, "c")),
    )
    told = text(report)
    assert "First divergence: b (dense) in step 4" in told
    assert "z2[:, 63]: 64 of 4096 elements are wrong" in told
    assert "why" in told
    assert "worst: z2[3, 63]" in told
    assert re.search(r"program +0\.125\n", told)
    assert re.search(r"reference +0\.25 +±1\.1e-06\n", told)
    assert re.search(r"apart +4194304 ulps", told)
    assert "prog, steps 0, 4: 1 of 3 outputs are wrong" in told


def test_agreement_is_told_in_a_line(verdict):
    told = text(Report("prog", (0, 1, 2), tuple(verdict(s) for s in range(3))))
    assert told.endswith("prog, steps 0-2: all 3 outputs agree\n")
    assert "First divergence" not in told


@pytest.mark.parametrize(
    ("steps", "words"), [((), "no whole step"), ((4,), "step 4"), ((0, 1), "steps 0-1")]
)
def test_the_steps_are_counted(verdict, steps: tuple[int, ...], words: str):
    assert f"p, {words}: " in text(Report("p", steps, (verdict(0),)))


def test_what_was_not_checked_is_counted_apart(verdict):
    loose = verdict(0, status=Status.UNCHECKED, mode=Mode.CHAIN)
    assert "1 output agrees, 1 unchecked" in text(Report("p", (0,), (verdict(0), loose)))


def test_an_error_is_told(verdict):
    assert "it crashed" in text(Report("p", (0,), (verdict(0),), "it crashed"))


def test_a_report_with_nothing_in_it_is_no_table_and_no_agreement():
    assert text(Report("p", (), ())) == "p, no whole step: nothing was checked\n"
    told = text(Report("p", (), (), "it crashed"))
    assert told == "it crashed\np, no whole step: nothing was checked\n"


def test_what_could_not_be_checked_is_told_with_the_reason(mixed):
    told = text(mixed)
    assert "h after relu could not be checked in step 1: float32 overflows\n" in told
    assert told.endswith("bin/prog, steps 0-2: 2 of 9 outputs are wrong, 1 unchecked\n")


def test_the_line_at_which_the_first_wrong_op_is_complete_is_told(mixed):
    assert "dense2 is complete at asm/forward.asm:60 in forward (0x4019a3)\n" in text(mixed)


def test_hostile_text_stays_text(infested):
    told = text(infested)
    assert not {unicodedata.category(c) for c in told.replace("\n", "")} & {"Cc", "Cf", "Cs"}
    assert "1 of 2 outputs are wrong, 1 unchecked" in told


@pytest.mark.parametrize("mark", ["[red]x[/red]", "[/]", "[link=http://x]y[/link]", ":warning:"])
def test_no_text_is_taken_for_markup(verdict, mark: str):
    report = Report(mark, (0,), (verdict(0, status=Status.DIVERGED, says=mark),), mark)
    assert text(report).count(mark) == 3


@pytest.mark.parametrize("escape", ["\x1b[2J", "\x1b]0;t\x07", "\x9b2J"])
def test_no_text_steers_the_terminal(verdict, escape: str):
    told = text(Report("p", (0,), (verdict(0, status=Status.DIVERGED),), f"it said {escape}"))
    assert escape not in told
    assert "it said " in told


def test_a_file_holds_no_colour_and_a_terminal_some(verdict):
    report = Report("p", (0,), (verdict(0, status=Status.DIVERGED),))
    assert "\x1b" not in text(report)
    screen = StringIO()
    show(report, Console(file=screen, force_terminal=True, color_system="standard", width=120))
    assert "\x1b[" in screen.getvalue()


def test_a_narrow_terminal_loses_no_op(verdict):
    screen = StringIO()
    report = Report("p", (0,), tuple(verdict(0, f"layer_number_{n}") for n in range(3)))
    show(report, Console(file=screen, width=40))
    for n in range(3):
        assert f"layer_number_{n}" in screen.getvalue()


def test_what_else_is_to_be_known_is_said(verdict):
    report = Report("p", (0,), (verdict(0),), says="Found by\x1b looking.")
    assert "Found by\\x1b looking.\n" in text(report)
    assert "Found" not in text(Report("p", (0,), (verdict(0),)))
