"""Opcodes that are written for one another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

_FLAGS = ("o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g")
# What differs by the case of equality, by sign, and both.
_NEAR = {
    "l": ("le", "b"), "le": ("l", "be"), "g": ("ge", "a"), "ge": ("g", "ae"),
    "b": ("be", "l"), "be": ("b", "le"), "a": ("ae", "g"), "ae": ("a", "ge"),
    "e": ("le", "ge", "be", "ae"), "ne": ("l", "g", "b", "a"),
    "s": ("l", "b"), "ns": ("ge", "ae"),
}  # fmt: skip
_PACKED = ("ps", "pd", "ss", "sd")
_WIDTHS = ("b", "w", "d", "q")
_ORDERS = ("132", "213", "231")
_SIGNS = ("fmadd", "fmsub", "fnmadd", "fnmsub")

# The first ones of a family are nearest to each other.
_FAMILIES: tuple[tuple[str, ...], ...] = (
    ("movss", "movsd"),
    ("movss", "movlps"),
    ("movd", "movq"),
    ("add", "sub", "adc", "sbb", "xor", "or", "and", "cmp", "test", "mov"),
    ("and", "or", "xor", "test", "andn"),
    ("inc", "dec", "neg", "not"),
    ("shl", "shr", "sar", "rol", "ror"),
    ("shlx", "shrx", "sarx"),
    ("mul", "imul", "div", "idiv"),
    ("imul", "mov", "add", "sub", "cmovne"),
    ("mov", "lea", "movzx", "movsx", "movsxd"),
    ("push", "pop"),
    ("bsf", "bsr", "tzcnt", "lzcnt", "popcnt"),
    ("bt", "bts", "btr", "btc"),
    ("movaps", "movups", "movss", "movlps", "movhps", "movd", "movntps"),
    ("movaps", "movss", "movhlps", "movlhps", "addss", "addps"),
    ("movapd", "movupd", "movsd", "movlpd", "movhpd", "movq", "movddup"),
    ("movdqa", "movdqu", "movd", "movq"),
    ("movss", "movd", "movsd", "movq", "cvtss2sd"),
    ("movups", "movupd", "movdqu"),
    ("movups", "broadcastss", "movss"),
    ("broadcastss", "broadcastsd", "pbroadcastd", "pbroadcastq", "movss", "movd", "movups"),
    ("broadcastf128", "broadcasti128", "movups"),
    ("unpcklps", "unpckhps", "unpcklpd", "unpckhpd", "movlhps", "movhlps", "shufps"),
    ("punpckldq", "punpckhdq", "punpcklqdq", "punpckhqdq", "punpcklbw", "punpckhbw"),
    ("cvtsi2ss", "cvtsi2sd"),
    ("cvtss2sd", "cvtsd2ss", "cvtps2pd", "cvtpd2ps", "movss", "movsd"),
    ("cvttss2si", "cvtss2si", "cvttsd2si", "cvtsd2si"),
    ("cvtdq2ps", "cvttps2dq", "cvtps2dq", "cvtudq2ps"),
    ("pmovzxbd", "pmovsxbd", "pmovzxbw", "pmovzxbq"),
    ("rcpps", "rsqrtps", "sqrtps", "movaps"),
    ("rcpss", "rsqrtss", "sqrtss", "movss"),
    ("haddps", "hsubps", "addps", "addsubps"),
    ("permps", "permd", "permilps", "permpd"),
    ("maskmovps", "pmaskmovd", "maskmovpd"),
    ("roundps", "roundpd"),
    ("ucomiss", "comiss", "ucomisd", "comisd"),
    ("blendvps", "blendvpd", "pblendvb"),
    ("movsb", "movsd", "movsq", "stosb", "stosd", "stosq"),
    ("stosb", "stosw", "stosd", "stosq"),
    ("cqo", "cdq", "cdqe"),
)


def _generated() -> Iterator[tuple[str, ...]]:
    operations = ("add", "sub", "mul", "div", "min", "max", "xor", "and", "or", "andn", "sqrt")
    for suffix in _PACKED:
        yield ("add", "sub", "xor")[0] + suffix, *(o + suffix for o in operations[1:])
        yield "min" + suffix, "max" + suffix
        yield "mul" + suffix, "div" + suffix
        yield "and" + suffix, "andn" + suffix, "or" + suffix, "xor" + suffix
    for operation in (*operations, "cmp", "mova", "movu"):
        yield tuple(operation + suffix for suffix in _PACKED)
    for order in _ORDERS:
        for suffix in _PACKED:
            yield tuple(f"{sign}{order}{suffix}" for sign in _SIGNS)
    for sign in _SIGNS:
        for suffix in _PACKED:
            yield tuple(f"{sign}{order}{suffix}" for order in _ORDERS)
        for order in _ORDERS:
            yield tuple(f"{sign}{order}{suffix}" for suffix in _PACKED)
    for width in _WIDTHS:
        yield tuple(
            o + width for o in ("padd", "psub", "pmull", "pminu", "pmaxu", "pmins", "pmaxs")
        )
        yield "pcmpeq" + width, "pcmpgt" + width
        yield tuple(o + width for o in ("psll", "psrl", "psra", "pro"))
        yield tuple(o + width for o in ("psllv", "psrlv", "psrav"))
        yield tuple(o + width for o in ("kand", "kandn", "kor", "kxor", "kxnor"))
        yield tuple(o + width for o in ("kshiftl", "kshiftr"))
        yield tuple(o + width for o in ("kortest", "ktest"))
        yield tuple(o + width for o in ("pcmp", "pcmpu"))
    for operation in ("padd", "psub", "psll", "psrl", "psra", "psllv", "psrlv", "pcmpeq", "pcmpgt"):
        yield tuple(operation + width for width in _WIDTHS)
    for operation in ("kmov", "kand", "kor", "kxor", "kandn", "kxnor", "kshiftl", "kshiftr"):
        yield tuple(operation + width for width in _WIDTHS)
    yield "paddq", "psubq", "pmuludq", "pmuldq", "pxor"
    yield "pand", "pandn", "por", "pxor"
    yield "pandd", "pandnd", "pord", "pxord"
    yield "pandq", "pandnq", "porq", "pxorq"


def conditions(name: str) -> tuple[str, ...]:
    """Return what another condition would make of a conditional instruction, the nearest first."""
    for prefix in ("cmov", "set", "j"):
        flag = name.removeprefix(prefix)
        if name.startswith(prefix) and flag in _FLAGS:
            opposite = _FLAGS[_FLAGS.index(flag) ^ 1]
            nearest = (*_NEAR.get(flag, ()), opposite, *_NEAR.get(opposite, ()))
            return tuple(prefix + f for f in dict.fromkeys((*nearest, *_FLAGS)) if f != flag)
    return ()


@cache
def alternatives(name: str) -> tuple[str, ...]:
    """Return the opcodes that may have been meant, the nearest first."""
    vector = name.startswith("v")
    plain = name[1:] if vector else name
    found: dict[str, int] = {}
    for family in _all():
        if plain not in family:
            continue
        at = family.index(plain)
        for other, member in enumerate(family):
            if member != plain:
                found[member] = min(found.get(member, 99), abs(other - at))
    ordered = sorted(found, key=lambda member: found[member])
    prefixed = ("v" + member for member in ordered) if vector else iter(ordered)
    both: Iterable[str] = prefixed
    return tuple(both)


@cache
def _all() -> tuple[tuple[str, ...], ...]:
    return (*_FAMILIES, *_generated())
