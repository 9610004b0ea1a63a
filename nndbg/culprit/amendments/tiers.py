"""Changes of an instruction and around it, the likeliest mistakes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from iced_x86 import Instruction

from nndbg.culprit.amendments import arithmetic, calls, constants, insertions, replacements
from nndbg.culprit.amendments.coding import Change
from nndbg.culprit.amendments.replacements import Setting

Tier = Callable[[tuple[Instruction, ...], int, Setting], Iterator[Change]]


def _first(body: tuple[Instruction, ...], at: int, setting: Setting) -> Iterator[Change]:
    yield from replacements.near(body[at], setting)
    yield from constants.constants(body[at], setting)
    yield from replacements.misdirected(body, at, setting)
    yield from insertions.patterned(body, at, setting)
    yield from insertions.overwritten(body, at)
    yield from calls.prepared(body, at, setting)
    yield from calls.missed(body, at, setting)
    yield from arithmetic.unread(body, at)
    yield from arithmetic.unset(body, at)


def _second(body: tuple[Instruction, ...], at: int, setting: Setting) -> Iterator[Change]:
    yield from replacements.named(body[at], setting)
    yield from insertions.swapped(body, at)
    yield from insertions.likely(body, at, setting)
    yield from arithmetic.elsewhere(body, at)


def _third(body: tuple[Instruction, ...], at: int, setting: Setting) -> Iterator[Change]:
    yield from replacements.far(body[at], setting)
    yield from insertions.possible(body, at, setting)
    yield from arithmetic.compared(body, at, setting)


def _fourth(body: tuple[Instruction, ...], at: int, setting: Setting) -> Iterator[Change]:
    yield from replacements.farthest(body[at], setting)
    yield from arithmetic.anything(body, at, setting)


TIERS: tuple[Tier, ...] = (_first, _second, _third, _fourth)
