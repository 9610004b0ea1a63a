"""Which instruction may stand for which: the mistakes that a hand makes, same operands."""

from __future__ import annotations

import re

# Each row is a family: any member may be typed for another.
_FAMILIES = (
    "add sub and or xor",
    "inc dec",
    "neg not",
    "shl shr sar",
    "mul div",
    "movzx movsx",
    "mov lea",
    "test cmp",
    "tzcnt lzcnt bsf",
    "blsr blsi",
    "addps subps mulps divps",
    "addss subss mulss divss",
    "addsd subsd mulsd divsd",
    "maxps minps",
    "maxss minss",
    "maxsd minsd",
    "addps addss",
    "mulps mulss",
    "subps subss",
    "divps divss",
    "movups movaps movss",
    "movss movsd",
    "andps orps xorps andnps",
    "cmpltps cmpleps cmpnltps cmpeqps",
    "cmpltss cmpless cmpnltss",
    "cmpneqps cmpeqps",
    "cvtsi2ss cvtsi2sd",
    "cvtsd2si cvttsd2si",
    "unpcklps unpckhps movlhps movhlps",
    "pslld psrld",
    "sqrtss rcpss rsqrtss",
    "vaddps vsubps vmulps vdivps",
    "vaddss vsubss vmulss vdivss",
    "vaddpd vsubpd vmulpd",
    "vmaxps vminps",
    "vmaxss vminss",
    "vmaxpd vminpd",
    "vmovups vmovaps",
    "vandps vorps vxorps vandnps",
    "vcmpltps vcmpleps vcmpnltps vcmpeqps",
    "vcmpltss vcmpless vcmpnltss",
    "vcmpgeps vcmpgtps vcmpltps",
    "vcmpneqps vcmpeqps",
    "vpaddq vpsubq",
    "vpsrlq vpsllq",
    "vpslld vpsrld",
    "vpxor vpor vpand",
    "vpxord vpord vpandd",
    "vpxorq vporq vpandq",
    "vpmovzxbd vpmovsxbd",
    "vunpcklps vunpckhps",
    "vunpcklpd vunpckhpd",
    "vbroadcastss vmovss",
    "vroundpd vmovapd",
)
_FMA = re.compile(r"vf(n?)m(add|sub)(132|213|231)([ps][sd])")
_CONDITIONS = {
    "l": ("ge", "le", "b"),
    "le": ("g", "l"),
    "g": ("le", "ge", "a"),
    "ge": ("l", "g"),
    "b": ("ae", "be", "l"),
    "be": ("a", "b"),
    "a": ("be", "ae", "g"),
    "ae": ("b", "a"),
    "z": ("nz",),
    "nz": ("z",),
    "e": ("ne",),
    "ne": ("e",),
    "s": ("ns",),
    "ns": ("s",),
    "c": ("nc",),
    "p": ("np",),
}
_CONDITIONAL = re.compile(r"(j|set|cmov)(\w+)$")


def other_opcodes(mnemonic: str) -> list[str]:
    """Return the instructions that may stand for this one, conditional moves included."""
    others: list[str] = []
    for family in _FAMILIES:
        members = family.split()
        if mnemonic in members:
            others += [member for member in members if member != mnemonic]
    if found := _FMA.fullmatch(mnemonic):
        n, sign, order, width = found.groups()
        others += [
            f"vf{'' if n else 'n'}m{sign}{order}{width}",
            f"vf{n}m{'sub' if sign == 'add' else 'add'}{order}{width}",
            *(f"vf{n}m{sign}{other}{width}" for other in ("132", "213", "231") if other != order),
        ]
    if mnemonic.startswith("cmov"):
        others += _other_conditions(mnemonic)
    return list(dict.fromkeys(others))


def other_conditions(mnemonic: str) -> list[str]:
    """Return what may stand for a conditional jump or a set-by-condition."""
    return [] if mnemonic.startswith("cmov") else _other_conditions(mnemonic)


def _other_conditions(mnemonic: str) -> list[str]:
    found = _CONDITIONAL.fullmatch(mnemonic)
    if found is None or found[2] not in _CONDITIONS:
        return []
    return [f"{found[1]}{condition}" for condition in _CONDITIONS[found[2]]]
