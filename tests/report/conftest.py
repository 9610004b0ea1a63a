"""Verdicts made up for the renderers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from nndbg.compare import Distance, Element, Mode, Status, Subject, Verdict
from nndbg.crash import Agreed, Crash
from nndbg.diagnose import Diagnosis
from nndbg.report import CodePlace, Culprit, Report, Suspect

Make = Callable[..., Verdict]


@pytest.fixture(scope="session")
def verdict() -> Make:
    def verdict(
        step: int = 0,
        op: str = "dense2",
        status: Status = Status.AGREE,
        *,
        mode: Mode = Mode.LOCAL,
        actual: float = 0.125,
        expected: float = 0.25,
        bound: float = 1.1e-6,
        buffer: str = "z2",
        says: str = "",
        worst: bool = True,
    ) -> Verdict:
        wrong = status.is_wrong
        return Verdict(
            subject=Subject(step, op, "dense", buffer, mode),
            status=status,
            checked=4096,
            bad=64 if wrong else 0,
            where=f"{buffer}[:, 63]" if wrong else "",
            worst=Element((3, 63), actual, expected, bound, 4194304) if worst else None,
            distance=Distance(0.125, 0.002, 0.998) if worst else None,
            says=says,
        )

    return verdict


class Once:
    """Verdicts that can be counted and gone through, as those of a long run on a disk."""

    def __init__(self, verdicts: tuple[Verdict, ...]) -> None:
        self.verdicts = verdicts
        self.passes = 0

    def __len__(self) -> int:
        return len(self.verdicts)

    def __iter__(self) -> Iterator[Verdict]:
        self.passes += 1
        return iter(self.verdicts)


# What a program, a layer map or a file name may say, and no format may take for anything but text.
HOSTILE = {
    "a tag": "<script>alert(1)</script>",
    "an attribute": "\" onmouseover=\"alert(1)' x='",
    "an entity": "&lt;b&gt;&amp;&#x41;",
    "a template": "{{ 7 * 7 }}{% raw %}{0}",
    "pipes": "a|b\\|c||",
    "backticks": "`code` ```fence``` ``",
    "markdown": "# *a* _b_ [c](http://d) ![e](f) ~~g~~ <http://h> @root #1 - 1. x",
    "lines": "one\ntwo\r\n\n- three",
    "the end of a section": "]]>",
    "a comment": "<!-- x --!> -->",
    "control characters": "\x00\x01\x1b[31m\x07\x7f\x9b\x85",
    "a lone surrogate": "\udc80\ud800",
    "no character": "\ufffe\uffff",
    "a direction": "\u202eabc\u2066",
    "spaces alone": "  ",
    "nothing": "",
    "a long one": "x" * 5000,
}


@pytest.fixture(params=HOSTILE.values(), ids=HOSTILE)
def hostile(request: pytest.FixtureRequest) -> str:
    """A text that means something in one format or another."""
    text: str = request.param
    return text


@pytest.fixture
def infested(hostile: str) -> Report:
    """A report in which everything that somebody else may have written is the same hostile text."""
    subject = Subject(0, hostile, hostile, hostile, Mode.LOCAL)
    element = Element((0,), math.nan, math.inf, 0.0, None)
    wrong = Verdict(subject, Status.NONFINITE, 3, 1, f"{hostile}[0]", element, None, hostile)
    loose = replace(
        wrong, subject=replace(subject, buffer=f"{hostile}2"), status=Status.UNCHECKED, bad=0
    )
    return Report(
        program=hostile,
        steps=(0,),
        verdicts=(wrong, loose),
        error=hostile,
        diagnosis=(Diagnosis("kind", hostile, 1, 1),),
        culprit=Culprit(
            hostile,
            (Suspect(0x401000, hostile, hostile or None, 7, hostile, hostile),) * 2,
            (hostile,),
        ),
        boundaries={hostile: CodePlace(0x401000, hostile, hostile or None, 7)},
        crash=Crash(
            *("SIGSEGV", 0x401000, hostile, hostile or None, 7, hostile, 0x18, hostile),
            last_agreed=Agreed(0, hostile),
        ),
        says=hostile,
    )


@pytest.fixture
def mixed(verdict: Make) -> Report:
    """Three steps: dense2 diverges in two, relu is not known in one, dense1 agrees."""
    return Report(
        program="bin/prog",
        steps=(0, 1, 2),
        verdicts=tuple(
            made
            for step in range(3)
            for made in (
                verdict(step, "dense1", buffer="z1"),
                verdict(step, "dense2", Status.DIVERGED if step else Status.AGREE),
                verdict(
                    step,
                    "relu",
                    Status.UNCHECKED if step == 1 else Status.AGREE,
                    buffer="h",
                    says="float32 overflows" if step == 1 else "",
                ),
            )
        ),
        diagnosis=(Diagnosis("term_missing", "the term k=127 is missing", 60, 64),),
        boundaries={"dense2": CodePlace(0x4019A3, "forward", "asm/forward.asm", 60)},
    )
