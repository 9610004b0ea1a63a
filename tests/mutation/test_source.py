"""NASM source is read as far as an operator needs it."""

from .source import read_lines, split_operands

TEXT = """\
%define count       rdx                         ; numbers still to do
    section .text
f:
    add     count, [rsi + 4 * 8]                ; a comment; with another
.one:   dec     count
    PROBE   done
    ADD_ROW [rdi], zmm0
%undef count
    vmovups zmm0{k1}{z}, [rax]
    section .rodata
one:    dd 1.0                                  ; not code
"""


def test_an_instruction_has_a_mnemonic_and_operands() -> None:
    line = read_lines(TEXT)[3]
    assert (line.mnemonic, line.operands) == ("add", ("count", "[rsi + 4 * 8]"))
    assert line.comment == "; a comment; with another"


def test_a_name_of_a_register_holds_until_it_is_undefined() -> None:
    lines = read_lines(TEXT)
    assert lines[3].names == {"count": "r64"}
    assert lines[8].names == {}


def test_a_label_before_an_instruction_is_no_part_of_it() -> None:
    line = read_lines(TEXT)[4]
    assert line.has_label
    assert line.head.strip() == ".one:"
    assert line.mnemonic == "dec"


def test_boundaries_labels_and_data_are_no_instructions() -> None:
    found = [line.mnemonic for line in read_lines(TEXT) if line.is_instruction]
    assert found == ["add", "dec", "ADD_ROW", "vmovups"]
    assert [line.number for line in read_lines(TEXT) if line.is_data] == [11]


def test_commas_within_brackets_split_nothing() -> None:
    assert split_operands("zmm0{k1}{z}, [a + b], (1, 2)") == ("zmm0{k1}{z}", "[a + b]", "(1, 2)")


def test_a_changed_line_keeps_its_comment_in_its_column() -> None:
    line = read_lines("    dec     rax     ; why")[0]
    assert line.with_operands(["rbx"], "inc") == "    inc     rbx     ; why"
