"""A run in one file: taken down as it goes by, and seen again without the program."""

from nndbg.recording.replay import RecordedSource
from nndbg.recording.taken import record_step
from nndbg.recording.tee import Tee
from nndbg.recording.writer import Recorder

__all__ = ["RecordedSource", "Recorder", "Tee", "record_step"]
