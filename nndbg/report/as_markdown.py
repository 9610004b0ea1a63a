"""Renders a report as Markdown for a comment on a pull request (GitHub Flavored Markdown).

Names and numbers are in code spans, where nothing is markup and nobody is mentioned; in sentences
every character that could mean something is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from nndbg.report.drift import sentences
from nndbg.report.model import First, Report
from nndbg.report.outputs import (
    SYMBOLS,
    Output,
    compared,
    headline,
    line,
    outputs,
    place,
    share_in_words,
    steps_in_words,
    unchecked,
)

# A comment may have 65536 characters. Each table gets a third of that, and a text less than most.
_MOST_TABLE = 20_000
_MOST_TEXT = 1_000

_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
_UNREMARKABLE = ",;'\"/?%("


def render(report: Report) -> str:
    """Return a summary line, the first divergence, what is wrong, and all outputs folded away."""
    return "\n\n".join(_parts(report)) + "\n"


def _parts(report: Report) -> Iterator[str]:
    sign = "✅" if report.agrees else "❌" if report.wrong or report.error is not None else "⚠️"
    summary = headline(report)
    if (loose := unchecked(report)) and (report.agrees or report.wrong):
        summary += f", {loose} unchecked"
    yield f"{sign} **{summary[0].upper()}{summary[1:]}** · {code(report.program)}, " + prose(
        steps_in_words(report)
    )
    if report.error is not None:
        yield f"**The run ended early:** {'<br>'.join(map(prose, report.error.splitlines()))}"
    if report.first is not None:
        yield from _first(report.first)
    if told := sentences(report):
        yield "\n".join(["### Trajectory", "", *(f"- {prose(sentence)}" for sentence in told)])
    found = outputs(report)
    if wrong := [output for output in found if output.wrong]:
        yield "\n".join(
            _table(("", "op", "output", "mode", "wrong", "of bound", "steps"), map(_wrong, wrong))
        )
    if found:
        rows = _table(
            ("", "op", "kind", "output", "mode", "checked", "wrong", "of bound", "steps"),
            map(_any, found),
        )
        count = f"{len(found)} output{'s' if len(found) != 1 else ''}"
        yield f"<details>\n<summary>All {count}</summary>"
        yield "\n".join(rows)
        yield "</details>"


def _first(first: First) -> Iterator[str]:
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
        lines.append(f"worst: {code(place(verdict))}: {sides}")
    yield "\n".join(f"- {told}" for told in lines)


def _wrong(output: Output) -> Sequence[str]:
    return (
        SYMBOLS[output.status],
        _cell(output.op),
        _cell(output.buffer),
        output.mode.value,
        f"{output.bad} of {output.checked}",
        prose(share_in_words(output.share)),
        prose(output.says),
    )


def _any(output: Output) -> Sequence[str]:
    return (
        SYMBOLS[output.status],
        _cell(output.op),
        _cell(output.kind),
        _cell(output.buffer),
        output.mode.value,
        str(output.checked),
        str(output.bad),
        prose(share_in_words(output.share)),
        prose(output.says),
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


def _short(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 1]}…"
