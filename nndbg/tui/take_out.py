"""What can be taken out of the screen: numbers, buffers, a report, a picture, a recording."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nndbg.errors import NndbgError, UsageError
from nndbg.hunt import boundaries
from nndbg.layermap import LayerMap
from nndbg.output import write_bytes
from nndbg.report import Report
from nndbg.report.write import RENDERERS, write_report
from nndbg.text import printable
from nndbg.tui.clipping import as_numpy, sliced
from nndbg.tui.commands import RecordStep
from nndbg.tui.field_dialog import Check, FieldDialog, file_to_write
from nndbg.tui.matrix import Matrix
from nndbg.tui.snapshot import Condition, Snapshot
from nndbg.tui.status_line import StatusLine

if TYPE_CHECKING:
    from nndbg.elf import Executable
    from nndbg.tui.app import DebuggerApp

# Which report the name of a file asks for.
FORMATS = {
    ".txt": "terminal",
    ".json": "json",
    ".html": "html",
    ".sarif": "sarif",
    ".xml": "junit",
    ".md": "markdown",
}
assert set(FORMATS.values()) == RENDERERS.keys()


class TakeOut:
    """Does it for one application."""

    def __init__(self, app: DebuggerApp) -> None:
        self._app = app

    def copy_element(self) -> None:
        """Copy the number under the cursor."""
        matrix = self._app.query_one(Matrix)
        if matrix.tensor is None:
            self._remark("nothing here to copy")
            return
        self._copy(np.asarray(matrix.tensor.actual[matrix.cursor]), "the element")

    def copy_row(self) -> None:
        """Copy the row under the cursor."""
        matrix = self._app.query_one(Matrix)
        if matrix.tensor is None:
            self._remark("nothing here to copy")
            return
        row = matrix.cursor[0]
        rows = matrix.tensor.actual
        is_vector = len(matrix.tensor.shape) < 2
        self._copy(rows[:, 0] if is_vector else rows[row], "all" if is_vector else f"row {row}")

    def ask_slice(self) -> None:
        """Ask which part of the buffer to copy, and copy it."""
        found = self._buffer()
        if found is None:
            self._remark("nothing here to copy")
            return
        name, array = found
        everything = ", ".join(":" for _ in array.shape)

        def check(text: str) -> str:
            as_numpy(sliced(array, text))
            return ""

        self._ask(
            f"Copy of {name} {list(array.shape)}",
            everything,
            check,
            lambda text: self._copy(sliced(array, text), f"{name}[{text}]"),
        )

    def ask_buffer_file(self) -> None:
        """Ask where to save the buffer, and save it."""
        found, snapshot = self._buffer(), self._app.snapshot
        if found is None or snapshot is None:
            self._remark("no buffer here to save")
            return
        name, array = found

        def save(text: str) -> None:
            file = io.BytesIO()
            np.save(file, array, allow_pickle=False)
            self._write(Path(text), lambda path: write_bytes(path, file.getvalue()))

        name_of_file = f"{_plain(name)}-step{snapshot.step}.npy"
        self._ask(f"Save {name} as", name_of_file, file_to_write, save)

    def ask_report_file(self) -> None:
        """Ask where to write the report of the step, and write it."""
        snapshot = self._app.snapshot
        if snapshot is None or not snapshot.observations:
            self._remark("nothing has been judged that a report could tell of")
            return

        def check(text: str) -> str:
            if Path(text).suffix not in FORMATS:
                raise UsageError(f"end it in one of {' '.join(FORMATS)}")
            return file_to_write(text)

        async def report(text: str) -> None:
            path = Path(text)
            app = self._app
            told = await asyncio.to_thread(
                report_of, snapshot, app.layer_map, app.executable, app.program
            )
            self._write(path, lambda path: write_report(told, FORMATS[path.suffix], path))

        name = f"{_plain(Path(self._app.program).name)}-step{snapshot.step}.html"
        self._ask("Write the report of this step to", name, check, report)

    def ask_picture_file(self) -> None:
        """Ask where to save a picture of the screen, and save the one from before the question."""
        picture = self._app.export_screenshot(title="nndbg")
        step = self._app.snapshot.step if self._app.snapshot else 0

        def save(text: str) -> None:
            self._write(Path(text), lambda path: write_bytes(path, picture.encode()))

        self._ask("Save a picture (SVG) as", f"nndbg-step{step}.svg", file_to_write, save)

    def ask_recording_file(self) -> None:
        """Ask where to record the step, and have it run again for that."""
        snapshot, app = self._app.snapshot, self._app
        if app.is_busy or snapshot is None or snapshot.capture is None:
            self._remark("nothing to record now")
            return

        def record(text: str) -> None:
            app.submit(RecordStep(Path(text)), f"again, to record step {snapshot.step}")

        name = f"{_plain(Path(app.program).name)}-step{snapshot.step}.nndbg"
        self._ask(f"Record step {snapshot.step} in", name, file_to_write, record)

    def _buffer(self) -> tuple[str, NDArray[Any]] | None:
        tensor = self._app.query_one(Matrix).tensor
        return None if tensor is None else (tensor.name, tensor.actual.reshape(tensor.shape))

    def _copy(self, array: NDArray[Any], what: str) -> None:
        try:
            self._app.copy_to_clipboard(as_numpy(array))
        except UsageError as error:
            self._remark(str(error))
            return
        count = f", {array.size} elements" if array.size > 1 else ""
        self._remark(f"copied {what}{count}")

    def _write(self, path: Path, write: Callable[[Path], None]) -> None:
        try:
            write(path)
        except NndbgError as error:
            self._remark(str(error))
        else:
            self._remark(f"wrote {path}")

    def _ask(
        self,
        title: str,
        value: str,
        check: Check,
        act: Callable[[str], None] | Callable[[str], Awaitable[None]],
    ) -> None:
        async def answer() -> None:
            text = await self._app.push_screen_wait(FieldDialog(printable(title), value, check))
            if text is not None and (done := act(text)) is not None:
                await done

        self._app.run_worker(answer(), exit_on_error=False)

    def _remark(self, words: str) -> None:
        self._app.query_one(StatusLine).remark(printable(words))


def report_of(
    snapshot: Snapshot, layer_map: LayerMap, executable: Executable | None, program: str
) -> Report:
    """Return the report of the step on the screen, as far as it was judged."""
    observations = [
        snapshot.observations[op.name] for op in layer_map.ops if op.name in snapshot.observations
    ]
    verdicts = [verdict for seen in observations for verdict in seen.verdicts]
    wrong = [(seen, v) for seen in observations for v in seen.verdicts if v.status.is_wrong]
    missing = len(layer_map.ops) - len(observations)
    if snapshot.capture is not None:
        missing -= len(snapshot.capture.skipped)
    return Report(
        program=program,
        steps=(snapshot.step,),
        verdicts=verdicts,
        error=snapshot.says if snapshot.condition is Condition.FAILED else None,
        diagnosis=wrong[0][0].explain(wrong[0][1]) if wrong else (),
        findings=tuple(finding for seen in observations for finding in seen.findings),
        boundaries=boundaries(layer_map, executable, {seen.op.name for seen, _ in wrong}),
        says=f"The rest of step {snapshot.step} was not checked." if missing > 0 else "",
    )


def _plain(name: str) -> str:
    """Return a name as a part of a file's."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name).lstrip(".") or "nndbg"
