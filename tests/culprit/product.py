"""A program with one op, whose code a test writes, and the numbers that it works on."""

from __future__ import annotations

import numpy as np

ROWS, TERMS, COLUMNS = 2, 24, 24

MAP = f"""\
[program]
name = "product"
step = "enter:step"

[buffers]
x = {{ dtype = "f32", shape = [{ROWS}, {TERMS}] }}
W = {{ dtype = "f32", shape = [{TERMS}, {COLUMNS}] }}
b = {{ dtype = "f32", shape = [{COLUMNS}] }}
z = {{ dtype = "f32", shape = [{ROWS}, {COLUMNS}] }}
s = {{ dtype = "f32", shape = [{COLUMNS}] }}

"""
PROGRAM = """\
; one product
    default rel
    global _start
    section .text
_start:
    nop
step:
    nop
    call work
done:
    nop
    mov eax, 60
    xor edi, edi
    syscall

work:
{code}
    ret

    section .rodata
    global factor:data 4
factor: dd 2.0
    section .data align=64
{data}
    section .bss align=64
    global z:data {z}
    global s:data {s}
z: resb {z}
s: resb {s}
"""


def numbers(name: str, array: np.ndarray) -> str:
    values = "\n".join(f"    dd {float(v)!r}" for v in array.ravel())
    return f"    global {name}:data {array.size * 4}\n    align 64\n{name}:\n{values}"


def data() -> str:
    random = np.random.default_rng(3)
    arrays = {
        "x": random.uniform(0.5, 1.0, (ROWS, TERMS)),
        "W": random.uniform(-1.0, 1.0, (TERMS, COLUMNS)),
        "b": random.uniform(-1.0, 1.0, COLUMNS),
    }
    return "\n".join(numbers(name, array.astype(np.float32)) for name, array in arrays.items())


SIZES = {"z": 4 * ROWS * COLUMNS, "s": 4 * COLUMNS}
