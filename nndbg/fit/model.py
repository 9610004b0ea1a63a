"""What a fit is made of, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nndbg.fit.document import value_text
from nndbg.layermap import MAIN_PHASE

Table = Mapping[str, Any]
# Hears what is being done, how much of it is, and of how much.
Tell = Callable[[str, int, int], None]


def tell_nobody(task: str, done: int, total: int) -> None:
    """Keep how far a fit has come to oneself."""


@dataclass(frozen=True)
class Fit:
    """The text of a map that fits a run as well as could be found, and what was found.

    `changes` is what is different in it, `open_` what a run could not settle, `disagree` the ops
    that nothing makes agree, `unowned` what changes although no op does that; `agree` is how many
    ops agree, in `steps`. `hints` says more of some that disagree.
    """

    text: str
    changes: tuple[str, ...]
    open_: tuple[str, ...]
    disagree: tuple[str, ...]
    unowned: tuple[str, ...]
    agree: int
    steps: str
    hints: Mapping[str, str]

    def told(self) -> Iterator[str]:
        """Yield what was found in words: what changed, what is open, and what it comes to."""
        yield from self.changes
        yield from (f"not settled: {one}" for one in self.open_)
        for name in self.disagree:
            hint = f"; {self.hints[name]}" if name in self.hints else ""
            yield f"{name}: nothing that was tried agrees{hint}"
        yield from (f"no op owns this: {one}" for one in self.unowned)
        count = self.agree + len(self.disagree)
        yield f"{self.agree} of {count} ops agree with steps {self.steps}"

    @property
    def is_whole(self) -> bool:
        """Whether every op of the map agrees with the run, and does all that changes."""
        return not self.disagree and not self.unowned


@dataclass(frozen=True)
class Chosen:
    """What an op is taken to be: the first variant that agrees, and how others that do differ."""

    table: Table
    says: str
    others: tuple[str, ...]


@dataclass(frozen=True)
class Changed:
    """A buffer that changes with an op that does not own it; `is_cleared` where it becomes 0."""

    phase: str
    op: str
    buffer: str
    is_cleared: bool
    says: str

    def text(self, tables: Sequence[Table]) -> str:
        """Return an op that does it, complete where the other is."""
        beside = next(
            t for t in tables if t["name"] == self.op and t.get("phase", MAIN_PHASE) == self.phase
        )
        table = {"name": f"clear_{self.buffer}", "phase": self.phase, "kind": "fill"}
        table |= {"out": self.buffer}
        table |= {key: beside[key] for key in ("done", "nth", "call", "when") if key in beside}
        lines = [f"{key} = {value_text(value)}" for key, value in table.items()]
        return "\n".join(["[[ops]]  # fit: added", *lines, "", ""])
