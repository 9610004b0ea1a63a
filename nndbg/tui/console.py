"""Which commands the debugger's console is not given, because the screen would not know of them."""

from __future__ import annotations

from collections.abc import Mapping

_MOVES = "this moves the program behind the back of the screen"
_ENDS = "this ends the program behind the back of the screen"
_STOPS = "this changes the breakpoints at the boundaries"
_RUNS = "this runs other programs, or GDB's own files"
# The words of GDB that are refused, each with the shortest that GDB takes for it, and why.
_REFUSED: Mapping[str, tuple[int, str]] = {
    "advance": (2, _MOVES),
    "attach": (3, _ENDS),
    "awatch": (2, _STOPS),
    "break": (1, _STOPS),
    "call": (3, _MOVES),
    "catch": (3, _STOPS),
    "checkpoint": (2, _MOVES),
    "clear": (2, _STOPS),
    "commands": (4, _STOPS),
    "condition": (4, _STOPS),
    "continue": (1, _MOVES),
    "core-file": (4, _ENDS),
    "define": (3, _RUNS),
    "delete": (1, _STOPS),
    "detach": (3, _ENDS),
    "disable": (4, _STOPS),
    "document": (3, _RUNS),
    "enable": (2, _STOPS),
    "exec-file": (4, _ENDS),
    "exit": (3, _ENDS),
    "fg": (2, _MOVES),
    "file": (3, _ENDS),
    "finish": (3, _MOVES),
    "generate-core-file": (3, _RUNS),
    "ignore": (2, _STOPS),
    "hbreak": (2, _STOPS),
    "inferior": (4, _ENDS),
    "interrupt": (5, _MOVES),
    "jump": (1, _MOVES),
    "kill": (1, _ENDS),
    "maintenance": (2, _RUNS),
    "make": (3, _RUNS),
    "next": (1, _MOVES),
    "nexti": (2, _MOVES),
    "ni": (2, _MOVES),
    "pipe": (2, _RUNS),
    "python": (2, _RUNS),
    "quit": (1, _ENDS),
    "record": (3, _MOVES),
    "reverse-continue": (2, _MOVES),
    "rbreak": (2, _STOPS),
    "run": (1, _MOVES),
    "shell": (3, _RUNS),
    "signal": (3, _MOVES),
    "rwatch": (2, _STOPS),
    "source": (2, _RUNS),
    "start": (5, _MOVES),
    "starti": (6, _MOVES),
    "step": (1, _MOVES),
    "stepi": (5, _MOVES),
    "si": (2, _MOVES),
    "target": (3, _ENDS),
    "thread": (1, "this would have the screen read another thread"),
    "tbreak": (2, _STOPS),
    "thbreak": (3, _STOPS),
    "until": (1, _MOVES),
    "watch": (2, _STOPS),
}
_ALIASES = {
    "rc",
    "rs",
    "rsi",
    "rn",
    "rni",
    "pi",
    "python-interactive",
    "tp",
    "queue-signal",
    "stepping",
}


def refused(words: str) -> str:
    """Return why a command is not put to GDB, in a sentence; empty where it is."""
    first = words.split(maxsplit=1)[0] if words.split() else ""
    if not first:
        return "type a command of GDB, such as info registers rip."
    if first[0] in "!|":
        return f"{first[0]}: {_RUNS}."
    name = first.split("/")[0]
    if name.startswith("reverse") or name in _ALIASES:
        return f"{name}: {_MOVES}. The keys of the screen do it; ? explains them."
    for word, (shortest, why) in _REFUSED.items():
        if len(name) >= shortest and word.startswith(name):
            return f"{word}: {why}. The keys of the screen do what is needed; ? explains them."
    return ""
