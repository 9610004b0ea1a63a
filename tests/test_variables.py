"""Variables of C programs, as the compiler describes them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from nndbg.elf import read_executable
from nndbg.variables import VariableError, Variables

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

SOURCE = """
#include <stdint.h>
typedef float real;
enum { H = 3 };
struct layer { int in; real *W; const real bias[4]; union { double d; int64_t i; }; };
struct net { struct layer first, more[2]; struct net *next; void *opaque; };
struct net net;
static volatile real rate = 0.5f;
double grid[2][H];
unsigned char pixels[16];
int main(void) { static int16_t count; return count + (int)rate; }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("variables")
    (directory / "net.c").write_text(SOURCE)
    made = directory / "net"
    command = ["gcc", "-g", "-no-pie", "-o", str(made), str(directory / "net.c")]
    subprocess.run(command, check=True, timeout=60)
    return made


@pytest.fixture
def variables(program: Path):
    return Variables(program)


@pytest.mark.parametrize(
    ("text", "symbol", "offset", "dtype", "extents"),
    [
        ("rate", "rate", 0, "f32", ()),
        ("grid", "grid", 0, "f64", (2, 3)),
        ("pixels", "pixels", 0, "u8", (16,)),
        ("pixels[5]", "pixels", 5, "u8", ()),
        ("net.first.in", "net", 0, "i32", ()),
        ("net.first.bias", "net", 16, "f32", (4,)),
        ("net.first.bias[2]", "net", 24, "f32", ()),
        ("net.first.i", "net", 32, "i64", ()),
        ("net.more[1].in", "net", 80, "i32", ()),
        ("main::count", "count.0", 0, "i16", ()),
    ],
)
def test_a_variable_or_a_part_of_it_is_found(
    program, variables, text, symbol, offset, dtype, extents
):
    found = variables.find(text)
    assert found.address == read_executable(program).symbols[symbol].address + offset
    assert (found.hops, found.dtype, found.extents, found.is_pointer) == ((), dtype, extents, False)


@pytest.mark.parametrize(
    ("text", "offset", "hops"),
    [
        ("net.first.W", 8, ()),
        ("net.more[1].W", 88, ()),
        ("net.next->first.W", 120, (8,)),
        ("net.next->next->more[0].W", 120, (120, 48)),
        ("net.next[2].first.W", 120, (2 * 136 + 8,)),
    ],
)
def test_a_pointer_is_followed_only_where_the_text_says_so(program, variables, text, offset, hops):
    found = variables.find(text)
    assert found.address == read_executable(program).symbols["net"].address + offset
    assert (found.hops, found.dtype, found.is_pointer) == (hops, "f32", True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nothing", "no variable .nothing."),
        ("net.first.U", "net.first has no member U: it has in, W, bias, d, i"),
        ("rate.x", r"rate has no member x: it is no struct \(base type\)"),
        ("net.first[1]", "net.first is no array"),
        ("pixels[16]", r"pixels has 16 elements, and \[16\] is none of them"),
        ("grid[1]", "grid has 2 axes"),
        ("net first", "' first' is neither"),
        ("net.opaque->x", "a pointer to void"),
        ("", "no variable ''"),
    ],
)
def test_what_is_not_there_is_told_by_what_is(variables, text, says):
    with pytest.raises(VariableError, match=says):
        variables.find(text)


def test_a_program_without_dwarf_has_no_variables(program, tmp_path):
    stripped = tmp_path / "stripped"
    subprocess.run(["strip", "-g", "-o", str(stripped), str(program)], check=True, timeout=60)
    assert list(Variables(stripped)) == []


def test_contents_are_read_as_the_file_would_be(program, tmp_path):
    contents = program.read_bytes()
    assert list(Variables(tmp_path / "gone", contents)) == list(Variables(program)) != []
