"""Breakpoints: how they are written, and that the driver stops at them."""

from collections.abc import Mapping

import numpy as np
import pytest

from nndbg.capture import Capture, Flat
from nndbg.elf import read_executable
from nndbg.errors import UsageError
from nndbg.layermap import parse_map
from nndbg.session import Session
from nndbg.tui.breakpoints import Alarm, Breakpoint, parse_breakpoint
from nndbg.tui.commands import (
    Ask,
    Back,
    Continue,
    FindDivergence,
    FinishStep,
    Heal,
    Kill,
    NextOp,
    RunToAddress,
    RunToOp,
    Start,
    StepInstruction,
)
from nndbg.tui.console import refused
from nndbg.tui.driver import Driver
from nndbg.tui.snapshot import Condition

from .fake import HALT, MAP, FakeMachine, FakeSource

LAYER_MAP = parse_map(MAP, "fake.toml")


def breakpoint_at(text: str) -> Breakpoint:
    return parse_breakpoint(text, LAYER_MAP, None)


def started(source: FakeSource, *breakpoints: str) -> Driver:
    driver = Driver(Session(source), lambda _: None)
    driver.carry_out(Start(0))
    driver.breakpoints = tuple(map(breakpoint_at, breakpoints))
    return driver


def test_a_breakpoint_is_an_op_an_element_or_a_condition():
    assert breakpoint_at(" dense1 ").op == "dense1"
    assert str(breakpoint_at("z1[3, 17]").element) == "z1[3,17]"
    assert breakpoint_at("isnan(z2).any()").condition is not None
    assert breakpoint_at("b1[2]  > 3") == breakpoint_at("b1[2] > 3")
    with pytest.raises(UsageError, match="column 1: there is no buffer dense9"):
        breakpoint_at("dense9")
    with pytest.raises(UsageError, match=r"no code was made from main\.asm:3"):
        breakpoint_at("main.asm:3")
    with pytest.raises(UsageError, match="no code at 0x1234"):
        breakpoint_at("*0x1234")


def test_a_breakpoint_is_a_line_a_function_or_an_address(program):
    executable = read_executable(program)
    probe = executable.probe_addresses("nn", "dense1")[0]
    line = executable.line_at(probe)
    assert probe in parse_breakpoint(str(line), LAYER_MAP, executable).addresses
    assert parse_breakpoint(f"*{probe:#x}", LAYER_MAP, executable).addresses == (probe,)
    assert parse_breakpoint("forward", LAYER_MAP, executable).addresses == (
        executable.symbols["forward"].address,
    )
    with pytest.raises(UsageError, match="no code at"):
        parse_breakpoint("learning_rate", LAYER_MAP, executable)


def test_a_condition_is_told_when_it_begins_to_hold():
    alarm, arrays = Alarm(), {"b1": np.zeros(30), "b2": np.zeros(3)}
    breakpoints = [
        breakpoint_at("b1.max() > 1"),
        breakpoint_at("b2[7] > 0"),
        breakpoint_at("relu1"),
    ]
    (why,) = alarm.heed(breakpoints, arrays.__getitem__)
    assert "b2[7] > 0 cannot be computed here" in why
    assert alarm.heed(breakpoints, arrays.__getitem__) == []
    arrays["b1"][3] = 2
    assert alarm.heed(breakpoints, arrays.__getitem__) == ["b1.max() > 1 holds"]
    assert alarm.heed(breakpoints, arrays.__getitem__) == []
    arrays["b1"][3] = 0
    alarm.heed(breakpoints, arrays.__getitem__)
    arrays["b1"][3] = 2
    assert alarm.heed(breakpoints, arrays.__getitem__) == ["b1.max() > 1 holds"]


@pytest.mark.parametrize("command", [Continue(), FinishStep(), FindDivergence(), RunToOp("dense2")])
def test_every_run_stops_at_a_breakpoint_on_an_op(command):
    driver = started(FakeSource(wrong=None), "relu1")
    snapshot = driver.carry_out(command)
    assert snapshot.says == "after relu1 of step 0: relu1"
    assert snapshot.look_at == "relu1"


def test_a_run_continues_to_a_condition_and_not_to_a_false_one():
    driver = started(FakeSource(wrong=(2, "dense2")), "z2[:, 1].max() > 99", "x.max() < 0.9")
    snapshot = driver.carry_out(Continue())
    assert snapshot.step == 1
    assert snapshot.says == "after dense1 of step 1: x.max() < 0.9 holds"
    assert driver.carry_out(Continue()).condition is Condition.ENDED


def test_without_a_breakpoint_the_program_runs_to_its_end():
    assert started(FakeSource()).carry_out(Continue()).condition is Condition.ENDED


def test_a_run_to_an_op_passes_the_others():
    driver = started(FakeSource(wrong=None))
    driver.carry_out(NextOp())
    assert driver.carry_out(RunToOp("dense1")).says == "after dense1 of step 1"
    assert driver.carry_out(Start(2, "relu1")).says == "after relu1 of step 2"


def test_instructions_are_stepped_to_the_end_of_the_op():
    driver = started(FakeMachine(wrong=None))
    first = driver.carry_out(StepInstruction(over=False))
    assert (first.condition, first.says) == (Condition.STOPPED, "in the middle, instruction 1")
    assert first.can_go_on
    assert first.registers.general["rax"] == 1
    driver.carry_out(StepInstruction(over=False))
    assert driver.carry_out(StepInstruction(over=False)).says == "after dense1 of step 0"
    assert driver.carry_out(StepInstruction(over=True)).says == "after relu1 of step 0"


