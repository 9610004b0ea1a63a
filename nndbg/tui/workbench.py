"""The body of the screen: the ops, what they made, the code, and the pages about all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from weakref import WeakKeyDictionary

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.widget import Widget

from nndbg.compare import Verdict
from nndbg.diagnose import Diagnosis, Evidence
from nndbg.elf import Executable
from nndbg.layermap import LayerMap
from nndbg.ledger import Observation
from nndbg.tui.breakpoint_list import BreakpointList
from nndbg.tui.breakpoints import Breakpoint, addresses_of
from nndbg.tui.code_view import CodeView, Marks
from nndbg.tui.console_pane import ConsolePane
from nndbg.tui.diagnoser import Diagnosed
from nndbg.tui.disassembly_view import DisassemblyView
from nndbg.tui.heatmap import Heatmap
from nndbg.tui.inquest import Answer
from nndbg.tui.matrix import Matrix
from nndbg.tui.matrix_layout import Side
from nndbg.tui.op_list import OpList, Row
from nndbg.tui.output_pane import OutputPane
from nndbg.tui.picture_sheet import draw_samples, samples_of
from nndbg.tui.register_sheet import Lanes, draw_registers
from nndbg.tui.sheet import Sheet
from nndbg.tui.snapshot import Snapshot
from nndbg.tui.source_view import SourceView
from nndbg.tui.spread import draw_spread
from nndbg.tui.summary import BufferLine, ElementLine
from nndbg.tui.tabs import Pages
from nndbg.tui.tensor import Tensor, tensor, verdict_on
from nndbg.tui.training_sheet import draw_training
from nndbg.tui.why_sheet import draw_why


class Workbench(Horizontal):
    """Shows snapshots; `ask` is called with what is to be diagnosed."""

    def __init__(
        self,
        layer_map: LayerMap,
        executable: Executable | None,
        boundaries: Mapping[int, str],
        ask: Callable[[Evidence], None],
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._map = layer_map
        self._executable = executable
        self._boundaries = boundaries
        self._ask = ask
        self.snapshot: Snapshot | None = None
        self._before: Snapshot | None = None
        self._observation: Observation | None = None
        self._evidence: Evidence | None = None
        self.diagnoses: WeakKeyDictionary[Evidence, tuple[Diagnosis, ...]] = WeakKeyDictionary()
        self._answer: Answer | None = None
        self._asked = ""
        self._lanes = Lanes.FLOAT32
        self._breakpoints: tuple[Breakpoint, ...] = ()
        # Whether the program has just come to where it stands.
        self._is_fresh = False
        self.ops = OpList(layer_map, id="ops")
        self.matrix = Matrix("nothing to show yet", id="matrix")
        self._heatmap = Heatmap(id="heatmap")
        self._spread = Sheet(id="spread")
        self._source = SourceView(executable, id="source")
        self._disassembly = DisassemblyView(executable, id="disassembly")
        self._registers = Sheet(id="registers")
        self._why = Sheet(id="why")
        self._samples = Sheet(id="samples")
        self._training = Sheet(id="training")
        self._list = BreakpointList(id="breakpoints")
        self._output = OutputPane(id="output")
        self.console = ConsolePane(id="console")
        self.views = Pages(
            {"numbers": self.matrix, "heatmap": self._heatmap, "histogram": self._spread},
            id="views",
        )
        pages: dict[str, Widget] = {
            "source": self._source,
            "disassembly": self._disassembly,
            "registers": self._registers,
            "why": self._why,
            "samples": self._samples,
            "training": self._training,
            "breakpoints": self._list,
            "output": self._output,
            "console": self.console,
        }
        self.pages = Pages(pages, id="pages")

    def compose(self) -> ComposeResult:
        """Lay out the parts."""
        yield self.ops
        with Container(id="work"):
            with Vertical(id="centre"):
                yield BufferLine(id="buffer")
                yield self.views
                yield ElementLine(id="element")
            yield self.pages

    def on_mount(self) -> None:
        """Draw what is known before the program runs."""
        self._show_why()
        self._show_code(None)

    @property
    def tensor(self) -> Tensor | None:
        """The buffer that is shown."""
        return self.matrix.tensor

    @property
    def element(self) -> str | None:
        """The element under the cursor, as `z1[3,17]`."""
        shown = self.matrix.tensor
        if shown is None:
            return None
        index = ",".join(map(str, shown.index(*self.matrix.cursor)))
        return f"{shown.name}[{index}]" if index else shown.name

    @property
    def chosen(self) -> Row | None:
        """The op and the buffer that the list stands on."""
        return self.ops.chosen

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on the buffer that is shown."""
        row = self.ops.chosen
        return verdict_on(self._observation, row.buffer) if self._observation and row else None

    @property
    def observation(self) -> Observation | None:
        """What was seen of the op that is shown."""
        return self._observation

    @property
    def is_waiting(self) -> bool:
        """Whether something that was asked for is still being found out."""
        is_known = self._evidence is None or self._evidence in self.diagnoses
        return bool(self._asked) or not is_known

    @property
    def code(self) -> CodeView | None:
        """The source or the disassembly, where one of them has the focus."""
        focused = self.app.focused
        return focused if isinstance(focused, CodeView) else None

    def show(self, snapshot: Snapshot) -> None:
        """Show where the program stands now."""
        if snapshot.answer is None:
            self._before = self.snapshot
        else:
            self.console.say(snapshot.answer)
        self.snapshot = snapshot
        self._output.show(snapshot.output)
        self._show_registers()
        self._training.show(lambda w, h: draw_training(snapshot.training, w, h))
        self._mark(snapshot.registers.address if snapshot.registers is not None else None)
        self._is_fresh = True
        self.ops.show(snapshot)

    def show_breakpoints(self, breakpoints: tuple[Breakpoint, ...]) -> None:
        """Mark and list these."""
        self._breakpoints = breakpoints
        self._list.show(breakpoints)
        self._mark(self._source.marks.here)

    def show_output(self, output: str) -> None:
        """Show what the program has printed until now."""
        self._output.show(output)

    def inquire(self, element: str) -> None:
        """Say that the maker of an element is looked for."""
        self._asked = element
        self._show_why()
        self.pages.turn("why")

    def show_answer(self, answer: Answer) -> None:
        """Say who made the element."""
        self._asked = ""
        self._answer = answer
        self._show_why()
        self._mark(self._source.marks.here)

    def show_diagnosis(self, message: Diagnosed) -> None:
        """Say what explains a buffer, if it is still shown."""
        self.diagnoses[message.evidence] = message.diagnoses
        if message.evidence is self._evidence:
            self.query_one(BufferLine).explain(message.diagnoses)
            self._show_why()

    def seek_wrong(self, forward: bool) -> bool:
        """Move to the next, or the previous, wrong element; false where there is none."""
        return self.matrix.seek_wrong(forward)

    def choose_side(self, side: Side | None) -> None:
        """Show one side alone, or all of them."""
        self.matrix.choose(side)
        self._heatmap.choose(side)

    def zoom(self) -> None:
        """Turn to the heatmap, or show each of its elements as a point of its own, or not."""
        if self.views.page != "heatmap":
            self.views.turn("heatmap")
        else:
            self._heatmap.zoom()

    def turn_lanes(self) -> None:
        """Read the vector registers as the next type."""
        kinds = list(Lanes)
        self._lanes = kinds[(kinds.index(self._lanes) + 1) % len(kinds)]
        self._show_registers()
        self.pages.turn("registers")

    def on_op_list_chosen(self) -> None:
        """Show the buffer of the op that the list stands on."""
        row, snapshot = self.ops.chosen, self.snapshot
        if row is None or snapshot is None:
            return
        observation = snapshot.observations.get(row.op)
        self._observation, self._evidence = observation, None
        line = self.query_one(BufferLine)
        self._show_code(self._place(observation))
        self._is_fresh = False
        if observation is None:
            line.show_words(row.op, f"{row.word} in step {snapshot.step}")
            onwards = "n runs the next op, d to the first wrong one"
            self._show_words(onwards if snapshot.can_go_on else "r restarts")
            return
        found = tensor(observation, self._map.buffers[row.buffer])
        line.show(observation, row.buffer, found)
        self._explain(observation.evidence.get(row.buffer))
        if found is None:
            self._show_words(f"{row.buffer} has no elements here: its pointer is null")
            return
        verdict = verdict_on(observation, row.buffer)
        worst = verdict.worst if verdict and verdict.status.is_wrong else None
        at = found.place(worst.index) if worst else None
        self.matrix.show(found, at)
        self._heatmap.show(found, self.matrix.cursor)
        self._spread.show(lambda w, h: draw_spread(found, w, h))
        self._show_samples()
        self._show_why()

    def on_op_list_opened(self) -> None:
        """Go into the buffer."""
        self.views.turn(self.views.page, focus=True)

    def on_matrix_moved(self) -> None:
        """Describe the element under the cursor, everywhere."""
        matrix, line = self.matrix, self.query_one(ElementLine)
        if matrix.tensor is None:
            line.show_nothing()
            return
        line.show(matrix.tensor, *matrix.cursor)
        self._heatmap.follow(matrix.cursor)
        self._show_samples()

    def on_heatmap_moved(self, message: Heatmap.Moved) -> None:
        """Take the cursor of the numbers along."""
        self.matrix.cursor = message.place

    def _place(self, observation: Observation | None) -> int | None:
        """Return the instruction that an op is about."""
        snapshot = self.snapshot
        if snapshot is None:
            return None
        if observation is None and snapshot.written is not None:
            return snapshot.written.write.site.address
        if self._is_fresh and snapshot.registers is not None:
            return snapshot.registers.address
        capture = observation.capture if observation else snapshot.capture
        return capture.address if capture else None

    def _show_words(self, words: str) -> None:
        self.matrix.show_words(words)
        self._heatmap.show(None, (0, 0), words)
        self._spread.show(lambda w, h: draw_spread(None, w, h))
        self._show_samples()
        self._show_why()

    def _show_code(self, address: int | None) -> None:
        self._source.show(address)
        self._disassembly.show(address)

    def _mark(self, stands: int | None) -> None:
        culprit = self._answer.culprit if self._answer is not None else None
        suspects = culprit.candidates[:1] if culprit is not None else ()
        marks = Marks(
            here=stands,
            breakpoints=addresses_of(self._breakpoints),
            culprits=frozenset(suspect.address for suspect in suspects),
            boundaries=self._boundaries,
        )
        self._source.mark(marks)
        self._disassembly.mark(marks)

    def _show_registers(self) -> None:
        now = self.snapshot.registers if self.snapshot is not None else None
        before = self._before.registers if self._before is not None else None
        lanes, executable = self._lanes, self._executable
        self._registers.show(lambda w, h: draw_registers(now, before, lanes, executable, w))

    def _show_samples(self) -> None:
        snapshot, shown = self.snapshot, self.matrix.tensor
        if snapshot is None:
            return
        first = self.matrix.cursor[0] if shown is not None else 0
        has_colours = not self.app.no_color
        self._samples.show(
            lambda w, h: draw_samples(samples_of(self._map, snapshot), first, w, h, has_colours)
        )

    def _show_why(self) -> None:
        observation, verdict = self._observation, self.verdict
        evidence = self._evidence
        known = self.diagnoses.get(evidence) if evidence is not None else ()
        answer, asked = self._answer, self._asked
        self._why.show(lambda w, h: draw_why(observation, verdict, known, answer, asked, w))

    def _explain(self, evidence: Evidence | None) -> None:
        self._evidence = evidence
        if evidence is None:
            return
        known = self.diagnoses.get(evidence)
        self.query_one(BufferLine).explain(known)
        if known is None:
            self._ask(evidence)
