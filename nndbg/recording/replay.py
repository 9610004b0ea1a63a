"""A source without GDB or a program: yields the captures of a recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nndbg.capture import Capture, Flat
from nndbg.compare import Verdict
from nndbg.crash import CrashError
from nndbg.errors import GdbError, ProgramError, UsageError
from nndbg.layermap import Buffer
from nndbg.layermap.model import DTYPES
from nndbg.ledger import Observation
from nndbg.recording.model import Failure, RecordedStep, RecordedStop
from nndbg.recording.reader import Recording
from nndbg.report import Culprit, Report


class RecordedSource:
    """Yields what was captured when the recording was made, from any of its steps on.

    What would need the program (poison, a repair) is refused with a UsageError.
    """

    def __init__(self, path: Path) -> None:
        """Raises UsageError when `path` is no recording that can be read."""
        self.recording = Recording(path)
        self.layer_map = self.recording.layer_map
        self.executable = self.recording.executable
        self._step: RecordedStep | None = None
        self._at = 0
        self._latest: Capture | None = None
        self._constants: dict[str, Flat] = {}

    @property
    def output(self) -> str:
        """What the program had printed when it was at this stop."""
        if self._step is None:
            return ""
        stops = self._step.stops
        return (
            self._step.output[: stops[self._at].printed]
            if self._at < len(stops)
            else (self._step.output)
        )

    def start(self, step: int, poison: bool = False) -> Capture:
        """Return the capture where `step` begins. Raises UsageError where it was not recorded."""
        if poison:
            raise UsageError("a recording cannot be run with poison: start the program instead.")
        if step not in self.recording.steps:
            raise self._has_no(step)
        self._step, self._at, self._latest = self.recording.step(step), 0, None
        return self._capture(self._step.stops[0])

    def go_to(self, step: int) -> Capture:
        """Return the capture where `step` begins; see `start`."""
        return self.start(step)

    def next(self) -> Capture | None:
        """Return the next capture, None where the program had ended.

        Raises ProgramError or GdbError where the run failed, and ProgramError where the recording
        ends.
        """
        step = self._step
        assert step is not None, "a source is started before it goes on"
        self._at += 1
        if self._at < len(step.stops):
            return self._capture(step.stops[self._at])
        if step.following is not None:
            return self._follow(step.following)
        self._at = len(step.stops)
        if step.failure is not None:
            raise _failed(step.failure)
        if step.has_ended:
            return None
        raise ProgramError(
            f"the recording ends here, in step {step.stops[0].step}; the program ran on. "
            f"It holds {self._held}."
        )

    def sweep(self, on: bool) -> None:
        """Do nothing: every stop that there is has been read."""

    def constant(self, buffer: Buffer) -> Flat:
        """Return a constant buffer in one dimension."""
        if buffer.name not in self._constants:
            self._constants[buffer.name] = self.recording.constant(buffer.name)
        assert self._latest is not None, "a source is started before a constant is read"
        return self._checked(buffer, self._constants[buffer.name], self._latest.sizes)

    def heal(self, buffers: Mapping[str, Flat]) -> Capture:
        """Raise UsageError."""
        raise UsageError(
            "a recording cannot be repaired: what came after was recorded without. "
            "Run the program instead."
        )

    def interrupt(self) -> None:
        """Do nothing: nothing runs."""

    def close(self) -> None:
        """Close the file."""
        self.recording.close()

    def accuse(self, verdict: Verdict, observation: Observation | None = None) -> Culprit | None:
        """Return the culprit of an output if it is the one whose culprit was recorded."""
        subject = verdict.subject
        is_it = self.recording.header.accused == (str(subject.step), subject.op, subject.buffer)
        return self.recording.header.culprit if is_it else None

    def completed(self, report: Report) -> Report:
        """Return a report of this recording with what only the program itself could tell.

        That is the culprit, and what running with poison found.
        """
        poison = self.recording.header.poison
        found = tuple(finding for finding in poison if finding.step in report.steps)
        return replace(
            report,
            findings=(*report.findings, *found),
            culprit=self.accuse(report.first.verdict) if report.first is not None else None,
        )

    def _follow(self, following: RecordedStop) -> Capture:
        """Go on to the next step: it is what comes after, if it was recorded."""
        capture = self._capture(following)
        if following.step in self.recording.steps:
            self._step = self.recording.step(following.step)
        else:
            self._step = RecordedStep((following,), None, False, None, "")
        self._at = 0
        return capture

    def _capture(self, stop: RecordedStop) -> Capture:
        if stop.is_same and self._latest is not None:
            flat = self._latest.flat
        else:
            flat = MappingProxyType(self._buffers(stop))
        padding = {name: self._padding(name, number) for name, number in stop.padding.items()}
        self._latest = Capture(
            step=stop.step,
            op=stop.op,
            stop=stop.stop,
            address=stop.address,
            sizes=MappingProxyType(dict(stop.sizes)),
            addresses=MappingProxyType(dict(stop.addresses)),
            flat=flat,
            skipped=stop.skipped,
            memory=_Memory(self.recording, stop.memory),
            padding=MappingProxyType(padding),
            findings=stop.findings,
            missed=MappingProxyType(dict(stop.missed)),
            others=stop.others,
            found=MappingProxyType(self._found(stop)),
        )
        return self._latest

    def _buffers(self, stop: RecordedStop) -> dict[str, Flat]:
        """Return the buffers of a stop. Raises UsageError where they are not the map's."""
        where = f"at stop {stop.stop}"
        for name, size in self.layer_map.sizes.items():
            found = stop.sizes.get(name, -1)
            if found < 0 or (size.largest is not None and found > size.largest):
                raise self._damaged(f"{where} the size {name} is {found}")
        found_buffers: dict[str, Flat] = {}
        for buffer in self.layer_map.buffers.values():
            if buffer.is_constant:
                continue
            if buffer.name not in stop.addresses:
                raise self._damaged(f"{where} {buffer.name} has no address")
            if buffer.name in stop.flat:
                flat = self.recording.array(stop.flat[buffer.name])
                found_buffers[buffer.name] = self._checked(buffer, flat, stop.sizes)
            elif buffer.is_fixed:
                raise self._damaged(f"{where} {buffer.name} is missing")
        return found_buffers

    def _found(self, stop: RecordedStop) -> dict[str, Flat]:
        """Return what buffers held where the program told their addresses."""
        found: dict[str, Flat] = {}
        for name, number in stop.found.items():
            buffer = self.layer_map.buffers.get(name)
            if buffer is None or buffer.is_constant:
                raise self._damaged(f"at stop {stop.stop} {name} was found, which is no buffer")
            found[name] = self._checked(buffer, self.recording.array(number), stop.sizes)
        return found

    def _checked(self, buffer: Buffer, flat: Flat, sizes: Mapping[str, int]) -> Flat:
        """Return `flat` if it can be this buffer with these sizes."""
        wanted = buffer.elements(sizes)
        if flat.dtype != DTYPES[buffer.dtype] or flat.size < wanted:
            raise self._damaged(
                f"{buffer.name} has {flat.size} elements of {flat.dtype}, not {wanted} of "
                f"{buffer.dtype}"
            )
        return flat

    def _padding(self, name: str, number: int) -> Flat:
        flat = self.recording.array(number)
        if name not in self.layer_map.buffers or flat.dtype != np.uint8:
            raise self._damaged(f"what lies behind {name} is no padding")
        return flat

    @property
    def _held(self) -> str:
        steps = self.recording.steps
        return f"step {steps[0]}" if len(steps) == 1 else f"steps {_ranges(steps)}"

    def _has_no(self, step: int) -> UsageError:
        return UsageError(f"the recording has no step {step}. It holds {self._held}.")

    def _damaged(self, what: str) -> UsageError:
        return UsageError(f"{self.recording.path}: this recording is damaged: {what}.")


class _Memory(Mapping[int, memoryview]):
    """The stretches of memory of one stop, put together when somebody looks."""

    def __init__(self, recording: Recording, pieces: Mapping[int, tuple[int, ...]]) -> None:
        self._recording = recording
        self._pieces = pieces

    def __getitem__(self, start: int) -> memoryview:
        numbers = self._pieces[start]
        return memoryview(b"".join(self._recording.array(n).tobytes() for n in numbers))

    def __iter__(self) -> Iterator[int]:
        return iter(self._pieces)

    def __len__(self) -> int:
        return len(self._pieces)


def _failed(failure: Failure) -> ProgramError | GdbError:
    if failure.is_of_gdb:
        return GdbError(failure.text)
    if failure.crash is not None:
        return CrashError(failure.text, failure.crash)
    return ProgramError(failure.text)


def _ranges(steps: tuple[int, ...]) -> str:
    """Return ascending numbers in words: '0 to 2, 5 and 7 to 9'."""
    runs: list[list[int]] = []
    for step in steps:
        if runs and runs[-1][-1] == step - 1:
            runs[-1] = [runs[-1][0], step]
        else:
            runs.append([step])
    words = [" to ".join(map(str, run)) for run in runs]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
