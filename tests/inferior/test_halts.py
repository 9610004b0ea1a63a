"""Stops between the boundaries: instruction steps, breakpoints, changes of an element."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nndbg.elf import read_executable
from nndbg.errors import GdbError, Paused
from nndbg.finding import ALL_AUDITS
from nndbg.inferior import LiveSource
from nndbg.layermap import parse_map, place_map
from nndbg.ledger import Observation
from nndbg.places import parse_place
from nndbg.session import Session

from .conftest import LIMIT
from .test_audits import MAP, PROGRAM, RELU

# The register is another one in the middle of the op than at its beginning.
AROUND = f"push rbx\n    mov ebx, 1\n{RELU}    pop rbx"


@pytest.fixture
def session(build: Callable[..., Path], gdb: str) -> Iterator[Session]:
    """The op, where its first step begins."""
    del gdb
    source = PROGRAM.replace("BODY", AROUND).replace("BESIDES", "")
    placed = place_map(parse_map(MAP, "op.toml"), read_executable(build("op", source)))
    audits = ALL_AUDITS
    with Session(LiveSource(placed, (), LIMIT, audits=audits), audits=audits) as session:
        session.start()
        yield session


def stands(session: Session) -> int:
    assert session.machine is not None
    registers = session.machine.registers()
    assert registers is not None
    return registers.address


def stepped(session: Session, over: bool) -> tuple[list[int], tuple[Observation, ...]]:
    """Step until an op is judged; where the program stood in between, and the op."""
    places = []
    while True:
        try:
            if found := session.step_instruction(over):
                return places, found
        except Paused:
            assert session.is_between_stops
            places.append(stands(session))


def symbol(session: Session, name: str) -> int:
    assert session.executable is not None
    return session.executable.symbols[name].address


def test_steps_go_into_a_call_or_over_it_and_end_where_the_op_does(session: Session) -> None:
    relu = symbol(session, "relu")
    places, found = stepped(session, over=False)
    assert relu in places
    assert len(places) > 5
    assert [(o.op.name, o.verdicts[0].status.value, o.findings) for o in found] == [
        ("relu", "agree", ())
    ]
    assert stands(session) == symbol(session, "end")
    assert not session.is_between_stops
    places, found = stepped(session, over=True)
    assert relu not in places
    assert [(o.step, o.findings) for o in found] == [(1, ())]


def test_a_program_goes_on_from_the_middle_of_an_op_without_a_false_alarm(
    session: Session,
) -> None:
    assert session.machine is not None
    while session.machine.registers().general["rbx"] != 1:
        with pytest.raises(Paused, match=r"in \w+ \(.*:\d+\) at 0x"):
            session.step_instruction()
    (found,) = session.next_op()
    assert found.verdicts[0].status.value == "agree"
    assert not found.findings


def test_a_breakpoint_stops_each_time_until_it_is_taken_back(session: Session) -> None:
    machine, relu = session.machine, symbol(session, "relu")
    assert machine is not None
    machine.stop_at({relu}, ())
    for step in (0, 1):
        with pytest.raises(Paused, match="at the breakpoint in relu"):
            session.next_op()
        assert stands(session) == relu
        (found,) = session.next_op()
        assert found.step == step
    machine.stop_at((), ())
    assert session.next_op()[0].step == 2
    # Nor does it stop a run that goes back, or that starts anew.
    machine.stop_at({relu}, ())
    session.start(3)
    with pytest.raises(Paused):
        session.next_op()


def test_a_breakpoint_on_a_boundary_is_the_boundary(session: Session) -> None:
    assert session.machine is not None
    session.machine.stop_at({symbol(session, "end"), symbol(session, "begin")}, ())
    with pytest.raises(Paused, match="at the breakpoint"):
        session.next_op()
    assert session.next_op()[0].op.name == "relu"


def test_a_change_stops_and_a_write_of_the_same_does_not(
    build: Callable[..., Path], gdb: str
) -> None:
    del gdb
    # From one step to the next z changes, and with it one of the two in h.
    source = PROGRAM.replace("BODY", RELU).replace("BESIDES", "")
    source = source.replace(
        "inc     qword [number]", "inc     qword [number]\n    inc dword [z + 4]"
    )
    executable = read_executable(build("op", source))
    layer_map = parse_map(MAP, "op.toml")
    with Session(LiveSource(place_map(layer_map, executable), (), LIMIT)) as session:
        session.start()
        assert session.machine is not None
        elements = [parse_place(text, layer_map) for text in ("h[0]", "h[1]")]
        session.machine.stop_at((), elements)
        try:
            assert session.next_op()[0].step == 0
        except GdbError as error:
            pytest.skip(str(error))
        with pytest.raises(Paused, match=r"h\[1\] changed from 2 to 2\.0000002\d* before inside"):
            session.next_op()
        assert session.next_op()[0].step == 1


def test_what_cannot_be_watched_is_said_and_the_program_goes_on_without(session: Session) -> None:
    machine = session.machine
    assert machine is not None
    places = [parse_place(f"{name}[{n}]", session.layer_map) for name in "zh" for n in (0, 1)]
    outside = parse_place("z[2]", session.layer_map)
    for wanted, why in (
        ([*places, outside], "can watch 4 elements, and 5 are wanted"),
        ([outside], r"z\[2\] cannot be watched: there is no z\[2\]"),
    ):
        machine.stop_at((), wanted)
        with pytest.raises(Paused, match=why):
            session.next_op()
    machine.stop_at((), ())
    (found,) = session.next_op()
    assert (found.step, found.findings) == (0, ())


def test_the_debugger_answers_and_its_frame_stays(session: Session) -> None:
    machine = session.machine
    assert machine is not None
    with pytest.raises(Paused):
        while True:
            session.step_instruction()
            break
    assert "rip" in machine.ask("info registers rip")
    assert machine.ask('print "a\\\\b"').strip().endswith('"a\\\\b"')
    with pytest.raises(GdbError, match="Undefined command"):
        machine.ask("nonsense")


def test_registers_are_there_until_the_program_is_gone(session: Session) -> None:
    machine = session.machine
    assert machine is not None
    registers = machine.registers()
    assert registers is not None
    assert {"rax", "rip", "eflags", "mxcsr"} <= registers.general.keys()
    assert registers.address == registers.general["rip"]
    assert len({len(data) for data in registers.vectors.values()}) == 1
    assert len(registers.vectors) in (16, 32)
    while session.next_op():
        pass
    assert machine.registers() is None
    assert session.step_instruction() == ()
