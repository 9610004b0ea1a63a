"""Verdicts made up for the renderers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nndbg.compare import Distance, Element, Mode, Status, Subject, Verdict

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
