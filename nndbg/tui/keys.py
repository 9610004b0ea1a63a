"""Every key of the screen: one table for bindings, footer, help and command palette."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from textual.binding import Binding, BindingType

from nndbg.tui.named_bindings import slug


@dataclass(frozen=True)
class Key:
    """A key and what it does: `label` for the footer, empty where it is not always in it.

    `panes` are the parts of the screen in whose footer it is besides, as `verb`.
    """

    keys: str
    shown: str
    action: str
    label: str
    title: str
    explained: str
    panes: tuple[str, ...] = ()
    verb: str = ""

    @property
    def name(self) -> str:
        """What the settings call it."""
        return slug(self.title)

    @property
    def binding(self) -> Binding:
        """The binding of the key."""
        return Binding(
            self.keys,
            self.action,
            self.label or self.title,
            show=bool(self.label),
            key_display=self.shown,
            tooltip=self.explained,
            id=self.name,
        )


def _key(
    keys: str,
    shown: str,
    action: str,
    title: str,
    explained: str,
    label: str = "",
    panes: tuple[str, ...] = (),
    verb: str = "",
) -> Key:
    return Key(keys, shown, action, label, title, explained, panes, verb)


GROUPS: Mapping[str, tuple[Key, ...]] = {
    "Running": (
        _key("n", "n", "next_op", "Next op", "Run until the next op is judged.", "next op"),
        _key("s", "s", "finish_step", "Next step", "Run to the end of this step.", "step"),
        _key(
            "d",
            "d",
            "find_divergence",
            "Run to the divergence",
            "Run until an op is wrong.",
            "divergence",
        ),
        _key(
            "c",
            "c",
            "continue",
            "Continue",
            "Run to the next breakpoint, once one is set.",
            "continue",
        ),
        _key("b", "b", "back_op", "Back", "Run it again, to the stop before this one.", "back"),
        _key(
            "B", "B", "back_step", "Back a step", "Run it again, to the last beginning of a step."
        ),
        _key(
            "w",
            "w",
            "back_to_write",
            "Back to the write",
            "Run it again, to before this element was written.",
            panes=("numbers",),
            verb="back to write",
        ),
        _key(
            "g",
            "g",
            "ask_step",
            "Go to a step",
            "Run the program anew, to a step, or an op of it.",
            "go",
        ),
        _key(
            "u",
            "u",
            "run_to_cursor",
            "Run to the cursor",
            "To the op, or the line of code, under the cursor.",
            panes=("ops", "code"),
            verb="run here",
        ),
        _key(
            "full_stop",
            ".",
            "step_instruction(False)",
            "Step an instruction",
            "Run one instruction, into calls.",
            panes=("code",),
            verb="step",
        ),
        _key(
            "comma",
            ",",
            "step_instruction(True)",
            "Step over an instruction",
            "Run one instruction; a call is one.",
            panes=("code",),
            verb="over",
        ),
        _key(
            "i", "i", "interrupt", "Interrupt", "Stop the running program where it is.", "interrupt"
        ),
        _key("r", "r", "restart", "Restart", "Run it anew, to where the last run began."),
        _key("K", "K", "kill", "Kill", "End the program, and stay."),
        _key("q", "q", "quit", "Quit", "End the program, and nndbg.", "quit"),
    ),
    "Stopping": (
        _key("S", "S", "ask_breakpoint", "Stop at ...", "At an op, a line, a change, a condition."),
        _key(
            "t",
            "t",
            "toggle_breakpoint",
            "Toggle a breakpoint",
            "Stop at this op or line, or no longer.",
            panes=("ops", "code"),
            verb="break",
        ),
        _key(
            "W",
            "W",
            "watch",
            "Watch",
            "Stop where this element changes, or no longer.",
            panes=("numbers",),
            verb="watch",
        ),
    ),
    "Finding out": (
        _key(
            "right_square_bracket",
            "]",
            "seek_wrong(True)",
            "Next wrong element",
            "To the next wrong element, round to the first.",
            panes=("numbers",),
            verb="wrong",
        ),
        _key(
            "left_square_bracket",
            "[",
            "seek_wrong(False)",
            "Previous wrong element",
            "To the previous wrong element, round to the last.",
        ),
        _key(
            "X",
            "X",
            "inquire",
            "Blame",
            "Find out who made this element, in another run.",
            panes=("numbers",),
            verb="blame",
        ),
        _key(
            "H",
            "H",
            "heal",
            "Heal",
            "Run it again and repair this op, or no longer.",
            panes=("ops",),
            verb="heal",
        ),
        _key("P", "P", "poison", "Poison", "Run the step again, with NaNs in its outputs."),
        _key("colon", ":", "console", "Console", "Type commands of GDB; escape leaves."),
    ),
    "Looking": (
        _key("V", "V", "view", "Next view", "The buffer as numbers, heatmap, histogram."),
        _key(
            "z",
            "z",
            "zoom",
            "Zoom",
            "The heatmap: the whole, or each element.",
            panes=("heatmap",),
            verb="zoom",
        ),
        _key("1", "1", "side('actual')", "Show actual", "Show the program's numbers alone."),
        _key("2", "2", "side('reference')", "Show reference", "Show the reference's alone."),
        _key("3", "3", "side('difference')", "Show difference", "Show actual minus reference."),
        _key("0", "0", "side('')", "Show all three", "Show all three side by side."),
        _key("o", "o", "page(1)", "Next page", "Source, disassembly, registers and so on."),
        _key("O", "O", "page(-1)", "Previous page", "The page before."),
        _key(
            "f",
            "f",
            "lanes",
            "Lanes",
            "Read vector registers as the next type.",
            panes=("registers",),
            verb="lanes",
        ),
        _key("m", "m", "enlarge", "Enlarge", "Give this part the whole screen, or no longer."),
        _key("question_mark", "?", "explain", "Help", "Explain every key.", "help"),
    ),
    "Taking out": (
        _key("y", "y", "take('element')", "Copy the element", "Copy this element, as NumPy text."),
        _key("Y", "Y", "take('row')", "Copy the row", "Copy this row, as NumPy text."),
        _key("v", "v", "take('slice')", "Copy a slice", "Copy a slice, as NumPy text."),
        _key("a", "a", "take('buffer')", "Save the buffer", "Save it in a file for numpy.load."),
        _key(
            "e",
            "e",
            "take('report')",
            "Export the report",
            "Write the report of this step to a file.",
        ),
        _key("p", "p", "take('picture')", "Save a picture", "Save the screen as SVG."),
        _key(
            "x", "x", "take('recording')", "Record the step", "Run this step into a file to replay."
        ),
    ),
}
# Help and quit come first, so that the footer of a narrow terminal has room for them.
KEYS = tuple(
    sorted(
        (key for group in GROUPS.values() for key in group),
        key=lambda key: key.action not in ("explain", "quit"),
    )
)


def pane_bindings(pane: str) -> list[BindingType]:
    """Return what the footer shows while a part of the screen has the focus."""
    return [
        replace(key.binding, action=f"app.{key.action}", description=key.verb, show=True)
        for key in KEYS
        if pane in key.panes
    ]


# Keys of the lists themselves, for the help.
MOVES = (
    ("tab", "Go to the next part: ops, matrix, source."),
    ("enter", "On an op: go into the buffer that it made."),
    ("↑ ↓ ← →, h j k l", "Move the cursor, or along the ops."),
    ("page up, page down", "Move by what the screen holds."),
    ("home, end", "To the first, the last column; on the ops, op."),
    ("ctrl+home, ctrl+end", "To the first, the last element."),
    ("click", "On an op, an element, a line, a page: go there."),
    ("ctrl+p", "All of it as commands to search."),
)
