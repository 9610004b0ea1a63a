"""Draws in words why a buffer is wrong: the verdict, the mistakes that explain it, the culprit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from rich.style import Style
from rich.text import Text

from nndbg.compare import Verdict
from nndbg.culprit import Write
from nndbg.diagnose import Diagnosis
from nndbg.finding import Finding
from nndbg.ledger import Observation
from nndbg.report.words import MEANINGS, SIGNS, computed, in_a_turn
from nndbg.text import printable
from nndbg.tui.inquest import Answer
from nndbg.tui.palette import DIM, NUMBER, PLAIN, STRONG, STYLES, UNKNOWN, WRONG

_MOST_WRITES = 40
_INDENT = "    "


def draw_why(
    observation: Observation | None,
    verdict: Verdict | None,
    diagnoses: Sequence[Diagnosis] | None,
    answer: Answer | None,
    asked: str,
    width: int,
) -> Text:
    """Return all that is known; `diagnoses` None while they are looked for.

    `asked` names the element that is inquired about at present.
    """
    text = Text()
    for line in _lines(observation, verdict, diagnoses, answer, asked, width):
        text.append_text(line).append("\n")
    text.right_crop(1)
    return text


def _lines(
    observation: Observation | None,
    verdict: Verdict | None,
    diagnoses: Sequence[Diagnosis] | None,
    answer: Answer | None,
    asked: str,
    width: int,
) -> Iterator[Text]:
    if observation is None or verdict is None:
        yield Text("nothing is judged here yet", DIM)
    else:
        look = STYLES[verdict.status]
        yield Text.assemble(
            (f"{SIGNS[verdict.status]} {verdict.status}", look),
            (
                f"   {printable(verdict.subject.buffer)} after {printable(observation.op.name)}",
                PLAIN,
            ),
        )
        yield Text(MEANINGS[verdict.status], DIM)
        if verdict.status.is_wrong:
            yield from _diagnosed(diagnoses)
        for finding in observation.findings:
            yield _found(finding)
    yield Text()
    if asked:
        yield Text(f"looking for who made {printable(asked)} …", UNKNOWN)
    elif answer is None:
        yield Text("X asks who made the element under the cursor", DIM)
    if answer is not None:
        yield from _answered(answer, width)


def _diagnosed(diagnoses: Sequence[Diagnosis] | None) -> Iterator[Text]:
    if diagnoses is None:
        yield Text("looking for the mistake …", DIM)
    elif not diagnoses:
        yield Text("no known mistake explains it", DIM)
    for number, one in enumerate(diagnoses or ()):
        style = STRONG if number == 0 else PLAIN
        yield Text.assemble(
            (f"{number + 1}. ", DIM),
            (printable(one.says), style),
            (f" (explains {one.explains} of {one.of})", DIM),
        )


def _found(finding: Finding) -> Text:
    style = WRONG if finding.is_error else UNKNOWN
    return Text.assemble((f"{finding.audit}: ", style), (printable(finding.says), PLAIN))


def _answered(answer: Answer, width: int) -> Iterator[Text]:
    question = answer.question
    if answer.problem:
        yield Text(answer.problem, WRONG)
    culprit = answer.culprit
    if culprit is not None:
        yield Text.assemble(("who is to blame for ", STRONG), (printable(culprit.element), STRONG))
        for number, suspect in enumerate(culprit.candidates):
            look: Style = WRONG if number == 0 else PLAIN
            yield Text.assemble(
                ("✗ " if number == 0 else "  ", look),
                (printable(suspect.instruction), look),
                (f"   {printable(suspect.place)} in {printable(suspect.function)}", NUMBER),
            )
            yield _indented(suspect.says, width)
        if culprit.computed is not None:
            says, lane, *_ = computed(culprit.computed)
            yield _indented(says, width, PLAIN)
            yield _indented(lane, width)
            for turn in culprit.computed.turns:
                yield _indented(in_a_turn(turn), width, PLAIN if turn.is_right else WRONG)
        for note in culprit.notes:
            yield _indented(note, width)
        yield Text()
    blame = answer.blame
    if blame is None:
        if culprit is None and not answer.problem:
            yield Text(f"who made {printable(question.element)} was not recorded", DIM)
        return
    head = f"who wrote {printable(blame.element)} in step {blame.step} until {question.op}"
    yield Text.assemble((head, STRONG), (f"   {blame.means}, read {blame.reads} times", DIM))
    if not blame.writes:
        yield Text("nobody", DIM)
    left = len(blame.writes) - _MOST_WRITES
    if left > 0:
        yield Text(f"… {left} earlier ones", DIM)
    for write in blame.writes[-_MOST_WRITES:]:
        yield _written(write)
    for note in blame.notes:
        yield Text(printable(note), DIM)


def _indented(words: str, width: int, style: Style = DIM) -> Text:
    lines = wrap(printable(words), max(20, width - len(_INDENT)))
    return Text("\n".join(_INDENT + line for line in lines), style)


def _written(write: Write) -> Text:
    where = write.site
    return Text.assemble(
        (f"{write.before:.6g} → {write.after:.6g}".ljust(28), PLAIN),
        (printable(where.instruction), PLAIN),
        (f"   {printable(where.place)} in {printable(where.function)}", NUMBER),
        (f"   {printable(write.op)}" if write.op else "", DIM),
    )
