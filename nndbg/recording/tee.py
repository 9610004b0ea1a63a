"""A source that hands on what another yields, and has it taken down on the way."""

from __future__ import annotations

from collections.abc import Mapping

from nndbg.capture import Capture, Flat
from nndbg.elf import Executable
from nndbg.errors import GdbError, ProgramError
from nndbg.layermap import Buffer, LayerMap
from nndbg.recording.writer import Recorder
from nndbg.source import Source


class Tee:
    """Records a source. Sweeps, poisoned steps and what was repaired are not taken down."""

    def __init__(self, source: Source, recorder: Recorder) -> None:
        self._source = source
        self._recorder = recorder
        # Whether what comes now is what the program does by itself, seen at every op.
        self._is_plain = False
        self._sweeps = False

    @property
    def layer_map(self) -> LayerMap:
        """The map of the source."""
        return self._source.layer_map

    @property
    def executable(self) -> Executable | None:
        """The executable of the source."""
        return self._source.executable

    @property
    def output(self) -> str:
        """What the program printed so far."""
        return self._source.output

    def start(self, step: int, poison: bool = False) -> Capture:
        """Start the source."""
        self._recorder.leave()
        begin = self._source.start(step, poison=True) if poison else self._source.start(step)
        self._is_plain = not poison and not self._sweeps
        return self._taken(begin)

    def go_to(self, step: int) -> Capture:
        """Let the source go on to a step."""
        self._recorder.leave()
        return self._taken(self._source.go_to(step))

    def next(self) -> Capture | None:
        """Let the source go on to its next stop."""
        try:
            capture = self._source.next()
        except (ProgramError, GdbError) as error:
            if self._is_plain:
                self._recorder.fail(error)
            raise
        if capture is not None:
            return self._taken(capture)
        if self._is_plain:
            self._recorder.end()
        return None

    def sweep(self, on: bool) -> None:
        """Have the source sweep; it is recorded again from the next start."""
        self._sweeps = on
        if on:
            self._turn_away()
        self._source.sweep(on)

    def constant(self, buffer: Buffer) -> Flat:
        """Return a constant buffer of the source."""
        flat = self._source.constant(buffer)
        self._recorder.constant(buffer.name, flat)
        return flat

    def heal(self, buffers: Mapping[str, Flat]) -> Capture:
        """Have the source write; it is recorded again from the next start."""
        self._turn_away()
        return self._source.heal(buffers)

    def interrupt(self) -> None:
        """Interrupt the source."""
        self._source.interrupt()

    def close(self) -> None:
        """Close the source; the recording is its owner's to complete."""
        self._source.close()

    def _turn_away(self) -> None:
        self._recorder.leave()
        self._is_plain = False

    def _taken(self, capture: Capture) -> Capture:
        if self._is_plain:
            self._recorder.stop(capture, self._source.output)
        return capture
