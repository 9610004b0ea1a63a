"""Repairs in a live program: what is written, where, and that the program goes on with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nndbg.compare import Mode
from nndbg.elf import read_executable
from nndbg.finding import ALL_AUDITS
from nndbg.healing import AUTO, heal_steps
from nndbg.hunt import check_steps
from nndbg.inferior import LiveSource
from nndbg.layermap import load_map, parse_map, place_map
from nndbg.report import Report
from nndbg.session import Session

from .conftest import DEBUG, NET, NET_MAP

# argv[1]: what is loaded is wrong; argv[2]: the update, which works in place, is wrong too;
# argv[3]: so is the integer that is picked, and `table[it]` is nowhere.
COUNTER = r"""
#include <stdint.h>
float table[4][2] = {{1, 2}, {3, 4}, {5, 6}, {7, 8}};
int64_t order[3] = {2, 0, 1}, turn[1], picks[1];
float w[2] = {8, 16}, grad[2] = {1, 2}, lr = 0.5f;
float z[1][2], h[1][2];

__attribute__((noinline)) void step(void) { __asm__ volatile(""); }
__attribute__((noinline)) void picked(void) { __asm__ volatile(""); }
__attribute__((noinline)) void loaded(void) { __asm__ volatile(""); }
__attribute__((noinline)) void active(void) { __asm__ volatile(""); }
__attribute__((noinline)) void updated(void) { __asm__ volatile(""); }

int main(int argc, char **argv) {
    (void)argv;
    for (int number = 0; number < 3; number++) {
        turn[0] = number;
        step();
        picks[0] = order[turn[0]] + (argc > 3 ? 1L << 40 : 0);
        picked();
        for (int j = 0; j < 2; j++) z[0][j] = table[picks[0]][j] + (argc > 1);
        loaded();
        for (int j = 0; j < 2; j++) h[0][j] = z[0][j] > 0 ? z[0][j] : 0;
        active();
        for (int j = 0; j < 2; j++) w[j] -= lr * grad[j] * (argc > 2 ? 3 : 1);
        updated();
    }
    return 0;
}
"""
COUNTER_MAP = """\
[program]
name = "counter"
step = "enter:step"

[buffers]
table = { dtype = "f32", shape = [4, 2], constant = true }
order = { dtype = "i64", shape = [3], constant = true }
turn = { dtype = "i64", shape = [1] }
picks = { dtype = "i64", shape = [1] }
z = { dtype = "f32", shape = [1, 2] }
h = { dtype = "f32", shape = [1, 2] }
w = { dtype = "f32", shape = [2] }
grad = { dtype = "f32", shape = [2] }
lr = { dtype = "f32", shape = [] }

[[ops]]
name = "pick"
kind = "gather"
in = { table = "order", index = "turn" }
out = "picks"
done = "enter:picked"

[[ops]]
name = "load"
kind = "gather"
in = { table = "table", index = "picks" }
out = "z"
done = "enter:loaded"

[[ops]]
name = "relu"
kind = "relu"
in = { z = "z" }
out = "h"
done = "enter:active"

