"""Programs as they are: that fork, run threads, are stripped, moved, or optimised."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nndbg.compare import Status
from nndbg.elf import read_executable
from nndbg.errors import MapError, ProgramError
from nndbg.inferior import LiveSource
from nndbg.layermap import parse_map, place_map
from nndbg.session import Session
from tests.inferior.conftest import LIMIT

# Three steps of h = max(z, 0). How a step is run is put in for RUN.
TEMPLATE = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 64 };
float z[N], h[N];
volatile long beats;
int number;
const char *what;

__attribute__((noinline)) void step(void) { __asm__ volatile(""); }
__attribute__((noinline)) void done(void) { __asm__ volatile(""); }

static void relu(void) {
#pragma omp parallel for num_threads(4)
    for (int i = 0; i < N; i++) h[i] = z[i] > 0 ? z[i] : 0;
    if (number == 1 && !strcmp(what, "wrong")) h[N - 1] = 7;
}

static void *beat(void *unused) {
    for (;;) beats++;
    return unused;
}

static void *work(void *unused) {
    step();
    relu();
    done();
    return unused;
}

RUN

int main(int argc, char **argv) {
    what = argc > 1 ? argv[1] : "";
    prepare();
    for (number = 0; number < 3; number++) {
        for (int i = 0; i < N; i++) z[i] = (i % 5 - 2) * (number + 1);
        run();
    }
    return 0;
}
"""
PLAIN = "static void prepare(void) {} static void run(void) { work(0); }"
# The child passes both boundaries; were there a breakpoint left in it, it would die of SIGTRAP.
FORKING = r"""
static void prepare(void) {}
static void run(void) {
    int status;
    step();
    pid_t child = fork();
    if (!child) {
        step();
        done();
        _exit(3);
    }
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 3)
        exit(97);
    relu();
    done();
}
"""
THREADED = r"""
static void prepare(void) {
    pthread_t thread;
    if (pthread_create(&thread, 0, beat, 0)) exit(98);
}
static void run(void) {
    pthread_t thread;
    if (pthread_create(&thread, 0, work, 0) || pthread_join(thread, 0)) exit(98);
}
"""
MAP = """\
[program]
name = "rough"
step = "{step}"
[buffers]
z = {{ symbol = "{z}", dtype = "f32", shape = [64] }}
h = {{ symbol = "{h}", dtype = "f32", shape = [64] }}
[[ops]]
name = "relu"
kind = "relu"
in = {{ z = "z" }}
out = "h"
done = "{done}"
"""
NAMED = {"step": "enter:step", "done": "enter:done", "z": "z", "h": "h"}
KINDS = {"forking": (FORKING, ()), "threaded": (THREADED, ("-fopenmp", "-pthread"))}


@pytest.fixture(scope="module")
def rough(build: Callable[..., Path], gdb: str) -> Callable[..., Path]:
    del gdb
    return lambda run, *flags: build("rough", TEMPLATE.replace("RUN", run), "-g", *flags)


def source(program: Path, *arguments: str, gdb: str = "gdb", **places: str) -> LiveSource:
    text = MAP.format(**(places or NAMED))
    placed = place_map(parse_map(text, "rough.toml"), read_executable(program))
    return LiveSource(placed, arguments, LIMIT, gdb=gdb)


def statuses(source: LiveSource) -> list[tuple[int, Status]]:
    """What is said of h in each step, to the program's good end."""
    with Session(source) as session:
        found = []
        while observations := session.next_op():
            verdicts = [verdict for one in observations for verdict in one.verdicts]
            found += [(verdict.subject.step, verdict.status) for verdict in verdicts]
        assert session.has_ended
    return found


