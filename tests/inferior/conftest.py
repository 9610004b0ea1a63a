"""Programs that misbehave, started under GDB; and how to wait for a process to be gone."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nndbg.elf import read_executable
from nndbg.inferior import LiveSource
from nndbg.inferior.process import Inferior
from nndbg.layermap import parse_map, place_map

# How long anything here may take that should take no time.
LIMIT = 10.0

# A network of two ops and what may befall it: argv[1] says what happens in step 1, between them.
NET = r"""
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

float table[5][3] = {{1, -2, 3}, {-4, 5, -6}, {7, -8, 9}, {-10, 11, -12}, {13, -14, 15}};
unsigned char picks[2];
unsigned char *order = picks;
float z[2][3], h[2][3];
long rows = 2, number;
int *nowhere;

__attribute__((noinline)) void step(void) { __asm__ volatile(""); }
__attribute__((noinline)) void loaded(void) { __asm__ volatile(""); }
__attribute__((noinline)) void done(void) { __asm__ volatile(""); }
__attribute__((noinline)) void crash(void) {
    *nowhere = 1; /* line of the crash */
}
__attribute__((noinline)) void spin(void) {
    for (;;) __asm__ volatile(""); /* line of the loop */
}

static void report(const char *fifo) { /* tell whoever listens that we run */
    int out = open(fifo, O_WRONLY);
    dprintf(out, "%d\n", getpid());
    close(out);
}

static void talk(const char *file) { /* print what is in the file, as it is */
    char text[1000];
    int in = open(file, O_RDONLY);
    long size = read(in, text, sizeof text);
    if (size < 0 || write(1, text, size) != size) exit(98);
    close(in);
}

static void befall(const char *what, const char *argument) {
    static char flood[1 << 20];
    memset(flood, 'x', sizeof flood);
    if (!strcmp(what, "crash")) crash();
    if (!strcmp(what, "spin")) spin();
    if (!strcmp(what, "exit")) exit(atoi(argument));
    if (!strcmp(what, "die")) kill(getpid(), SIGKILL);
    if (!strcmp(what, "abort")) abort();
    if (!strcmp(what, "pause")) for (;;) pause();
    if (!strcmp(what, "report")) { report(argument); spin(); }
    if (!strcmp(what, "flood"))
        for (int fd = 1; fd <= 2; fd++)
            for (size_t n = 0; n < sizeof flood;) {
                ssize_t written = write(fd, flood + n, sizeof flood - n);
                if (written > 0) n += written;
                else if (errno != EINTR) exit(99);
            }
    if (!strcmp(what, "pointer")) {
        order = malloc(2);
        memcpy(order, picks, 2);
    }
    if (!strcmp(what, "null")) order = 0;
    if (!strcmp(what, "rows")) rows = 3;
    if (!strcmp(what, "spoil")) table[0][0] = h[0][0] = 99;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    setvbuf(stdout, 0, _IONBF, 0);
    for (number = 0; number < 3; number++) {
        for (int i = 0; i < rows; i++) order[i] = (number + 2 * i) % 5;
        step();
        for (int i = 0; i < rows; i++) memcpy(z[i], table[order[i]], sizeof z[i]);
        if (!strcmp(what, "talk")) talk(argv[2]);
        loaded();
        if (number == 1) befall(what, argc > 2 ? argv[2] : "");
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < 3; j++) h[i][j] = z[i][j] > 0 ? z[i][j] : 0;
        if (!strcmp(what, "wrong") && number == 1) h[1][2] += 0.5f;
        done();
    }
    return 0;
}
"""

NET_MAP = """\
[program]
name = "net"
step = "enter:step"
counter = "number"

[sizes]
rows = { symbol = "rows", max = 2 }

[buffers]
table = { dtype = "f32", shape = [5, 3], constant = true }
order = { pointer = "order", dtype = "u8", shape = ["rows"] }
z = { dtype = "f32", shape = ["rows", 3] }
h = { dtype = "f32", shape = ["rows", 3] }

[[ops]]
name = "load"
kind = "gather"
in = { table = "table", index = "order" }
out = "z"
done = "enter:loaded"

[[ops]]
name = "relu"
kind = "relu"
in = { z = "z" }
out = "h"
done = "enter:done"
"""

DEBUG = ("-g", "-O0")


def line_of(text: str) -> int:
    """The line of NET that contains `text`."""
    return NET[: NET.index(text)].count("\n") + 1


@pytest.fixture(scope="session")
def net(build, gdb: str) -> Path:
    """The network, linked statically at a fixed address."""
    del gdb
    return build("net", NET, *DEBUG, "-static", "-no-pie")


@pytest.fixture
def start(gdb: str) -> Iterator[Callable[..., Inferior]]:
    """Starts programs under GDB; all are ended after the test."""
    del gdb
    running: list[Inferior] = []

    def start(program: Path, *arguments: str) -> Inferior:
        running.append(Inferior(read_executable(program), arguments))
        return running[-1]

    yield start
    for inferior in running:
        inferior.close()


@pytest.fixture
def source(net: Path) -> Iterator[Callable[..., LiveSource]]:
    """Makes sources of captures of the network; all are closed after the test."""
    made: list[LiveSource] = []

    def source(
        *arguments: str, program: Path = net, text: str = NET_MAP, timeout: float = LIMIT
    ) -> LiveSource:
        placed = place_map(parse_map(text, "net.toml"), read_executable(program))
        made.append(LiveSource(placed, arguments, timeout))
        return made[-1]

    yield source
    for one in made:
        one.close()


class Process:
    """A process that is watched until it is gone, however its number is used afterwards."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)

    @property
    def tracer(self) -> int:
        """The process that debugs this one."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(
            int(line.split()[1]) for line in status.splitlines() if line.startswith("TracerPid:")
        )

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end, at most so long."""
        return bool(select.select([self._descriptor], [], [], seconds)[0])

    def close(self) -> None:
        os.close(self._descriptor)


@pytest.fixture
def watch() -> Iterator[Callable[[int], Process]]:
    """Watches processes by number; what is left of them after the test is killed."""
    watched: list[Process] = []

    def watch(pid: int) -> Process:
        watched.append(Process(pid))
        return watched[-1]

    yield watch
    for process in watched:
        if not process.ends_within(0):
            with suppress(ProcessLookupError):
                os.kill(process.pid, 9)
        process.close()


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def read_pid(fifo: Path) -> int:
    """Wait for the number that a program writes into `fifo`, at most LIMIT seconds."""
    # Opened for writing too, so that opening does not wait and nothing reads as the end.
    descriptor = os.open(fifo, os.O_RDWR)
    try:
        assert select.select([descriptor], [], [], LIMIT)[0], "nobody wrote into the pipe"
        return int(os.read(descriptor, 100))
    finally:
        os.close(descriptor)
