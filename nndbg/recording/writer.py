"""Writes a recording: takes down the stops of a run as it comes by them, in bounded memory."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Hashable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np

from nndbg.capture import Capture, Flat
from nndbg.crash import CrashError
from nndbg.elf import Executable
from nndbg.errors import GdbError, ProgramError, UsageError
from nndbg.finding import Audit
from nndbg.layermap import LayerMap
from nndbg.recording.arrays import ArrayWriter
from nndbg.recording.model import (
    FORMAT,
    HEADER,
    MAP,
    MARK,
    PROGRAM,
    REPORT,
    VERSION,
    Failure,
    Header,
    RecordedStep,
    RecordedStop,
    source_member,
    step_member,
)
from nndbg.recording.plain import to_plain
from nndbg.report import Report, as_json

# zlib's quickest level: a step costs a third of what it does at level 6, for a tenth more bytes.
_LEVEL = 1
_LARGEST_PROGRAM = 64 << 20
_LARGEST_SOURCE = 4 << 20
_MOST_SOURCES = 200


class Recorder:
    """A recording that is being written. Close it; until then the file is not there.

    Whole steps are written as they end. Of a step that is never seen to its end the longest
    stretch is kept, and written last.
    """

    def __init__(self, path: Path, layer_map: LayerMap, executable: Executable | None) -> None:
        """Raises UsageError when `path` cannot be written, or could not be read back."""
        if layer_map.calls_python:
            raise UsageError(
                f"{path}: the layer map calls Python, and a recording runs nothing when it is "
                "opened: it could not be judged again. Record with a map that calls none."
            )
        self.path = path
        self._map = layer_map
        self._executable = executable
        self._made = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            self._archive = ZipFile(self._made, "x", ZIP_DEFLATED, compresslevel=_LEVEL)
        except OSError as error:
            raise self._refused(error) from error
        self._arrays = ArrayWriter(self._archive)
        self._constants: dict[str, int] = {}
        self._written: list[int] = []
        self._parts: dict[int, RecordedStep] = {}
        self._stops: list[RecordedStop] | None = None
        self._latest: Capture | None = None
        self._output = ""
        self._addresses: set[int] = set()
        self._report: Report | None = None
        self._error: OSError | None = None
        self._write(ZipInfo(MARK), f"{FORMAT}/{VERSION}\n")
        self._write(MAP, layer_map.text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except UsageError:
            # What ended the run before is what has to be said.
            if error is None:
                raise

    def stop(self, capture: Capture, output: str) -> None:
        """Take down a stop; one at the beginning of a step ends the step before.

        Where stops are missing before it, what was taken down of the step ends there.
        """
        if self._stops is not None and capture.stop != self._stops[-1].stop + 1:
            self.leave()
        if capture.op is not None:
            if self._stops is not None and self._stops[0].step == capture.step:
                self._stops.append(self._taken(capture, output))
            else:
                self.leave()
        elif self._stops is not None and capture.step == self._stops[0].step + 1:
            taken = self._taken(capture, output)
            self._end(following=taken)
            self._stops, self._output = [taken], output
        else:
            self.leave()
            self._stops, self._output = [], output
            self._latest = None
            self._stops.append(self._taken(capture, output))

    def end(self) -> None:
        """Take down that the program has ended."""
        self._end(has_ended=True)

    def fail(self, error: ProgramError | GdbError) -> None:
        """Take down what ended the run."""
        crash = error.crash if isinstance(error, CrashError) else None
        self._end(failure=Failure(str(error), isinstance(error, GdbError), crash))

    def leave(self) -> None:
        """Take down nothing more until a step begins: the run is another one from here."""
        self._end()

    def constant(self, name: str, flat: Flat) -> None:
        """Take down a constant buffer."""
        if name not in self._constants:
            self._constants[name] = self._add(("constant", name), flat)

    def conclude(self, report: Report) -> None:
        """Take down what a check of the recorded steps came to."""
        self._report = report

    def close(self) -> None:
        """Complete the file, and put it where it belongs. Raises UsageError when it cannot be.

        Without a single op there is no recording, and no file.
        """
        if not self._made.exists():
            return
        self.leave()
        try:
            if self._error is None:
                self._complete()
            self._archive.close()
            if self._error is None and self._written:
                self._made.replace(self.path)
        except OSError as error:
            self._error = error
        finally:
            self._made.unlink(missing_ok=True)
        if self._error is not None:
            raise self._refused(self._error) from self._error
        if not self._written:
            raise UsageError(f"{self.path}: nothing was recorded: no op was complete.")

    def _complete(self) -> None:
        for step in sorted(self._parts):
            self._write_step(step, self._parts[step])
        sources = self._sources()
        for number, text in enumerate(sources.values()):
            self._write(source_member(number), text)
        has_program = self._write_program()
        executable, report = self._executable, self._report
        culprit, first = None, None
        if report is not None:
            self._write(REPORT, as_json.render(report))
            culprit = report.culprit
            first = report.first.verdict.subject if report.first is not None else None
        header = Header(
            format=FORMAT,
            version=VERSION,
            nndbg=version("nndbg"),
            name=self._map.name,
            program=str(executable.path) if executable is not None and has_program else None,
            origin=self._map.origin,
            phase=self._map.phase.name,
            steps=tuple(sorted(self._written)),
            sources={path: number for number, path in enumerate(sources)},
            constants=self._constants,
            accused=(str(first.step), first.op, first.buffer) if first is not None else None,
            culprit=culprit,
            poison=tuple(f for f in report.findings if f.audit is Audit.POISON) if report else (),
        )
        self._write(HEADER, json.dumps(to_plain(header), indent=1))

    def _end(
        self,
        following: RecordedStop | None = None,
        has_ended: bool = False,
        failure: Failure | None = None,
    ) -> None:
        """Close the step that is being taken down, if there is one."""
        stops, self._stops = self._stops, None
        if not stops:
            return
        number = stops[0].step
        step = RecordedStep(tuple(stops), following, has_ended, failure, self._output)
        if len(stops) == 1 and not step.is_whole:
            return
        known = self._parts.get(number)
        if number in self._written or (known is not None and len(known.stops) > len(stops)):
            return
        if step.is_whole:
            self._parts.pop(number, None)
            self._write_step(number, step)
        else:
            self._parts[number] = step

    def _taken(self, capture: Capture, output: str) -> RecordedStop:
        """Write the arrays of a capture, and return what is to be said of it."""
        self._addresses.add(capture.address)
        last, self._latest = self._latest, capture
        if output.startswith(self._output):
            self._output = output
        flat = {n: self._add(("flat", n), a) for n, a in capture.flat.items()}
        padding = {n: self._add(("padding", n), a) for n, a in capture.padding.items()}
        found = {n: self._add(("flat", n), a) for n, a in capture.found.items()}
        memory = {
            start: tuple(self._pieces(start, data, capture.flat, flat))
            for start, data in capture.memory.items()
        }
        return RecordedStop(
            step=capture.step,
            op=capture.op,
            stop=capture.stop,
            address=capture.address,
            sizes=capture.sizes,
            addresses=capture.addresses,
            flat=flat,
            padding=padding,
            memory=memory,
            found=found,
            skipped=capture.skipped,
            missed=capture.missed,
            others=capture.others,
            findings=capture.findings,
            is_same=last is not None and last.flat is capture.flat,
            printed=len(output) if self._output.startswith(output) else len(self._output),
        )

    def _pieces(
        self, start: int, data: memoryview, flat: Mapping[str, Flat], numbers: Mapping[str, int]
    ) -> Iterable[int]:
        """Yield the arrays that make up a stretch: the buffers in it, and what lies between."""
        stretch = np.frombuffer(data, np.uint8)
        first, at = stretch.ctypes.data, 0
        for offset, name in sorted((a.ctypes.data - first, n) for n, a in flat.items()):
            end = offset + flat[name].nbytes
            # A buffer elsewhere, or one that lies over another, is not a piece of this stretch.
            if offset < at or end > stretch.size:
                continue
            if offset > at:
                yield self._add(("gap", start, at), stretch[at:offset])
            yield numbers[name]
            at = end
        if at < stretch.size:
            yield self._add(("gap", start, at), stretch[at:])

    def _sources(self) -> dict[str, str]:
        """Return the text of the source files that the recording refers to, by recorded path."""
        executable = self._executable
        if executable is None:
            return {}
        lines = [executable.line_at(address) for address in sorted(self._addresses)]
        paths = [line.file for line in lines if line is not None]
        if self._report is not None:
            culprit, crash = self._report.culprit, self._report.crash
            files = [place.file for place in self._report.boundaries.values()]
            files += [suspect.file for suspect in culprit.candidates] if culprit else []
            files += [crash.file] if crash else []
            paths += [file for file in files if file is not None]
        found: dict[str, str] = {}
        for path in dict.fromkeys(paths):
            text = _source(path, executable.path)
            if text is not None and len(found) < _MOST_SOURCES:
                found[path] = text
        return found

    def _write_program(self) -> bool:
        """Write the executable, unless it is too large; returns whether it was."""
        executable = self._executable
        if executable is None:
            return False
        with executable.open() as file:
            data = file.read(_LARGEST_PROGRAM + 1)
        if len(data) > _LARGEST_PROGRAM:
            return False
        self._write(PROGRAM, data)
        return True

    def _write_step(self, number: int, step: RecordedStep) -> None:
        self._written.append(number)
        self._write(step_member(number), json.dumps(to_plain(step)))

    def _add(self, slot: Hashable, flat: Flat) -> int:
        """Return the number of an array. A failure is for close() to say: the run goes on."""
        if self._error is None:
            try:
                return self._arrays.add(slot, flat)
            except OSError as error:
                self._error = error
        return 0

    def _write(self, name: str | ZipInfo, data: str | bytes) -> None:
        kind = ZIP_STORED if isinstance(name, ZipInfo) else None
        try:
            self._archive.writestr(name, data, kind)
        except OSError as error:
            self._error = self._error or error

    def _refused(self, error: OSError) -> UsageError:
        return UsageError(f"{self.path}: the recording cannot be written: {error.strerror}.")


def _source(recorded: str, executable: Path) -> str | None:
    """Return the text of a source file, looked for as it is and beside the executable."""
    for path in (Path(recorded), executable.parent / recorded):
        try:
            facts = path.stat()
            if stat.S_ISREG(facts.st_mode) and facts.st_size <= _LARGEST_SOURCE:
                return path.read_text(errors="replace")
        except OSError:
            continue
    return None