SOUND = [(0, Status.AGREE), (1, Status.AGREE), (2, Status.AGREE)]
WRONG = [(0, Status.AGREE), (1, Status.DIVERGED), (2, Status.AGREE)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_is_judged_whoever_runs_it(kind: str, rough):
    run, flags = KINDS[kind]
    program = rough(run, *flags)
    assert statuses(source(program)) == SOUND
    assert statuses(source(program, "wrong")) == WRONG


def test_all_threads_stand_still_where_one_stops(rough):
    run, flags = KINDS["threaded"]
    live = source(rough(run, *flags))
    try:
        live.start(1)
        live.next()
        memory = live.inferior.memory
        at = live.executable.symbols["beats"].address + live.inferior.load_offset
        before = bytes(memory.read(at, 8))
        assert int.from_bytes(before, "little") > 0
        live.inferior.describe(0)
        live.inferior.register_numbers()
        assert bytes(memory.read(at, 8)) == before
    finally:
        live.close()


def stripped(program: Path) -> tuple[Path, dict[str, str]]:
    """The program without its symbols, and where they were."""
    symbols = read_executable(program).symbols
    bare = program.with_name("stripped")
    subprocess.run(["strip", "--strip-all", "-o", bare, program], check=True, timeout=60)
    assert "step" not in read_executable(bare).symbols
    return bare, {name: f"*{symbols[name].address:#x}" for name in NAMED}


@pytest.mark.parametrize("flags", [("-pie",), ("-static", "-no-pie")], ids=["moved", "static"])
def test_a_stripped_program_is_told_by_addresses_alone(rough, flags: tuple[str, ...]):
    bare, places = stripped(rough(PLAIN, *flags))
    assert statuses(source(bare, **places)) == SOUND
    assert statuses(source(bare, "wrong", **places)) == WRONG


def test_an_address_where_nothing_is_loaded_is_refused(rough):
    program = rough(PLAIN, "-pie")
    with pytest.raises(MapError, match=r"rough\.toml:5: rough has nothing at 0x7000000\."):
        source(program, **{**NAMED, "z": "*0x7000000"})
    end = max(span.stop for span in read_executable(program).loaded)
    with pytest.raises(MapError, match=r"256 bytes, but its symbol holds 8\."):
        source(program, **{**NAMED, "z": f"*{end - 8:#x}"})


def test_a_program_that_is_loaded_anew_at_random_is_followed(rough, tmp_path: Path, gdb: str):
    wrapper = tmp_path / "gdb"
    wrapper.write_text(f'#!/bin/sh\nexec {gdb} -iex "set disable-randomization off" "$@"\n')
    wrapper.chmod(0o755)
    places = set()
    for _ in range(3):
        live = source(rough(PLAIN, "-pie"), "wrong", gdb=str(wrapper))
        try:
            live.start(0)
            places.add(live.inferior.load_offset)
        finally:
            live.close()
    assert statuses(source(rough(PLAIN, "-pie"), "wrong", gdb=str(wrapper))) == WRONG
    assert len(places) > 1


def test_a_step_that_no_code_begins_is_refused_and_one_that_never_comes_is_told(rough):
    program = rough(PLAIN)
    with pytest.raises(MapError, match=r"rough\.toml:3: rough\.c:1: rough has no code for"):
        source(program, **{**NAMED, "step": "rough.c:1"})
    with (
        Session(source(program, **{**NAMED, "step": "enter:beat"})) as session,
        pytest.raises(ProgramError, match=re.escape("before the first step")),
    ):
        session.start()


OPTIMISED = r"""
#include <stdio.h>
float x[64] = {1, -2, 3, -4}, out;
__attribute__((noinline)) void done(void) { __asm__ volatile(""); }
__attribute__((noinline)) void layer(int n) {
    float hidden = 0;
    static float unused[64];
    for (int i = 0; i < n; i++) {
        unused[i] = x[i] * 2;
        hidden += unused[i];
    }
    out = hidden;
    done();
}
int main(void) { layer(4); printf("%f\n", out); return 0; }
"""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hidden", "is a variable of layer in registers or on the stack"),
        ("unused", "is a variable of layer that the compiler did away with"),
        ("nothing", "Is the program stripped?"),
    ],
)
def test_what_a_compiler_keeps_out_of_memory_is_said_to_be_so(build, name: str, says: str):
    program = build("optimised", OPTIMISED, "-O3", "-g")
    with pytest.raises(MapError) as error:
        source(program, **{**NAMED, "step": "enter:layer", "z": "x", "h": name})
    assert f"has no symbol {name}" in str(error.value)
    assert says in str(error.value)
