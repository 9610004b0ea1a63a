"""Every key of the screen: one table for bindings, footer, help and command palette."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding

from nndbg.tui.named_bindings import slug


@dataclass(frozen=True)
class Key:
    """A key and what it does: `label` for the footer, empty where it is not in it."""

    keys: str
    shown: str
    action: str
    label: str
    title: str
    explained: str

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


KEYS = (
    Key("n", "n", "next_op", "next op", "Next op", "Run until the next op is judged."),
    Key("s", "s", "finish_step", "step", "Next step", "Run to the end of this step."),
    Key(
        "d",
        "d",
        "find_divergence",
        "divergence",
        "Run to the divergence",
        "Run until an op is wrong.",
    ),
    Key("b", "b", "back_op", "back", "Back", "Run it again, to the stop before this one."),
    Key(
        "B",
        "B",
        "back_step",
        "",
        "Back a step",
        "Run it again, to the last beginning of a step.",
    ),
    Key(
        "w",
        "w",
        "back_to_write",
        "",
        "Back to the write",
        "Run it again, to before this element was written.",
    ),
    Key(
        "g",
        "g",
        "ask_step",
        "go",
        "Go to a step",
        "Run the program anew, to a step by its number.",
    ),
    Key(
        "i",
        "i",
        "interrupt",
        "interrupt",
        "Interrupt",
        "Stop the running program where it is.",
    ),
    Key(
        "r",
        "r",
        "restart",
        "restart",
        "Restart",
        "Run it anew, to the step where the last run began.",
    ),
    Key(
        "right_square_bracket",
        "]",
        "seek_wrong(True)",
        "",
        "Next wrong element",
        "To the next wrong element, round to the first.",
    ),
    Key(
        "left_square_bracket",
        "[",
        "seek_wrong(False)",
        "",
        "Previous wrong element",
        "To the previous wrong element, round to the last.",
    ),
    Key("1", "1", "side('actual')", "", "Show actual", "Show the program's numbers alone."),
    Key("2", "2", "side('reference')", "", "Show reference", "Show the reference's alone."),
    Key("3", "3", "side('difference')", "", "Show difference", "Show actual minus reference."),
    Key("0", "0", "side('')", "", "Show all three", "Show all three side by side."),
    Key("y", "y", "take('element')", "", "Copy the element", "Copy this element, as NumPy text."),
    Key("Y", "Y", "take('row')", "", "Copy the row", "Copy this row, as NumPy text."),
    Key(
        "v", "v", "take('slice')", "", "Copy a slice", "Copy a slice of the buffer, as NumPy text."
    ),
    Key(
        "a",
        "a",
        "take('buffer')",
        "",
        "Save the buffer",
        "Save the buffer in a file for numpy.load.",
    ),
    Key(
        "e",
        "e",
        "take('report')",
        "",
        "Export the report",
        "Write the report of this step into a file.",
    ),
    Key("p", "p", "take('picture')", "", "Save a picture", "Save a picture of the screen, as SVG."),
    Key(
        "x",
        "x",
        "take('recording')",
        "",
        "Record the step",
        "Run this step again into a file to replay.",
    ),
    Key("question_mark", "?", "explain", "help", "Help", "Explain every key."),
    Key("q", "q", "quit", "quit", "Quit", "End the program, and nndbg."),
)

# Keys of the lists themselves, for the help.
MOVES = (
    ("tab", "Go to the next part: ops, matrix, source."),
    ("enter", "On an op: go into the buffer that it made."),
    ("↑ ↓ ← →, h j k l", "Move the cursor, or along the ops."),
    ("page up, page down", "Move by what the screen holds."),
    ("home, end", "To the first, the last column; on the ops, op."),
    ("ctrl+home, ctrl+end", "To the first, the last element."),
    ("click", "On an op, on an element: go there."),
    ("ctrl+p", "All of it as commands to search."),
)
