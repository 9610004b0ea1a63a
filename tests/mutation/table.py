"""Writes the result of a campaign as Markdown: the part of docs/detection-power.md with figures."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from .operators import OPERATORS
from .trial import Outcome, Result, Said

REASONS = Path(__file__).with_name("reasons.toml")

_WORDS: Mapping[Outcome, str] = {
    Outcome.WRONG: "a wrong number in a checked buffer",
    Outcome.KILLED: "killed by a crash, a hang or an exit code",
    Outcome.ROUNDING: "changed within rounding",
    Outcome.UNOWNED: "changed what no op of the map makes",
    Outcome.SPARE: "changed only elements not in use",
    Outcome.OUTPUT: "changed only what the program prints or writes",
    Outcome.INVISIBLE: "invisible: every bit the same",
    Outcome.FAILED: "could not be tried",
}


def markdown(results: Sequence[Result], seed: int) -> str:
    """Return the tables and lists; reasons come from reasons.toml."""
    reasons = _read_reasons()
    wrong = [r for r in results if r.outcome is Outcome.WRONG]
    guilty = [r for r in wrong if r.caught and r.has_a_guilty_line]
    parts = [
        f"`python -m tests.mutation --count {len(results)} --seed {seed}`: {len(results)} mutants "
        f"of {len({r.file for r in results})} files.",
        _sentence(wrong, guilty),
        _outcomes(results),
        _operators(results),
    ]
    silent = [r for r in results if r.outcome is Outcome.KILLED and not r.caught]
    missed = [r for r in wrong if not r.caught]
    numeric = (Outcome.WRONG, Outcome.KILLED)
    lists: tuple[tuple[str, list[Result], Callable[[Result], str]], ...] = (
        (
            "Missed: a wrong number that nndbg does not report",
            missed,
            _judged_and_told,
        ),
        (
            "Caught, with another first op",
            [r for r in wrong if r.caught and not r.is_first_op_right],
            _judged_and_told,
        ),
        (
            "Caught, and the changed line is no culprit",
            [r for r in guilty if r.culprit_rank is None],
            _accused,
        ),
        ("Killed, and nndbg says nothing", silent, lambda r: r.killed or ""),
        (
            "Spoken of, though no output is wrong",
            [r for r in results if r.caught and r.outcome not in numeric],
            _spoken,
        ),
        (
            "Changed what no op of the map makes",
            [r for r in results if r.outcome is Outcome.UNOWNED],
            lambda r: r.detail,
        ),
        ("Not tried", [r for r in results if r.outcome is Outcome.FAILED], lambda r: r.detail),
    )
    for title, listed, says in lists:
        lines = [_item(r, says(r), reasons) for r in sorted(listed, key=lambda r: (r.file, r.line))]
        parts.append("\n".join([f"### {title}", "", *(lines or ["None."])]))
    return "\n\n".join(parts) + "\n"


def _sentence(wrong: Sequence[Result], guilty: Sequence[Result]) -> str:
    caught = sum(r.caught for r in wrong)
    right = sum(bool(r.is_first_op_right) for r in wrong)
    first = sum(r.culprit_rank == 0 for r in guilty)
    listed = sum(r.culprit_rank is not None for r in guilty)
    return (
        f"Of {len(wrong)} mutants with a wrong number in a checked buffer nndbg caught "
        f"{_share(caught, len(wrong))}, and it named the right op first for "
        f"{_share(right, len(wrong))}. In {len(guilty)} of those that it caught an instruction was "
        f"changed: the culprit is its line for {_share(first, len(guilty))}, and it is among the "
        f"five for {_share(listed, len(guilty))}."
    )


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.1f} %)" if whole else "0"


def _outcomes(results: Sequence[Result]) -> str:
    rows = ["| judged apart from nndbg | mutants | nndbg speaks |", "| --- | ---: | ---: |"]
    for outcome, words in _WORDS.items():
        of_it = [r for r in results if r.outcome is outcome]
        rows.append(f"| {words} | {len(of_it)} | {sum(r.caught for r in of_it)} |")
    return "\n".join(rows)


def _operators(results: Sequence[Result]) -> str:
    names = list(_WORDS)
    head = " | ".join(outcome.value for outcome in names)
    rows = [
        f"| operator | mutants | {head} | wrong: caught | first op right |",
        f"| --- | {' | '.join(['---:'] * (len(names) + 3))} |",
    ]
    for operator in OPERATORS:
        rows.append(_operator_row(operator, [r for r in results if r.operator == operator]))
    rows.append(_operator_row("all", results))
    return "\n".join(rows)


def _operator_row(name: str, results: Sequence[Result]) -> str:
    wrong = [r for r in results if r.outcome is Outcome.WRONG]
    counts = [sum(r.outcome is outcome for r in results) for outcome in _WORDS]
    counts += [sum(r.caught for r in wrong), sum(bool(r.is_first_op_right) for r in wrong)]
    return f"| {name} | {len(results)} | {' | '.join(map(str, counts))} |"


def _judged_and_told(result: Result) -> str:
    assert result.wrong is not None
    step, op = result.wrong
    said = result.first
    found = _told(said) if said is not None else "nothing"
    return f"judged {result.phase}, step {step}, {op} ({result.detail}); nndbg: {found}"


def _accused(result: Result) -> str:
    named = result.first.culprits if result.first is not None else ()
    return ", ".join(f"{file}:{line}" for file, line in named) or "nobody is accused"


def _spoken(result: Result) -> str:
    judged = " ".join(word for word in (result.outcome.value, result.detail) if word)
    said = next(said for said in result.told if said.caught)
    return f"judged {judged}; nndbg: {said.phase}, {_told(said)}"


def _told(said: Said) -> str:
    """Return what nndbg said of a phase in a line."""
    words = []
    if said.first is not None:
        step, op = said.first
        words.append(f"step {step}, {op}: {said.buffer} {said.status} {said.says or ''}".strip())
    if said.error is not None:
        words.append(said.error)
    if said.finding is not None:
        words.append(said.finding)
    return "; ".join(words) or "nothing"


def _item(result: Result, says: str, reasons: Mapping[tuple[str, str, str], str]) -> str:
    change = f"`{result.before}` => `{result.after}`"
    reason = reasons.get((result.file, result.before, result.after))
    told = " ".join(says.split())
    return f"- {result.file}:{result.line} {change}: {told}" + (
        f" **Why:** {reason}" if reason else ""
    )


def _read_reasons() -> dict[tuple[str, str, str], str]:
    """Return why a mutant is where it is, for those that were looked into."""
    if not REASONS.is_file():
        return {}
    known: Iterable[Mapping[str, str]] = tomllib.loads(REASONS.read_text()).get("reason", [])
    return {(r["file"], r["before"], r["after"]): r["says"] for r in known}
