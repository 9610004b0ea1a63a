"""Which bytes of its sources an instruction's result is made of.

What is not known byte for byte is taken as a whole: then too much is followed, never too little.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nndbg.decode import Access, Instruction

Mask = int
ALL = (1 << 64) - 1

_LANEWISE = re.compile(
    r"(mov(ups|aps|upd|apd|dqa|dqu)\w*|movnt\w+|(add|sub|mul|div|max|min|sqrt|and|andn|or|xor)p[sd]"
    r"|fn?m(add|sub)\d+p[sd]|p(and|andn|or|xor)[dq]?|p(add|sub|mull|min[su]|max[su]|cmpeq|cmpgt)[bwdq]"
    r"|cvtt?(dq2ps|ps2dq)|round\w+|rndscalep[sd]|p?blendv?(ps|pd|b|m[bwdq])|blendmp[sd]|scalefp[sd]"
    r"|ps(ll|rl|ra)v?[wdq]|cmpp[sd]|rcp(14)?ps|rsqrt(14)?ps|pabs[bwd]|pternlog[dq]|getexpp[sd])"
)
_SCALAR = re.compile(r"\w+(ss|sd|s[sd]2si|si2ss|si2sd)|mov[dq]")
_REPLACING = re.compile(r"(mov|cvt|sqrt|rcp|rsqrt|round)")
_BROADCAST = re.compile(r"p?broadcast(ss|sd|b|w|d|q)")
_SPREAD = re.compile(r"pmov[sz]x(bw|bd|bq|wd|wq|dq)")
_UNPACK = re.compile(r"(?:p?unpck)([lh])(ps|pd|bw|wd|dq|qdq)")
# From which lane of four each one is copied.
_WITHIN = {"movshdup": (1, 1, 3, 3), "movsldup": (0, 0, 2, 2), "movddup": (0, 1, 0, 1)}
_WIDTHS = {"ss": 4, "sd": 8, "b": 1, "w": 2, "d": 4, "q": 8, "ps": 4, "pd": 8}
_UNPACKED = {**_WIDTHS, "bw": 1, "wd": 2, "dq": 4, "qdq": 8}


@dataclass(frozen=True)
class Sources:
    """Registers with the bytes of them that count, and bytes of the memory operands.

    `is_loose` says that more may be named than really counts.
    """

    registers: tuple[tuple[str, Mask], ...]
    memory: tuple[tuple[Access, Mask], ...]
    is_loose: bool = False


def written(instruction: Instruction, register: str) -> Mask:
    """Return which bytes of `register` the instruction replaces."""
    if not register.startswith("zmm"):
        return ALL
    plain = instruction.mnemonic
    if plain == "vzeroupper":
        return ALL & ~_bytes(16)
    if plain.startswith("v"):
        return ALL
    if _is_scalar(plain) and not (instruction.load and plain in ("movss", "movsd", "movd", "movq")):
        return _bytes(8 if plain.endswith(("sd", "q")) else 4)
    if plain.startswith(("movlp", "movhp")):
        return _bytes(8) << (8 if plain.startswith("movh") else 0)
    if plain == "movhlps":
        return _bytes(8)
    if plain == "movlhps":
        return _bytes(8) << 8
    return _bytes(16)


def sources(instruction: Instruction, register: str, wanted: Mask) -> Sources:
    """Return what the bytes `wanted` of `register` were made of; "" is the memory it stores to."""
    if instruction.is_zeroing or instruction.mnemonic in ("vzeroupper", "vzeroall"):
        return Sources((), ())
    plain = instruction.mnemonic.removeprefix("v")
    loads = [m for m in instruction.memory if m.reads]
    vectors = [name for name in instruction.data if name.startswith("zmm")]
    others = [name for name in instruction.data if not name.startswith("zmm")]
    whole = tuple((name, ALL) for name in others)
    if not vectors and not register.startswith("zmm"):
        return Sources(whole, tuple((m, ALL) for m in loads))
    bytes_read = _moved(instruction, plain, wanted, register)
    if bytes_read is None:
        return Sources(
            (*whole, *((name, ALL) for name in vectors)), tuple((m, ALL) for m in loads), True
        )
    registers = [(name, mask) for name, mask in bytes_read.items() if name and mask]
    memory = [(m, bytes_read.get("", 0)) for m in loads if bytes_read.get("", 0)]
    return Sources((*whole, *registers), tuple(memory))


def _moved(
    instruction: Instruction, plain: str, wanted: Mask, register: str
) -> dict[str, Mask] | None:
    """Return, for each vector source ("" is memory), which bytes count; None: not known."""
    operands = instruction.operands
    inputs = [name for name in instruction.data if name.startswith("zmm")]
    load = instruction.load
    if _is_scalar(plain):
        return _scalar(instruction, plain, wanted, register, inputs)
    if _LANEWISE.fullmatch(plain):
        found: dict[str, Mask] = dict.fromkeys(inputs, wanted)
        if load is not None:
            low = _bytes(load.width)
            found[""] = low if instruction.is_broadcast else wanted & _bytes(load.size)
        return found
    if match := _BROADCAST.fullmatch(plain):
        low = _bytes(_WIDTHS[match[1]])
        return {"": low} if load else dict.fromkeys(inputs, low)
    if plain in ("shufps", "pshufd", "permilps") and instruction.immediate is not None:
        return _shuffled(instruction, plain, wanted)
    if match := _UNPACK.fullmatch(plain):
        return _unpacked(instruction, _UNPACKED[match[2]], match[1] == "h", wanted)
    if match := _SPREAD.fullmatch(plain):
        small, large = _WIDTHS[match[1][0]], _WIDTHS[match[1][1]]
        mask = _lanes(wanted, large, small)
        return {"": mask} if load else dict.fromkeys(inputs, mask)
    if plain in _WITHIN:
        mask = _gathered(wanted, _WITHIN[plain])
        return {"": mask} if load else {operands[-1]: mask}
    if plain in ("haddps", "haddpd"):
        return _added_pairs(instruction, 4 if plain == "haddps" else 8, wanted)
    if plain == "perm2f128" and instruction.immediate is not None:
        return _halves(instruction, instruction.immediate, wanted)
    if plain in ("shuff32x4", "shuff64x2") and instruction.immediate is not None:
        return _quarters(instruction, instruction.immediate, wanted)
    if plain.startswith(("insertf", "inserti")) and instruction.immediate is not None:
        size = 32 if plain.endswith(("64x4", "32x8")) else 16
        at = size * instruction.immediate
        second = "" if load else operands[2]
        found = {second: wanted >> at & _bytes(size)}
        found[operands[1]] = found.get(operands[1], 0) | wanted & ~(_bytes(size) << at)
        return found
    if plain in ("cvtps2pd", "cvtdq2pd"):
        mask = _lanes(wanted, 8, 4)
        return {"": mask} if load else dict.fromkeys(inputs, mask)
    if plain in ("cvtpd2ps", "cvtpd2dq", "cvttpd2dq"):
        mask = _lanes(wanted & _bytes(32), 4, 8)
        return {"": mask} if load else dict.fromkeys(inputs, mask)
    if plain == "movhlps":
        return {operands[-1]: (wanted & _bytes(8)) << 8}
    if plain == "movlhps":
        return {operands[-1]: (wanted >> 8) & _bytes(8)}
    if plain.startswith(("movlp", "movhp")):
        shift = 8 if plain.startswith("movh") else 0
        if load:
            return {"": (wanted >> shift) & _bytes(8)}
        return {name: (wanted & _bytes(8)) << shift for name in inputs}
    if plain.startswith("extract") and register == "" and instruction.store:
        shift = (instruction.immediate or 0) * instruction.store.size
        return dict.fromkeys(inputs, wanted << shift)
    if plain.startswith("extract") and len(operands) > 1 and operands[1].startswith("zmm"):
        size = 32 if plain.endswith(("64x4", "32x8")) else 16
        shift = (instruction.immediate or 0) * size
        return {operands[1]: (wanted & _bytes(size)) << shift}
    if plain.startswith("movmskp") or plain.startswith("maskmov"):
        if load is not None and register:
            return {"": wanted & _bytes(load.size), **dict.fromkeys(inputs, wanted)}
        return dict.fromkeys(inputs, wanted)
    return None


def _is_packed(plain: str) -> bool:
    return plain.endswith(("ps", "pd"))


def _is_scalar(mnemonic: str) -> bool:
    plain = mnemonic.removeprefix("v")
    return bool(_SCALAR.fullmatch(plain)) and not (_is_packed(plain) or _BROADCAST.fullmatch(plain))


def _scalar(
    instruction: Instruction, plain: str, wanted: Mask, register: str, inputs: list[str]
) -> dict[str, Mask]:
    """One lane is computed from lane 0 of the sources; the others stay, or come from the first."""
    low = _bytes(8 if plain.endswith(("sd", "q")) else 4)
    # A conversion takes another width than it makes.
    double = "sd2" in plain if plain.startswith("cvt") else plain.endswith(("sd", "q"))
    found = dict.fromkeys(inputs, _bytes(8 if double else 4)) if wanted & low else {}
    if not instruction.mnemonic.startswith("v") and _REPLACING.match(plain):
        # Of where the result goes only the upper lanes stay, and those are not written.
        target = instruction.operands[0]
        if target not in instruction.operands[1:]:
            found.pop(target, None)
    load = instruction.load
    if load is not None and wanted & low:
        moves = plain in ("movss", "movsd", "movd", "movq")
        found[""] = _bytes(load.size) & (wanted if moves else ALL)
    if instruction.mnemonic.startswith("v") and len(instruction.operands) > 2:
        first = instruction.operands[0 if plain.startswith(("fm", "fnm")) else 1]
        if first.startswith("zmm") and wanted & ~low:
            found[first] = found.get(first, 0) | (wanted & ~low)
    return found


def _shuffled(instruction: Instruction, plain: str, wanted: Mask) -> dict[str, Mask] | None:
    """Source: Intel SDM, volume 2, SHUFPS and PSHUFD; the same in each 16 bytes."""
    imm = instruction.immediate or 0
    vectors = [name for name in instruction.operands if name]
    if plain == "shufps":
        first = vectors[1] if instruction.mnemonic.startswith("v") else vectors[0]
        second = "" if instruction.load else vectors[-1]
        origin = (first, first, second, second)
    else:
        only = "" if instruction.load else vectors[-1]
        origin = (only, only, only, only)
    found: dict[str, Mask] = {}
    for block in range(4):
        for lane in range(4):
            if wanted >> (16 * block + 4 * lane) & 0xF:
                chosen = 16 * block + 4 * (imm >> (2 * lane) & 3)
                found[origin[lane]] = found.get(origin[lane], 0) | (0xF << chosen)
    return found


def _unpacked(instruction: Instruction, width: int, high: bool, wanted: Mask) -> dict[str, Mask]:
    """Source: Intel SDM, volume 2, PUNPCKLBW and its like; the same in each 16 bytes."""
    vectors = [name for name in instruction.operands if name]
    first = vectors[1] if instruction.mnemonic.startswith("v") else vectors[0]
    second = "" if instruction.load else vectors[-1]
    found: dict[str, Mask] = {}
    element = _bytes(width)
    for block in range(4):
        for lane in range(16 // width):
            if wanted >> (16 * block + width * lane) & element:
                at = 16 * block + (8 if high else 0) + width * (lane // 2)
                name = second if lane % 2 else first
                found[name] = found.get(name, 0) | (element << at)
    return found


def _gathered(wanted: Mask, origins: tuple[int, ...]) -> Mask:
    """Return the 4-byte lanes that are copied to those wanted, in each 16 bytes by `origins`."""
    mask = 0
    for lane in range(16):
        if wanted >> (4 * lane) & 0xF:
            mask |= 0xF << 4 * (lane // 4 * 4 + origins[lane % 4])
    return mask


def _added_pairs(instruction: Instruction, width: int, wanted: Mask) -> dict[str, Mask]:
    """Source: Intel SDM, volume 2, HADDPS: sums of neighbours, of the first source and then the
    second in each 16 bytes.
    """
    vectors = [name for name in instruction.operands if name]
    first = vectors[1] if instruction.mnemonic.startswith("v") else vectors[0]
    second = "" if instruction.load else vectors[-1]
    found: dict[str, Mask] = {}
    each = 16 // width
    for lane in range(64 // width):
        if wanted >> (width * lane) & _bytes(width):
            block, within = divmod(lane, each)
            name = first if within < each // 2 else second
            at = 16 * block + 2 * width * (within % (each // 2))
            found[name] = found.get(name, 0) | (_bytes(2 * width) << at)
    return found


def _halves(instruction: Instruction, chosen: int, wanted: Mask) -> dict[str, Mask]:
    """Source: Intel SDM, volume 2, VPERM2F128."""
    second = "" if instruction.load else instruction.operands[2]
    found: dict[str, Mask] = {}
    for half in range(2):
        part, selector = wanted >> (16 * half) & _bytes(16), chosen >> (4 * half)
        if part and not selector & 8:
            name = second if selector & 2 else instruction.operands[1]
            found[name] = found.get(name, 0) | part << (16 * (selector & 1))
    return found


def _quarters(instruction: Instruction, chosen: int, wanted: Mask) -> dict[str, Mask] | None:
    """Source: Intel SDM, volume 2, VSHUFF32x4, of 64 bytes."""
    if not instruction.names[0].startswith("zmm"):
        return None
    second = "" if instruction.load else instruction.operands[2]
    found: dict[str, Mask] = {}
    for quarter in range(4):
        part = wanted >> (16 * quarter) & _bytes(16)
        name = instruction.operands[1] if quarter < 2 else second
        if part:
            found[name] = found.get(name, 0) | part << 16 * (chosen >> (2 * quarter) & 3)
    return found


def _lanes(wanted: Mask, large: int, small: int) -> Mask:
    mask = 0
    for lane in range(64 // large):
        if wanted >> (large * lane) & _bytes(large):
            mask |= _bytes(small) << (small * lane)
    return mask


def _bytes(count: int) -> Mask:
    return (1 << count) - 1