[[ops]]
name = "update"
kind = "sgd"
in = { param = "w", grad = "grad", lr = "lr" }
out = "w"
done = "enter:updated"
"""
BOTH = (Mode.LOCAL, Mode.CHAIN)


@pytest.fixture
def counter(build, gdb: str) -> Callable[..., Session]:
    del gdb
    program = build("counter", COUNTER, *DEBUG, "-static", "-no-pie")

    def counter(*arguments: str, text: str = COUNTER_MAP) -> Session:
        placed = place_map(parse_map(text, "counter.toml"), read_executable(program))
        return Session(LiveSource(placed, arguments), BOTH, ALL_AUDITS)

    return counter


def wrong(report: Report) -> set[tuple[int, str, Mode]]:
    return {(v.subject.step, v.subject.op, v.subject.mode) for v in report.wrong}


def everywhere(*ops: str) -> set[tuple[int, str, Mode]]:
    return {(step, op, mode) for step in range(3) for op in ops for mode in BOTH}


def test_the_program_goes_on_with_what_was_written(counter):
    with counter("wrong") as session:
        session.heal(("load",))
        loaded = session.run_to("load", 0)
        assert loaded.verdicts[0].status.is_wrong
        assert loaded.capture.flat["z"].tolist() == [6, 7]
        assert session["z"].tolist() == [[5, 6]]
        (relu,) = session.next_op()
        assert relu.capture.flat["h"].tolist() == [5, 6]
        assert not any(v.status.is_wrong for v in relu.verdicts)


def test_without_a_repair_it_goes_on_with_what_it_has(counter):
    with counter("wrong") as session:
        relu = session.run_to("relu", 0)
        assert relu.capture.flat["h"].tolist() == [6, 7]


def test_a_chain_is_healed_by_one_op(counter):
    with counter("wrong") as session:
        report = heal_steps(session, range(3), (AUTO,))
    assert report.healed is not None
    assert (report.healed.ops, report.healed.agrees) == (("load",), True)
    assert wrong(report) == everywhere("load")
    assert report.steps == (0, 1, 2)


def test_what_works_in_place_and_goes_on_in_the_next_step_is_healed(counter):
    with counter("wrong", "too") as session:
        report = heal_steps(session, range(3), (AUTO,))
        assert session["w"].tolist() == [6.5, 13]
    assert report.healed is not None
    assert (report.healed.ops, report.healed.agrees) == (("load", "update"), True)
    assert wrong(report) == everywhere("load", "update")


def test_a_repair_keeps_a_program_from_crashing(counter):
    with counter("", "", "wrong") as session:
        sick = check_steps(session, range(3))
        report = heal_steps(session, range(3), ("pick", "load", "update"))
    assert sick.crash is not None
    assert sick.steps == ()
    assert sick.crash.says.endswith("not mapped.")
    assert report.error is None
    assert report.healed is not None
    assert report.healed.agrees
    assert report.healed.steps["pick"] == (0, 1, 2)
    assert report.steps == (0, 1, 2)


def test_the_next_step_may_begin_where_the_last_op_is_complete(counter):
    text = COUNTER_MAP.replace('step = "enter:step"', 'step = "enter:updated"')
    with counter("wrong", "too", text=text) as session:
        report = heal_steps(session, range(2), ("load", "update"))
    assert report.healed is not None
    assert report.healed.agrees, report.healed.says
    assert wrong(report) == {k for k in everywhere("load", "update") if k[0] < 2}


def test_of_two_ops_at_one_boundary_the_second_had_run_before(counter):
    text = COUNTER_MAP.replace('done = "enter:loaded"', 'done = "enter:active"')
    with counter("wrong", text=text) as session:
        report = heal_steps(session, range(3), ("load",))
    # `relu` took what `load` had made: it is right by its own inputs, and wrong in the chain.
    assert wrong(report) == everywhere("load") | {(s, "relu", Mode.CHAIN) for s in range(3)}
    assert report.healed is not None
    assert not report.healed.agrees


def test_an_error_from_upstream_makes_no_stranger_of_an_op_at_the_same_boundary(counter):
    # What `relu` wrote is seen in the interval of `load`, and is relu's as it agrees with its z.
    text = COUNTER_MAP.replace('done = "enter:loaded"', 'done = "enter:active"')
    with counter("wrong", text=text) as session:
        report = check_steps(session, range(3))
    assert {(v.subject.op, v.subject.buffer) for v in report.wrong} == {
        ("load", "z"),
        ("relu", "h"),
    }
    assert all(v.subject.mode is Mode.CHAIN for v in report.wrong if v.subject.op == "relu")


def test_both_ops_at_one_boundary_are_healed(counter):
    text = COUNTER_MAP.replace('done = "enter:loaded"', 'done = "enter:active"')
    with counter("wrong", text=text) as session:
        session.heal(("load", "relu"))
        session.start(0)
        done = (*session.next_op(), *session.next_op(), *session.next_op())
        assert [o.op.name for o in done] == ["pick", "load", "relu"]
        (update,) = session.next_op()
        assert session["z"].tolist() == [[5, 6]]
        assert not any("none of its outputs" in v.says for v in update.verdicts)


def test_a_moved_program_is_written_where_it_was_loaded(build, gdb: str):
    del gdb
    program = build("net", NET, *DEBUG, "-pie")
    placed = place_map(parse_map(NET_MAP, "net.toml"), read_executable(program))
    with Session(LiveSource(placed, ("wrong",))) as session:
        report = heal_steps(session, range(3), ("relu",))
    assert report.healed is not None
    assert report.healed.steps == {"relu": (1,)}
    assert report.healed.agrees


def test_a_sound_trainer_has_nothing_to_heal(program: Path, tiny: Path, gdb: str):
    del gdb
    placed = load_map(read_executable(program))
    with Session(LiveSource(placed, ("--data", str(tiny)))) as session:
        report = heal_steps(session, range(2), ("dense1",))
    assert report.agrees
    assert report.healed is not None
    assert report.healed.steps == {"dense1": ()}
