"""Reads facts from an ELF executable: symbols, USDT probes, sections and source lines."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import IO

from elftools.common.exceptions import DWARFError, ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from nndbg.errors import UsageError

_SHF_EXECINSTR = 0x4
_PF_W = 0x2
# What the parsers of ELF and DWARF raise on damaged files, by intention and otherwise.
DAMAGE = (
    ELFError,
    DWARFError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
_NT_STAPSDT = 3


class Machine(StrEnum):
    """What a program is built for."""

    X86_64 = "x86-64"
    AARCH64 = "AArch64"


_MACHINES = {"EM_X86_64": Machine.X86_64, "EM_AARCH64": Machine.AARCH64}


@dataclass(frozen=True)
class Symbol:
    """A named place in the program: address as linked, size in bytes (0 where not recorded)."""

    name: str
    address: int
    size: int
    is_code: bool
    is_global: bool


@dataclass(frozen=True)
class Probe:
    """A USDT probe site; `address` is the one of its nop, as linked."""

    provider: str
    name: str
    address: int


@dataclass(frozen=True)
class SourceLine:
    """A line of source; `file` is the path that the assembler or compiler recorded."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Executable:
    """What the debugger needs to know about an executable without running it.

    Addresses are as linked: for a position-independent executable the load address of the
    running process has to be added.
    """

    path: Path
    is_pie: bool
    entry: int
    symbols: Mapping[str, Symbol]
    ambiguous: frozenset[str]
    probes: tuple[Probe, ...]
    code: tuple[range, ...]
    machine: Machine = Machine.X86_64
    # Of a program that came in a file of ours: its bytes, and source by recorded path.
    contents: bytes | None = field(default=None, repr=False)
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)

    def open(self) -> IO[bytes]:
        """Open the program's file."""
        return self.path.open("rb") if self.contents is None else BytesIO(self.contents)

    def section(self, name: str) -> bytes | None:
        """Return the contents of section `name`, None where there is none."""
        with self.open() as stream:
            try:
                section = ELFFile(stream).get_section_by_name(name)
                return None if section is None else bytes(section.data())
            except DAMAGE as error:
                raise UsageError(
                    f"{self.path}: its section {name} cannot be read ({_reason(error)}). "
                    "Link it again."
                ) from error

    def read(self, address: int, size: int) -> bytes:
        """Return what the file has at an address as linked; short where the file ends before."""
        start, data = next(
            ((a, d) for a, d in self._contents if a <= address < a + len(d)), (0, b"")
        )
        return data[address - start : address - start + size] if data else b""

    def symbol_at(self, address: int) -> Symbol | None:
        """Return the data symbol that holds `address`; the smallest where several do."""
        holding = (s for s in self.symbols.values() if s.address <= address < s.address + s.size)
        return min(holding, key=lambda s: s.size, default=None)

    def name_at(self, address: int) -> str | None:
        """Return what lies at `address` by its symbol, `W1+0x10` within one; None without one."""
        exact = next((s.name for s in self.symbols.values() if s.address == address), None)
        if exact is not None:
            return exact
        symbol = self.symbol_at(address)
        return f"{symbol.name}+{address - symbol.address:#x}" if symbol is not None else None

    def probe_addresses(self, provider: str, name: str) -> tuple[int, ...]:
        """Return the sites of the probe `provider:name` in order of address."""
        return tuple(
            sorted(p.address for p in self.probes if p.provider == provider and p.name == name)
        )

    def code_at(self, address: int, size: int) -> bytes:
        """Return `size` bytes of machine code, fewer at its section's end."""
        section = next((section for section in self.code if address in section), range(0))
        return self.read(address, min(size, section.stop - address)) if section else b""

    def function_at(self, address: int) -> Symbol | None:
        """Return the function, or the last label without a dot, at or before `address`.

        A label with a dot is a local one of NASM's; with a size it is a compiler's `f.part.0`.
        None where `address` is not in the program's own code.
        """
        if not any(address in section for section in self.code):
            return None
        starts, functions = self._functions
        at = bisect_right(starts, address) - 1
        return functions[at] if at >= 0 else None

    def line_at(self, address: int) -> SourceLine | None:
        """Return the source line of the instruction at `address`."""
        starts, rows = self._lines
        at = bisect_right(starts, address) - 1
        return rows[at] if at >= 0 else None

    def line_addresses(self, file: str, line: int) -> tuple[int, ...]:
        """Return where the code of `file:line` begins; `file` may be any tail of the path."""
        wanted = Path(file).parts
        starts, rows = self._lines
        found: list[int] = []
        previous: SourceLine | None = None
        for start, row in zip(starts, rows, strict=True):
            if (
                row is not None
                and row != previous
                and row.line == line
                and Path(row.file).parts[-len(wanted) :] == wanted
            ):
                found.append(start)
            previous = row
        return tuple(found)

    @cached_property
    def has_lines(self) -> bool:
        """Whether it has any line information."""
        return bool(self._lines[0])

    @cached_property
    def read_only(self) -> tuple[tuple[int, bytes], ...]:
        """What is loaded from the file and never written, by first address."""
        return tuple((address, data) for address, data, flags in self._loaded if not flags & _PF_W)

    @cached_property
    def loaded(self) -> tuple[range, ...]:
        """The addresses that the program has from its beginning, those that hold zeros too."""
        with self.open() as stream:
            return tuple(
                range(segment["p_vaddr"], segment["p_vaddr"] + segment["p_memsz"])
                for segment in ELFFile(stream).iter_segments("PT_LOAD")
            )

    @cached_property
    def _contents(self) -> tuple[tuple[int, bytes], ...]:
        """What is loaded from the file, by first address."""
        return tuple((address, data) for address, data, _ in self._loaded)

    @cached_property
    def _loaded(self) -> tuple[tuple[int, bytes, int], ...]:
        """What is loaded from the file: first address, contents, flags of the segment."""
        with self.open() as stream:
            try:
                return tuple(
                    (segment["p_vaddr"], bytes(segment.data()), segment["p_flags"])
                    for segment in ELFFile(stream).iter_segments("PT_LOAD")
                )
            except DAMAGE as error:
                raise UsageError(
                    f"{self.path}: its contents cannot be read ({_reason(error)}). Link it again."
                ) from error

    @cached_property
    def _functions(self) -> tuple[list[int], list[Symbol]]:
        code = sorted(
            (
                symbol
                for symbol in self.symbols.values()
                if symbol.is_code and (symbol.size or "." not in symbol.name.lstrip("."))
            ),
            key=lambda s: (s.address, s.is_global, s.size),
        )
        return [s.address for s in code], code

    @cached_property
    def _lines(self) -> tuple[list[int], list[SourceLine | None]]:
        with self.open() as stream:
            try:
                rows = sorted(_line_rows(ELFFile(stream)), key=lambda r: (r[0], r[1] is not None))
            except DAMAGE as error:
                raise UsageError(
                    f"{self.path}: its line information cannot be read ({_reason(error)}). "
                    "Rebuild it, or strip it with `strip --strip-debug`."
                ) from error
        return [address for address, _ in rows], [row for _, row in rows]


