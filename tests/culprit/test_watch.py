"""Who wrote an element: every dtype, every width of store, every way of writing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nndbg.culprit.words import as_json, as_text
from nndbg.errors import UsageError

FLAGS = Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n", 1)[0].split()


def needs(*flags: str):
    absent = [flag for flag in flags if flag not in FLAGS]
    return pytest.mark.skipif(bool(absent), reason=f"no {', '.join(absent)} on this processor")


@pytest.fixture(params=[True, False], ids=["debug registers", "breakpoints"])
def registers(request) -> bool:
    return request.param


SCALARS = [
    ("f32", "movss xmm3, [source + 4]\n movss [a + 4], xmm3", "movss", 2.0, "xmm3", 0),
    ("f64", "cvtss2sd xmm2, [source + 8]\n movsd [a + 8], xmm2", "movsd", 3.0, "xmm2", 0),
    ("i8", "mov cl, -5\n mov [a + 1], cl", "mov", -5, "cl", None),
    ("u8", "mov byte [a + 1], 250", "mov", 250, "", None),
    ("i16", "mov cx, -300\n mov [a + 2], cx", "mov", -300, "cx", None),
    ("u16", "mov word [a + 2], 65000", "mov", 65000, "", None),
    ("i32", "mov ecx, -7\n mov [a + 4], ecx", "mov", -7, "ecx", None),
    ("u32", "mov dword [a + 4], 4000000000", "mov", 4000000000, "", None),
    ("i64", "mov rcx, -9\n mov [a + 8], rcx", "mov", -9, "rcx", None),
    ("u64", "mov rcx, -1\n mov [a + 8], rcx", "mov", 2**64 - 1, "rcx", None),
]


@pytest.mark.parametrize(
    ("dtype", "code", "mnemonic", "value", "register", "lane"), SCALARS, ids=[s[0] for s in SCALARS]
)
def test_an_element_of_every_type(ask, registers, dtype, code, mnemonic, value, register, lane):
    blame = ask(code, {"a": (dtype, 4)}, "a[1]", registers)
    (write,) = blame.writes
    assert write.site.instruction.startswith(f"{mnemonic} ")
    assert (write.before, write.after, blame.value) == (0, value, value)
    assert (write.register, write.lane) == (register, lane)
    assert (write.site.function, write.op) == ("work", "work")


VECTORS = [
    pytest.param("movups xmm1, [source]\n movups [a], xmm1", "a[2]", 3.0, "xmm1", 2, id="16 bytes"),
    pytest.param(
        "vmovups ymm1, [source]\n vmovups [a], ymm1\n vzeroupper",
        "a[5]", 6.0, "ymm1", 5, id="32 bytes", marks=needs("avx2"),
    ),
    pytest.param(
        "vmovups zmm17, [source]\n vmovups [a], zmm17\n vzeroupper",
        "a[13]", 14.0, "zmm17", 13, id="64 bytes", marks=needs("avx512f"),
    ),
    pytest.param(
        "vmovups ymm1, [source]\n vmovups ymm2, [lanes]\n vmaskmovps [a], ymm2, ymm1\n vzeroupper",
        "a[4]", 5.0, "ymm1", 4, id="masked by a register", marks=needs("avx2"),
    ),
    pytest.param(
        "movaps xmm1, [source]\n movntps [a + 16], xmm1\n sfence",
        "a[6]", 3.0, "xmm1", 2, id="non-temporal",
    ),
    pytest.param(
        "vmovups zmm1, [source]\n vmovntps [a], zmm1\n sfence\n vzeroupper",
        "a[6]", 7.0, "zmm1", 6, id="64 bytes, non-temporal", marks=needs("avx512f"),
    ),
    pytest.param(
        "mov ecx, [source + 8]\n movnti [a + 12], ecx\n sfence",
        "a[3]", 3.0, "ecx", None, id="4 bytes, non-temporal",
    ),
    pytest.param(
        "movups xmm1, [source]\n movhps [a], xmm1", "a[1]", 4.0, "xmm1", 3, id="upper half"
    ),
    pytest.param(
        "vmovups ymm1, [source]\n vextractf128 [a], ymm1, 1\n vzeroupper",
        "a[3]", 8.0, "ymm1", 7, id="extracted", marks=needs("avx2"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("code", "element", "value", "register", "lane"), VECTORS)
def test_a_lane_of_every_store(ask, registers, code, element, value, register, lane):
    blame = ask(code, {"a": ("f32", 16)}, element, registers)
    (write,) = blame.writes
    assert (write.before, write.after) == (0.0, value)
    assert (write.register, write.lane) == (register, lane)


# By debug registers alone: GDB 13 garbles masks where it stops at a breakpoint before their use,
# on processors with AMX.
@needs("avx512f")
def test_a_lane_that_a_mask_lets_through_is_written(ask):
    code = "mov eax, 0x0ff0\n kmovw k1, eax\n vmovups zmm1, [source]\n vmovups [a]{k1}, zmm1"
    blame = ask(f"{code}\n vzeroupper", {"a": ("f32", 16)}, "a[11]")
    (write,) = blame.writes
    assert (write.after, write.register, write.lane) == (12.0, "zmm1", 11)


@needs("avx512f")
def test_a_lane_that_a_mask_leaves_out_is_not_written(ask):
    code = "mov eax, 0x0ff0\n kmovw k1, eax\n vmovups zmm1, [source]\n vmovups [a]{k1}, zmm1"
    blame = ask(f"{code}\n vzeroupper", {"a": ("f32", 16)}, "a[2]")
    assert blame.writes == ()
    assert blame.value == 0.0


@needs("avx512f")
def test_a_masked_store_of_the_same_value_is_a_write(ask):
    code = "mov eax, 0x0ff0\n kmovw k1, eax\n vxorps xmm1, xmm1, xmm1\n vmovups [a]{k1}, zmm1"
    blame = ask(f"{code}\n vzeroupper", {"a": ("f32", 16)}, "a[5]")
    assert [(write.before, write.after) for write in blame.writes] == [(0.0, 0.0)]


@needs("avx2")
def test_a_lane_that_a_register_leaves_out_is_not_written(ask):
    code = "vmovups ymm1, [source]\n vmovups ymm2, [lanes]\n vmaskmovps [a], ymm2, ymm1"
    blame = ask(f"{code}\n vzeroupper", {"a": ("f32", 16)}, "a[3]")
    assert blame.writes == ()
    assert blame.value == 0.0


@pytest.mark.parametrize(
    ("name", "code", "value"),
    [
        ("stosd", "lea rdi, [a]\n mov ecx, 8\n mov eax, 0x40400000\n rep stosd", 3.0),
        ("stosq", "lea rdi, [a]\n mov ecx, 4\n mov rax, 0x4040000040400000\n rep stosq", 3.0),
        ("movsd", "lea rdi, [a]\n lea rsi, [source]\n mov ecx, 8\n rep movsd", 6.0),
        ("movsb", "lea rdi, [a]\n lea rsi, [source]\n mov ecx, 32\n rep movsb", 6.0),
    ],
)
def test_a_string_instruction(ask, registers, name, code, value):
    blame = ask(code, {"a": ("f32", 8)}, "a[5]", registers)
    assert blame.value == value
    assert blame.writes
    assert {write.site.instruction for write in blame.writes} == {f"rep {name}"}
    assert blame.writes[-1].after == value


def test_bytes_are_filled_one_by_one(ask, registers):
    blame = ask("lea rdi, [a]\n mov ecx, 8\n mov al, 7\n rep stosb", {"a": ("u8", 8)}, "a[5]",
                registers)  # fmt: skip
    assert {write.site.instruction for write in blame.writes} == {"rep stosb"}
    assert blame.writes[-1].after == 7


def test_the_same_value_written_twice_is_two_writes(ask, registers):
    code = "movss xmm0, [source]\n movss [a], xmm0\n movss [a], xmm0"
    blame = ask(code, {"a": ("f32", 4)}, "a[0]", registers)
    assert [(write.before, write.after) for write in blame.writes] == [(0.0, 1.0), (1.0, 1.0)]
    assert blame.writes[0].site.address != blame.writes[1].site.address


def test_a_store_over_two_buffers_wrote_in_both(ask, registers):
    code = "movups xmm5, [source]\n movups [a + 8], xmm5"
    buffers = {"a": ("f32", 4), "b": ("f32", 4)}
    (left,) = ask(code, buffers, "a[3]", registers).writes
    (right,) = ask(code, buffers, "b[1]", registers).writes
    assert left.site == right.site
    assert (left.after, left.lane) == (2.0, 1)
    assert (right.after, right.lane) == (4.0, 3)


def test_an_instruction_that_reads_and_writes_is_a_write(ask, registers):
    blame = ask("mov dword [a], 5\n add dword [a], 4\n inc dword [a]", {"a": ("i32", 1)}, "a[0]",
                registers)  # fmt: skip
    assert [write.after for write in blame.writes] == [5, 9, 10]


def test_reads_are_counted_and_are_no_writes(ask):
    blame = ask("mov eax, [a]\n cmp eax, [a]\n mov dword [a], 1", {"a": ("i32", 1)}, "a[0]")
    assert (len(blame.writes), blame.reads) == (1, 2)


def test_the_calls_that_led_to_a_write_are_told_innermost_first(ask, registers):
    code = """\
    push rbx
    sub rsp, 16
    call inner
    add rsp, 16
    pop rbx
    ret