def test_without_a_debugger_there_is_no_instruction_to_step():
    driver = started(FakeSource())
    assert "no program under GDB" in driver.carry_out(StepInstruction(over=False)).says
    driver.carry_out(Start(0))
    assert "no debugger here" in driver.carry_out(Ask("info registers")).answer


def test_a_breakpoint_in_the_code_stops_between_boundaries_and_not_on_the_way_back():
    source = FakeMachine(wrong=None)
    driver = started(source)
    driver.breakpoints = (Breakpoint("*halt", addresses=(HALT,)), breakpoint_at("z1[0,0]"))
    stopped = driver.carry_out(FinishStep())
    assert stopped.says == "at the breakpoint"
    assert [str(place) for place in source.halts[1]] == ["z1[0,0]"]
    driver.breakpoints = ()
    driver.carry_out(NextOp())
    driver.carry_out(NextOp())
    driver.breakpoints = (Breakpoint("*halt", addresses=(HALT,)),)
    assert driver.carry_out(Back()).says == "after dense1 of step 0"
    assert driver.carry_out(RunToAddress(HALT)).says == "at the breakpoint"


def test_the_console_answers_and_refuses_what_would_move_the_program():
    source = FakeMachine(wrong=None)
    driver = started(source)
    before = driver.carry_out(NextOp())
    shown = driver.carry_out(Ask("info registers rip"))
    assert shown.answer == "the answer to info registers rip\n"
    assert (shown.says, shown.observations) == (before.says, before.observations)
    assert "moves the program" in driver.carry_out(Ask("cont")).answer
    assert "GDB refused it." in driver.carry_out(Ask("nonsense")).answer
    assert source.asked == ["info registers rip", "nonsense"]


@pytest.mark.parametrize(
    "words",
    ["c", "continue 3", "run", "r", "si", "stepi 4", "n", "fin", "until", "j *0x0", "k", "quit",
     "delete", "d 1", "b main", "br", "tbreak x", "watch z1", "disable", "shell ls", "!ls",
     "python 1", "py 1", "| echo", "source x", "reverse-step", "rsi", "detach", "target remote x",
     "kill", "start", "starti", "call f()", "x/4i $pc"],
)  # fmt: skip
def test_what_moves_or_ends_the_program_is_refused(words):
    assert bool(refused(words)) is (words != "x/4i $pc")


@pytest.mark.parametrize(
    "words", ["info registers", "i r", "p $rip", "print/x $rax", "bt", "x/8f &z1", "disassemble",
              "show version", "list", "help info", "set var x = 1", "info breakpoints", "up"],
)  # fmt: skip
def test_what_only_looks_is_put_to_the_debugger(words):
    assert refused(words) == ""


def test_killed_is_not_failed_and_a_restart_goes_on():
    source = FakeMachine(wrong=None)
    driver = started(source)
    driver.carry_out(NextOp())
    killed = driver.carry_out(Kill())
    assert source.closed.is_set()
    assert (killed.condition, killed.says) == (Condition.ENDED, "killed in step 0")
    assert not killed.can_go_on
    assert killed.registers is None
    assert list(killed.observations) == ["dense1"]
    assert driver.carry_out(Start(1)).says == "where step 1 begins"


def test_a_healed_op_is_repaired_in_a_run_to_the_same_stop():
    driver = started(FakeSource(wrong=(0, "dense1")))
    driver.carry_out(NextOp())
    driver.carry_out(NextOp())
    healed = driver.carry_out(Heal(frozenset({"dense1"})))
    assert healed.says == "after relu1 of step 0"
    assert healed.healed == {"dense1"}
    # What the program made is still judged; what comes behind it has the repaired numbers.
    assert healed.observations["dense1"].verdicts[0].status.is_wrong
    assert driver.carry_out(Heal(frozenset())).healed == frozenset()


def test_a_poisoned_step_is_begun_anew_and_said():
    source = FakeSource(wrong=None)
    driver = started(source)
    poisoned = driver.carry_out(Start(1, poison=True))
    assert "with poison" in poisoned.says
    assert source.poisoned == [False, True]


class Refusing(FakeSource):
    """A source that can neither poison nor repair, as a recording."""

    def start(self, step: int, poison: bool = False) -> Capture:
        if poison:
            raise UsageError("no poison here")
        return super().start(step)

    def heal(self, buffers: Mapping[str, Flat]) -> Capture:
        raise UsageError("no repair here")


def test_what_a_source_refuses_is_said_and_the_program_stays_where_it_is():
    driver = started(Refusing(wrong=(0, "dense1")))
    driver.carry_out(NextOp())
    shown = driver.carry_out(NextOp())
    for command, says in (
        (Start(0, poison=True), "no poison here"),
        (Heal(frozenset({"dense1"})), "no repair here"),
    ):
        refused_here = driver.carry_out(command)
        assert refused_here.remark == says
        assert refused_here.condition is Condition.STOPPED
        assert refused_here.says == shown.says
        assert refused_here.healed == frozenset()
    assert driver.carry_out(NextOp()).says == "after dense2 of step 0"