def read_executable(
    path: Path, contents: bytes | None = None, sources: Mapping[str, str] = MappingProxyType({})
) -> Executable:
    """Read `path`, or take its `contents` from elsewhere, and `sources` by recorded path.

    Raises UsageError when it is missing, unreadable or no program of a Machine.
    """
    try:
        with path.open("rb") if contents is None else BytesIO(contents) as stream:
            elf = ELFFile(stream)
            machine = _machine(path, elf)
            symbols, ambiguous = _symbols(elf)
            return Executable(
                path=path.resolve() if contents is None else path,
                is_pie=elf["e_type"] == "ET_DYN",
                entry=elf["e_entry"],
                symbols=MappingProxyType(symbols),
                ambiguous=frozenset(ambiguous),
                probes=tuple(_probes(elf)),
                code=tuple(
                    range(section["sh_addr"], section["sh_addr"] + section["sh_size"])
                    for section in elf.iter_sections()
                    if section["sh_flags"] & _SHF_EXECINSTR
                ),
                machine=machine,
                contents=contents,
                sources=sources,
            )
    except FileNotFoundError as error:
        raise UsageError(
            f"{path}: no such program. Build it with ./build.sh, or name another one."
        ) from error
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}. Name an executable."
        ) from error
    except ELFError as error:
        raise UsageError(
            f"{path}: not an ELF executable ({error}). Name the program itself, not its source."
        ) from error
    except DAMAGE as error:
        raise UsageError(
            f"{path}: a damaged ELF file ({_reason(error)}). Link it again."
        ) from error


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _machine(path: Path, elf: ELFFile) -> Machine:
    """Return what it is built for. Raises UsageError where it cannot be run, or not by us."""
    kind, machine = elf["e_type"], elf["e_machine"]
    if kind not in ("ET_EXEC", "ET_DYN"):
        raise UsageError(
            f"{path}: an ELF file of type {kind}, not an executable. Link it, then name the result."
        )
    if machine not in _MACHINES or elf.elfclass != 64 or not elf.little_endian:
        known = " and ".join(_MACHINES.values())
        raise UsageError(f"{path}: built for {machine}, and nndbg debugs {known} programs.")
    return _MACHINES[machine]