inner:
    push rbp
    push r12
    mov dword [a], 1
    pop r12
    pop rbp"""
    (write,) = ask(code, {"a": ("i32", 1)}, "a[0]", registers).writes
    assert write.site.function == "inner"
    assert [call.function for call in write.chain] == ["work", "step"]


def test_what_nobody_wrote_has_no_history_and_accuses_nobody(ask, registers):
    blame = ask("nop", {"a": ("i32", 1)}, "a[0]", registers)
    assert blame.writes == ()
    assert "0 writes" in as_text(blame)


def test_a_history_is_told_without_a_judgement(ask):
    blame = ask("mov dword [a], 1\n mov dword [a], 2", {"a": ("i32", 1)}, "a[0]")
    text = as_text(blame)
    assert "a[0] is 2 after work of step 0: 2 writes" in text
    assert "stores.asm" in text
    assert "wrong" not in text
    assert "hardware watchpoint" in text


def test_breakpoints_in_place_of_debug_registers_are_said(ask):
    blame = ask("mov dword [a], 1", {"a": ("i32", 1)}, "a[0]", debug_registers=False)
    assert blame.means == "breakpoints on 1 stores: no debug registers here"


def test_as_json_it_has_every_write(ask):
    document = json.loads(as_json(ask("mov dword [a], 1", {"a": ("i32", 2)}, "a[0]")))
    assert document["schema"] == "nndbg-blame/1"
    assert (document["element"], document["value"]) == ("a[0]", 1)
    (write,) = document["writes"]
    assert (write["function"], write["before"], write["after"]) == ("work", 0, 1)


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ("b[0]", r"no buffer b\. It has: z, h, a"),
        ("a[0,1]", r"a is \[4\], and 'a\[0,1\]' has 2 indices"),
        ("a[4]", r"there is no a\[4\]: a is \[4\] in this step"),
        ("a[x]", "names no element"),
    ],
)
def test_what_is_no_element_is_refused(ask, element, message):
    with pytest.raises(UsageError, match=message):
        ask("nop", {"a": ("i32", 4)}, element)
