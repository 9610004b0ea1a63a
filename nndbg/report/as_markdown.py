"""Renders a report as Markdown for a comment on a pull request (GitHub Flavored Markdown).

Names and numbers are in code spans, where nothing is markup and nobody is mentioned; in sentences
every character that could mean something is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from nndbg.report.audits import gathered
from nndbg.report.drift import sentences
from nndbg.report.model import First, Report
from nndbg.report.tally import Output, tally
from nndbg.report.words import (
    ENDED_EARLY,
    SIGNS,
    accused,
    boundary,
    compared,
    crashed,
    headline,
    in_one_word,
    line,
    share_in_words,
    steps_in_words,
    unproved,
    worst_place,
)
from nndbg.text import printable

# A comment may have 65536 characters: this much of it is for each table and each text, of which
# escapes make twice as much.
_MOST_TABLE = 18_000
_MOST_ERROR = 4_000
_MOST_TEXT = 600
_MOST_UNPROVED = 5

_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
_UNREMARKABLE = ",;'\"/?%("


def render(report: Report) -> str:
    """Return a summary line, the first divergence, what is wrong, and all outputs folded away."""
    return "\n\n".join(_parts(report)) + "\n"


def _parts(report: Report) -> Iterator[str]:
    counts = tally(report)
    is_wrong = counts.wrong or report.objections or report.error is not None
    sign = "✅" if report.agrees else "❌" if is_wrong else "⚠️"
    summary = headline(report, counts)
    yield f"{sign} **{summary[0].upper()}{summary[1:]}** · {code(report.program)}, " + prose(
        steps_in_words(report)
    )
    if report.error is not None:
        lines = _short(printable(report.error), _MOST_ERROR).split("\n")
        yield f"**{ENDED_EARLY.capitalize()}:** {'<br>'.join(map(prose, lines))}"
    if report.says:
        yield prose(report.says)
    if report.crash is not None:
        yield "\n".join(f"- {prose(told)}" for told in crashed(report.crash))
    if (first := report.first) is not None:
        yield from _first(report, first)
    if report.healed is not None:
        yield f"**Healed:** {prose(report.healed.says)}"
    if findings := gathered(report):
        yield "\n".join(f"- **{prose(said.title)}** {prose(said.text)}" for said in findings)
    if told := sentences(report):
        yield "\n".join(["### Trajectory", "", *(f"- {prose(sentence)}" for sentence in told)])
    found = list(counts.outputs)
    if wrong := [output for output in found if output.wrong]:
        yield "\n".join(
            _table(("", "op", "output", "mode", "wrong", "of bound", "steps"), map(_wrong, wrong))
        )
    if loose := [output for output in found if output.unproved]:
        told = [f"- {prose(unproved(output))}" for output in loose[:_MOST_UNPROVED]]
        if left := len(loose) - len(told):
            told.append(f"- and {left} more")
        yield "\n".join(told)
    if found:
        rows = _table(
            ("", "op", "kind", "output", "mode", "checked", "wrong", "of bound", "steps"),
            map(_any, found),
        )
        count = f"{len(found)} output{'s' if len(found) != 1 else ''}"
        yield f"<details>\n<summary>All {count}</summary>"
        yield "\n".join(rows)
        yield "</details>"


def _first(report: Report, first: First) -> Iterator[str]:
    verdict, subject = first.verdict, first.verdict.subject
    yield (
        f"### First divergence: {code(subject.op)} ({prose(subject.kind)}) in step {subject.step}"
    )
    elements = f"{verdict.bad} of {verdict.checked} elements are wrong"
    lines = [f"{code(verdict.where)}: {elements}" if verdict.where else elements]
    if verdict.says:
        lines.append(prose(verdict.says))
    lines += [
        f"{prose(diagnosis.says)} (explains {diagnosis.explains} of {diagnosis.of})"
        for diagnosis in first.diagnosis
    ]
    if verdict.worst is not None:
        sides = ", ".join(f"{name} {code(value)}" for name, value in compared(verdict.worst))
        lines.append(f"worst: {code(worst_place(verdict))}: {sides}")
    if (place := report.boundaries.get(subject.op)) is not None:
        lines.append(f"{code(subject.op)} is complete at {code(boundary(place))}")
    if first.culprit is not None:
        lines += map(prose, accused(first.culprit))
    yield "\n".join(f"- {told}" for told in lines)


def _wrong(output: Output) -> Sequence[str]:
    return (
        SIGNS[output.status],
        _cell(output.subject.op),
        _cell(output.subject.buffer),
        output.mode.value,
        f"{output.bad} of {output.checked}",
        prose(share_in_words(output.share)),
        prose(in_one_word(output)),
    )


def _any(output: Output) -> Sequence[str]:
    return (
        SIGNS[output.status],
        _cell(output.subject.op),
        _cell(output.subject.kind),
        _cell(output.subject.buffer),
        output.mode.value,
        str(output.checked),
        str(output.bad),
        prose(share_in_words(output.share)),
        prose(in_one_word(output)),
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table, as far as they fit into a comment."""
    yield _row(heads)
    yield _row(["---"] * len(heads))
    length, left = 0, 0
    for row in rows:
        text = _row(row)
        length += len(text)
        if length <= _MOST_TABLE:
            yield text
        else:
            left += 1
    if left:
        yield _row(["", f"and {left} more", *[""] * (len(heads) - 2)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def code(text: str) -> str:
    """Return `text` as a code span: its fence is longer than any run of backticks in it."""
    shown = _short(line(text))
    if not shown.strip():
        return "` `"
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    space = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{space}{shown}{space}{fence}"


def _cell(text: str) -> str:
    """Return `text` as a code span in a table, where a pipe ends a cell even in code."""
    return code(text).replace("|", "\\|")


def prose(text: str) -> str:
    """Return `text` so that Markdown shows it as it is.

    An invisible space after `@` and `#` keeps a person from being told and an issue from being
    linked: there GitHub looks at the text that is shown, where a backslash is gone.
    """
    escaped = _PUNCTUATION.sub(
        lambda found: found[0] if found[0] in _UNREMARKABLE else f"\\{found[0]}", _short(line(text))
    )
    return re.sub(r"[@#]", lambda found: f"{found[0]}\u200b", escaped).strip()


def _short(text: str, most: int = _MOST_TEXT) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
