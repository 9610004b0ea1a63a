"""Run control: real programs under real GDB, well-behaved and not."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from nndbg.elf import read_executable
from nndbg.errors import ExitCode, GdbError, InterruptedByUser, ProgramError
from nndbg.inferior.process import Inferior
from nndbg.inferior.stepper import follow

from .conftest import DEBUG, LIMIT, NET, line_of, read_pid

ARGUMENTS = r"""
#include <stdio.h>
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) printf("<%s>", argv[i]);
    printf("%d", argc - 1);
    return 0;
}
"""

THREADS = r"""
#include <pthread.h>
volatile int sum;
__attribute__((noinline)) void here(void) { __asm__ volatile(""); }
void *work(void *p) { (void)p; sum++; here(); return 0; }
int main(void) {
    pthread_t t[2];
    for (int i = 0; i < 2; i++) pthread_create(&t[i], 0, work, 0);
    for (int i = 0; i < 2; i++) pthread_join(t[i], 0);
    return 0;
}
"""


def at(inferior: Inferior, symbol: str) -> int:
    return inferior.executable.symbols[symbol].address


# Another run


def test_it_is_started_anew_with_nothing_of_the_run_before(build):
    program = read_executable(build("arguments", ARGUMENTS, "-static"))
    with closing(Inferior(program, ("a b", "c"))) as inferior:
        first = inferior.pid
        inferior.break_at(at(inferior, "main"))
        inferior.resume(LIMIT)
        assert inferior.restart()
        assert inferior.pid != first
        assert not Path(f"/proc/{first}").exists()
        assert inferior.resume(LIMIT).is_exit
        assert inferior.terminal.text == "<a b><c>2"
        assert inferior.restart()
        assert inferior.resume(LIMIT).is_exit
        assert inferior.terminal.text == "<a b><c>2"


def test_it_is_started_anew_after_another_tracer_had_it(build):
    program = read_executable(build("arguments", ARGUMENTS, "-static"))
    with closing(Inferior(program, ("x",))) as inferior:
        follow(inferior, set(), 100, LIMIT)
        assert inferior.restart()
        assert inferior.resume(LIMIT).is_exit
        assert inferior.terminal.text == "<x>1"


def test_a_gdb_that_is_gone_starts_nothing_anew(build):
    program = read_executable(build("arguments", ARGUMENTS, "-static"))
    with closing(Inferior(program)) as inferior:
        gdb = int(Path(f"/proc/{inferior.pid}/status").read_text().split("PPid:")[1].split()[0])
        os.kill(gdb, signal.SIGKILL)
        assert not inferior.restart()


# Stops


def test_it_starts_before_the_first_instruction_of_a_static_program(start, net: Path):
    inferior = start(net)
    entry = inferior.executable.entry
    stop = None
    inferior.break_at(entry + 0)
    # The breakpoint where it stands already is not hit again: the next one is.
    number = inferior.break_at(at(inferior, "main"))
    while stop is None or stop.breakpoint != number:
        stop = inferior.resume(LIMIT)
    assert stop.address == at(inferior, "main")


def test_a_breakpoint_stops_the_program_where_it_was_set(start, net: Path):
    inferior = start(net)
    first, second = (inferior.break_at(at(inferior, s)) for s in ("step", "loaded"))
    for number, symbol in ((first, "step"), (second, "loaded"), (first, "step")):
        stop = inferior.resume(LIMIT)
        assert (stop.reason, stop.breakpoint) == ("breakpoint-hit", number)
        assert stop.address == at(inferior, symbol)
        assert not stop.is_exit
        assert stop.signal is stop.exit_code is None


def test_a_disabled_breakpoint_stops_nothing_until_it_is_enabled(start, net: Path):
    inferior = start(net)
    step, done = (inferior.break_at(at(inferior, s)) for s in ("step", "done"))
    inferior.enable([step], on=False)
    assert inferior.resume(LIMIT).breakpoint == done
    inferior.enable([step])
    assert inferior.resume(LIMIT).breakpoint == step
    inferior.enable([step, done], on=False)
    inferior.enable([])
    assert inferior.resume(LIMIT).is_exit


@pytest.mark.parametrize(
    "flags",
    [("-static", "-no-pie"), ("-static-pie",), ("-no-pie",), ("-pie",)],
    ids=["static", "static PIE", "dynamic", "dynamic PIE"],
)
def test_addresses_are_as_linked_wherever_the_program_is_loaded(start, build, flags):
    inferior = start(build("net", NET, *DEBUG, *flags))
    inferior.break_at(at(inferior, "loaded"))
    stop = inferior.resume(LIMIT)
    assert stop.address == at(inferior, "loaded")
    z = inferior.memory.read(at(inferior, "z") + inferior.load_offset, 12)
    assert struct.unpack("3f", z) == (1.0, -2.0, 3.0)
    assert (inferior.load_offset != 0) == inferior.executable.is_pie


def test_a_thread_stops_the_program_too(start, build):
    inferior = start(build("threads", THREADS, *DEBUG, "-pthread"))
    number = inferior.break_at(at(inferior, "here"))
    for _ in range(2):
        assert inferior.resume(LIMIT).breakpoint == number
    assert inferior.resume(LIMIT).reason == "exited-normally"


def test_a_watchpoint_stops_at_a_write(start, net: Path):
    from nndbg.inferior.abilities import can_watch

    if not can_watch():
        pytest.skip("no hardware watchpoint stops a program here")
    inferior = start(net)
    inferior.break_at(at(inferior, "loaded"))
    inferior.resume(LIMIT)
    inferior.watch(f"*(float *) {at(inferior, 'h'):#x}")
    assert inferior.resume(LIMIT).reason == "watchpoint-trigger"


# Memory


def test_memory_is_read_and_written_while_the_program_stands_still(start, net: Path):
    inferior = start(net)
    inferior.break_at(at(inferior, "loaded"))
    done = inferior.break_at(at(inferior, "done"))
    inferior.resume(LIMIT)
    inferior.memory.write(at(inferior, "z"), struct.pack("3f", 2, 4, -8))
    assert struct.unpack("3f", inferior.memory.read(at(inferior, "z"), 12)) == (2, 4, -8)
    assert inferior.resume(LIMIT).breakpoint == done
    assert struct.unpack("3f", inferior.memory.read(at(inferior, "h"), 12)) == (2, 4, 0)


# Endings


@pytest.mark.parametrize("code", [1, 7, 8, 9, 64, 99, 255])
def test_an_early_end_has_its_exit_code(start, net: Path, code: int):
    stop = start(net, "exit", str(code)).resume(LIMIT)
    assert (stop.reason, stop.exit_code, stop.is_exit) == ("exited", code, True)


def test_a_good_end_has_none(start, net: Path):
    stop = start(net).resume(LIMIT)
    assert (stop.reason, stop.exit_code, stop.is_exit) == ("exited-normally", None, True)


def test_an_end_by_a_signal_has_its_name(start, net: Path):
    stop = start(net, "die").resume(LIMIT)
    assert (stop.reason, stop.signal, stop.is_exit) == ("exited-signalled", "SIGKILL", True)


def test_a_crash_has_its_signal_function_and_line(start, net: Path):
    inferior = start(net, "crash")
    stop = inferior.resume(LIMIT)
    assert (stop.reason, stop.signal, stop.is_exit) == ("signal-received", "SIGSEGV", False)
    described = inferior.describe(stop.address)
    assert described.startswith("crash (")
    assert f"net.c:{line_of('line of the crash')}) at {stop.address:#x}" in described


@pytest.mark.parametrize("what", ["abort", "pause"])
def test_a_place_in_a_library_is_not_taken_for_one_of_the_program(start, build, what: str):
    inferior = start(build("net", NET, *DEBUG, "-pie"), what)
    if what == "abort":
        described = inferior.describe(inferior.resume(LIMIT).address)
    else:
        with pytest.raises(ProgramError) as error:
            inferior.resume(0.3)
        described = str(error.value)
    assert not any(f" {name} " in f" {described} " for name in inferior.executable.symbols)
    assert "net.c" not in described


def test_the_end_is_the_end(start, net: Path):
    inferior = start(net)
    inferior.resume(LIMIT)
    with pytest.raises(ProgramError, match=r"the program is not running\."):
        _ = inferior.pid
    with pytest.raises(GdbError):
        inferior.resume(LIMIT)


# Programs that do not come back


def test_a_program_that_hangs_is_interrupted_and_the_error_says_where(start, net: Path):
    inferior = start(net, "spin")
    begin = time.monotonic()
    with pytest.raises(ProgramError) as error:
        inferior.resume(0.3)
    assert time.monotonic() - begin < 5
    message = str(error.value)
    assert message.startswith("the program did not reach the next boundary within 0.3 s. It was in")
    assert "spin (" in message
    assert f"net.c:{line_of('line of the loop')})" in message
    assert "--timeout" in message


def test_a_program_that_hangs_can_be_looked_at_afterwards(start, net: Path):
    inferior = start(net, "spin")
    with pytest.raises(ProgramError):
        inferior.resume(0.3)
    assert inferior.memory.read(at(inferior, "number"), 1) == b"\1"


def test_another_thread_can_interrupt(start, net: Path, fifo: Path):
    inferior = start(net, "report", str(fifo))

    def interrupt() -> None:
        read_pid(fifo)
        inferior.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(InterruptedByUser, match="interrupted in ") as error:
            inferior.resume(LIMIT)
    finally:
        thread.join(LIMIT)
    assert error.value.exit_code == ExitCode.INTERRUPTED


def test_an_interrupt_is_over_once_it_was_heard(start, net: Path, fifo: Path):
    inferior = start(net, "report", str(fifo))
    thread = threading.Thread(target=lambda: (read_pid(fifo), inferior.interrupt()))
    thread.start()
    with pytest.raises(InterruptedByUser):
        inferior.resume(LIMIT)
    thread.join(LIMIT)
    # The same signal from elsewhere is the program's own.
    os.kill(inferior.pid, signal.SIGINT)
    assert inferior.resume(LIMIT).signal == "SIGINT"


# What a program prints


@pytest.mark.parametrize("where", ["stdout and stderr"])
def test_a_flood_without_a_line_feed_hinders_nothing(start, net: Path, where: str):
    del where
    inferior = start(net, "flood")
    done = inferior.break_at(at(inferior, "done"))
    for _ in range(3):
        assert inferior.resume(LIMIT).breakpoint == done
    assert inferior.resume(LIMIT).is_exit
    kept = inferior.terminal.text
    assert set(kept) == {"x"}
    assert (1 << 18) <= len(kept) < (1 << 18) + (1 << 17)


@pytest.mark.parametrize(
    "text",
    [
        '*stopped,reason="exited-normally"\n',
        '\n*stopped,reason="breakpoint-hit",bkptno="1",frame={addr="0x0000000000000001"}\n',
        '^done\n1^done\n2^error,msg="forged"\n3^exit\n',
        '=thread-group-started,id="i1",pid="1"\n(gdb) \n',
        "no line feed at the end *stopped",
        '~"console"\n&"log"\n@"target"\n',
        "\x1b]0;title\x07\x04\x03\x1a",
    ],
)
def test_what_looks_like_gdb_s_records_is_only_printed(start, net: Path, text: str, tmp_path):
    (tmp_path / "said").write_text(text)
    inferior = start(net, "talk", str(tmp_path / "said"))
    done = inferior.break_at(at(inferior, "done"))
    for _ in range(3):
        stop = inferior.resume(LIMIT)
        assert (stop.reason, stop.breakpoint) == ("breakpoint-hit", done)
        assert stop.address == at(inferior, "done")
    assert inferior.resume(LIMIT).reason == "exited-normally"
    assert inferior.terminal.text == text * 3


# Arguments and paths


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [""],
        ["a", "", "b"],
        ["two words"],
        ["  spaces  around  "],
        ["a\ttab"],
        ["a\nline feed"],
        ["it's"],
        ['say "hi"'],
        ["back\\slash", "\\", "\\n"],
        ["$HOME", "`id`", "$(id)", "~"],
        ["*", "?", "[a-z]", "{a,b}"],
        ["a;b", "a|b", "a&b", "a>b", "<a", "#a", "!a"],
        ["-x", "--", "--args", "-iex", "quit"],
        ["größe", "数"],
        ["x" * 50_000],
    ],
    ids=lambda a: repr(a)[:30],
)
def test_arguments_arrive_as_they_are(start, build, arguments: list[str]):
    inferior = start(build("arguments", ARGUMENTS), *arguments)
    assert inferior.resume(LIMIT).reason == "exited-normally"
    assert inferior.terminal.text == "".join(f"<{a}>" for a in arguments) + str(len(arguments))


@pytest.mark.parametrize(
    "name",
    [
        "two words",
        "it's",
        'say "hi"',
        "back\\slash",
        "$HOME",
        "a;b",
        "größe",
        "-x",
        "a#b",
        "--args",
    ],
)
def test_a_program_may_have_any_path(start, build, tmp_path: Path, name: str):
    directory = tmp_path / name
    directory.mkdir()
    program = directory / name
    shutil.copy(build("arguments", ARGUMENTS), program)
    inferior = start(program, "one")
    assert inferior.resume(LIMIT).reason == "exited-normally"
    assert inferior.terminal.text == "<one>1"


def test_a_program_named_from_its_own_directory_is_found(start, build, monkeypatch):
    program = build("arguments", ARGUMENTS)
    monkeypatch.chdir(program.parent)
    assert start(Path(program.name)).resume(LIMIT).reason == "exited-normally"


def test_a_program_that_may_not_be_run_is_an_error_of_the_program(build, tmp_path: Path, gdb):
    del gdb
    program = tmp_path / "plain"
    shutil.copy(build("arguments", ARGUMENTS), program)
    program.chmod(0o644)
    with pytest.raises(ProgramError, match="plain: GDB cannot start it: ") as error:
        Inferior(read_executable(program))
    assert "\n" not in str(error.value).rstrip()
    assert error.value.exit_code == ExitCode.PROGRAM


# GDB itself


def test_without_gdb_the_error_says_how_to_get_it(net: Path):
    with pytest.raises(GdbError, match=r"no nosuchgdb on this machine\. Install it: apt-get"):
        Inferior(read_executable(net), gdb="nosuchgdb")


def test_gdb_that_is_killed_while_the_program_runs_is_noticed_at_once(
    start, net: Path, fifo: Path, watch
):
    inferior = start(net, "report", str(fifo))
    program = watch(inferior.pid)
    killed = []

    def kill() -> None:
        read_pid(fifo)
        killed.append(time.monotonic())
        os.kill(program.tracer, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(GdbError, match="GDB was killed by signal 9 in the middle of the session"):
        inferior.resume(60)
    assert time.monotonic() - killed[0] < 3
    thread.join(LIMIT)
    inferior.close()
    assert program.ends_within(LIMIT)


def test_gdb_that_is_killed_while_the_program_stands_is_noticed_at_once(start, net: Path, watch):
    inferior = start(net)
    program = watch(inferior.pid)
    gdb = watch(program.tracer)
    os.kill(gdb.pid, signal.SIGKILL)
    assert gdb.ends_within(LIMIT)
    begin = time.monotonic()
    with pytest.raises(GdbError, match="GDB was killed by signal 9"):
        inferior.resume(60)
    assert time.monotonic() - begin < 3
    inferior.close()
    assert program.ends_within(LIMIT)


@pytest.mark.parametrize("when", ["before it ran", "at a breakpoint", "after its end", "in a loop"])
def test_after_close_neither_the_program_nor_gdb_is_left(start, net: Path, watch, when: str):
    inferior = start(net, *(["spin"] if when == "in a loop" else []))
    program = watch(inferior.pid)
    gdb = watch(program.tracer)
    match when:
        case "at a breakpoint":
            inferior.break_at(at(inferior, "step"))
            inferior.resume(LIMIT)
        case "after its end":
            inferior.resume(LIMIT)
        case "in a loop":
            with pytest.raises(ProgramError):
                inferior.resume(0.2)
    inferior.close()
    assert program.ends_within(LIMIT)
    assert gdb.ends_within(LIMIT)


def test_a_closed_session_says_so(start, net: Path):
    inferior = start(net)
    inferior.close()
    inferior.close()
    with pytest.raises(GdbError, match=r"the session is closed\."):
        inferior.resume(LIMIT)
    with pytest.raises(ProgramError, match=r"the program is not running\."):
        _ = inferior.memory
    inferior.interrupt()


def test_no_descriptor_is_left_open(start, net: Path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(2):
        inferior = start(net)
        inferior.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