def _symbols(elf: ELFFile) -> tuple[dict[str, Symbol], set[str]]:
    """Return symbols by name (a global one before locals), and names that several locals share."""
    executable = {
        index
        for index, section in enumerate(elf.iter_sections())
        if section["sh_flags"] & _SHF_EXECINSTR
    }
    found: dict[str, Symbol] = {}
    ambiguous: set[str] = set()
    tables = [s for s in elf.iter_sections() if isinstance(s, SymbolTableSection)]
    for raw in (symbol for table in tables for symbol in table.iter_symbols()):
        index, kind = raw["st_shndx"], raw["st_info"]["type"]
        if not raw.name or not isinstance(index, int) or kind in ("STT_FILE", "STT_SECTION"):
            continue
        symbol = Symbol(
            name=raw.name,
            address=raw["st_value"],
            size=raw["st_size"],
            is_code=index in executable,
            is_global=raw["st_info"]["bind"] != "STB_LOCAL",
        )
        earlier = found.get(symbol.name)
        if earlier is None or (symbol.is_global and not earlier.is_global):
            found[symbol.name] = symbol
            ambiguous.discard(symbol.name)
        elif not earlier.is_global and earlier.address != symbol.address:
            ambiguous.add(symbol.name)
    return found, ambiguous


def _probes(elf: ELFFile) -> Iterator[Probe]:
    """Yield the probes of `.note.stapsdt`.

    Layout: three 64-bit words (pc, base, semaphore), then provider, name and arguments as
    zero-terminated strings. Where the linked address of `.stapsdt.base` differs from `base`, the
    file was relocated after the note was written and pc moves along. Source: SystemTap's wiki,
    "UserSpaceProbeImplementation".
    """
    notes = elf.get_section_by_name(".note.stapsdt")
    if notes is None:
        return
    base_section = elf.get_section_by_name(".stapsdt.base")
    data = bytes(notes.data())
    offset = 0
    while offset + 12 <= len(data):
        name_size, description_size, kind = struct.unpack_from("<III", data, offset)
        start = offset + 12 + _aligned(name_size)
        description = data[start : start + description_size]
        offset = start + _aligned(description_size)
        if kind != _NT_STAPSDT:
            continue
        pc, base, _semaphore = struct.unpack_from("<QQQ", description)
        moved = base_section["sh_addr"] - base if base_section is not None and base else 0
        provider, name, *_ = description[24:].split(b"\0")
        yield Probe(provider.decode(), name.decode(), pc + moved)


def _aligned(size: int) -> int:
    return -(-size // 4) * 4


def _line_rows(elf: ELFFile) -> Iterator[tuple[int, SourceLine | None]]:
    """Yield (address, line) for each row of the line tables, None where a sequence ends."""
    if not elf.has_dwarf_info():
        return
    dwarf = elf.get_dwarf_info()
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        header = program.header
        first_file = 0 if header["version"] >= 5 else 1
        names = [_file_name(header, entry, first_file) for entry in header["file_entry"]]
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if state.end_sequence:
                yield state.address, None
                continue
            at = state.file - first_file
            if 0 <= at < len(names):
                yield state.address, SourceLine(names[at], state.line)


def _file_name(header: Mapping[str, object], entry: object, first_file: int) -> str:
    name = Path(entry.name.decode(errors="replace"))  # type: ignore[attr-defined]
    directories: list[bytes] = header["include_directory"]  # type: ignore[assignment]
    at = entry.dir_index - first_file  # type: ignore[attr-defined]
    if name.is_absolute() or not 0 <= at < len(directories):
        return str(name)
    return str(Path(directories[at].decode(errors="replace")) / name)
