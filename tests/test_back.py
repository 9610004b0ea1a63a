"""Going back in time: what was seen is seen again, bit for bit, or it is told that it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import nndbg
from nndbg.capture import Capture
from nndbg.errors import ProgramError, UsageError
from nndbg.session import Session
from nndbg.trail import Stop

IN_ORDER = ("load", "dense", "relu", "dz", "dx", "dW", "update")

# The trainer


@pytest.fixture
def session(program: Path, tiny: Path, gdb: str) -> Iterator[Session]:
    del gdb
    arguments = ("--data", str(tiny), "--epochs", "1")
    with nndbg.open(program, arguments=arguments, timeout=10.0) as session:
        yield session


def walk(session: Session) -> dict[Stop, Capture]:
    """Go to the program's end, and return every stop on the way."""
    session.start()
    seen = {session.here: session.capture}
    while not session.has_ended:
        for _ in session.stops_of_step():
            seen[session.here] = session.capture
    return seen


def assert_same(now: Capture, before: Capture) -> None:
    assert (now.step, now.op, now.address) == (before.step, before.op, before.address)
    assert dict(now.sizes) == dict(before.sizes)
    assert now.flat.keys() == before.flat.keys()
    for name, flat in now.flat.items():
        assert flat.tobytes() == before.flat[name].tobytes(), name


def test_every_buffer_is_what_it_was_at_every_kind_of_stop(session):
    seen = walk(session)
    assert session.has_ended
    stops = list(seen)
    last = stops[-1]
    session.back()
    assert session.here == last
    assert_same(session.capture, seen[last])
    session.back()
    assert session.here == stops[-2]
    assert_same(session.capture, seen[stops[-2]])
    for wanted in (Stop(last.step, 0), Stop(last.step - 1, 0)):
        session.back_step()
        assert session.here == wanted
        assert_same(session.capture, seen[wanted])
    session.back()
    assert session.here == max(stop for stop in stops if stop.step == last.step - 2)
    assert_same(session.capture, seen[session.here])
    session.next_op()
    assert session.here == Stop(last.step - 1, 1)
    assert_same(session.capture, seen[session.here])


def test_back_judges_again_what_the_step_had_made_and_goes_on_from_there(session):
    session.start(1)
    forward = [o.op.name for _ in range(5) for o in session.next_op()]
    again = session.back()
    assert [o.op.name for o in again] == forward[:4]
    assert all(v.status is nndbg.Status.AGREE for o in again for v in o.verdicts)
    assert [o.op.name for o in session.next_op()] == forward[4:]
    rest = list(session.finish_step())
    assert all(not v.status.is_wrong for o in rest for v in o.verdicts)


def test_back_into_a_step_that_was_never_seen_shows_what_a_walk_sees(session):
    seen = walk(session)
    session.start(2)
    session.back()
    assert session.here == max(stop for stop in seen if stop.step == 1)
    assert_same(session.capture, seen[session.here])
    session.start(2)
    session.back_step()
    assert session.here == Stop(1, 0)
    assert_same(session.capture, seen[session.here])


def test_at_the_very_beginning_back_is_refused_and_nothing_moves(session):
    session.start(0)
    for back in (session.back, session.back_step):
        with pytest.raises(UsageError, match="step 0 begins here, and no stop comes before it"):
            back()
    assert session.here == Stop(0, 0)
    session.next_op()
    assert session.here == Stop(0, 1)


# Any source


def session_of(fake, *steps: list[object]) -> Session:
    return Session(fake([list(step) for step in steps]))


def test_before_anything_ran_there_is_nothing_to_go_back_to(fake):
    with pytest.raises(UsageError, match="nothing has run yet"):
        session_of(fake, IN_ORDER).back()


def test_a_swept_step_is_not_gone_back_in(fake):
    session = session_of(fake, IN_ORDER, IN_ORDER)
    session.sweep(True)
    session.start()
    session.next_op()
    with pytest.raises(UsageError, match="step 0 was swept"):
        session.back()


def test_a_recorded_step_is_not_gone_back_in_and_the_next_one_is(fake):
    session = session_of(fake, IN_ORDER, IN_ORDER)
    session.record_step()
    session.next_op()
    session.back()
    assert session.here == Stop(1, 0)
    session.back()
    assert session.here == Stop(0, len(IN_ORDER))


def test_a_stop_that_there_is_not_is_refused_and_the_session_stays(fake):
    session = session_of(fake, IN_ORDER, IN_ORDER)
    session.start(1)
    with pytest.raises(UsageError, match="step 0 has no stop 9"):
        session.rewind(Stop(0, 9))
    with pytest.raises(UsageError, match="this is step 1, and step 2 is still to come"):
        session.rewind(Stop(2, 0))
    assert session.here == Stop(1, 0)
    assert session.next_op()


def test_back_from_a_crash_is_the_last_stop_before_it(fake):
    session = session_of(fake, ["load", "dense", ProgramError("it crashed")])
    session.start()
    with pytest.raises(ProgramError, match="it crashed"):
        list(session.finish_step())
    session.back()
    assert session.here == Stop(0, 2)
    session.back()
    assert session.here == Stop(0, 1)


def test_ops_out_of_order_are_gone_back_through_in_the_order_of_the_program(fake):
    order = ["load", "dense", "dz", "dx", "dW", "relu", "update"]
    session = session_of(fake, order)
    session.start()
    list(session.finish_step())
    gone = []
    while session.here.number:
        session.back()
        gone.append(session.capture.op)
    assert gone == [*reversed(order), None]


def test_where_another_element_comes_out_it_is_named(fake):
    runs = iter(range(100))

    def noise(state) -> None:
        state["z"][1, 0] = next(runs)

    session = session_of(fake, ["load", ("dense", noise), "relu"])
    session.start()
    session.next_op()
    session.next_op()
    session.next_op()
    says = (
        r"not deterministic: z after dense of step 0 .*: z\[1, 0\], the first of 1 .* 0, and is 1"
    )
    with pytest.raises(ProgramError, match=says):
        session.back()
    with pytest.raises(UsageError, match="nothing has run yet"):
        session["z"]
    session.start()
    assert session.next_op()


def test_where_another_op_comes_it_is_told(fake):
    source = fake([["load", "dense", "relu"]])
    session = Session(source)
    session.start()
    list(session.finish_step())
    source.script = [["load", "relu", "dense"]]
    with pytest.raises(ProgramError, match=r"stop 2 of step 0 was after dense .* is after relu"):
        session.back()


@pytest.mark.parametrize("script", [[["load"]], [["load"], ["load", "dense", "relu"]]])
def test_where_the_program_does_not_come_so_far_again_it_is_told(fake, script):
    source = fake([["load", "dense", "relu"]])
    session = Session(source)
    session.start()
    list(session.finish_step())
    source.script = script
    with pytest.raises(ProgramError, match="not deterministic: run again it went past stop 3"):
        session.back()


def test_a_step_that_was_never_seen_is_held_against_the_stop_one_comes_from(fake):
    runs = iter(range(100))

    def noise(state) -> None:
        state["W"][0, 0] = next(runs)

    session = session_of(fake, ["load", "dense", noise], ["load"])
    session.start(1)
    with pytest.raises(ProgramError, match="not deterministic: W where step 1 begins is not what"):
        session.back()


def test_a_start_begins_another_run_which_may_be_another_one(fake):
    runs = iter(range(100))

    def noise(state) -> None:
        state["z"][1, 0] = next(runs)

    session = session_of(fake, ["load", ("dense", noise)])
    for _ in range(2):
        session.start()
        assert len(list(session.finish_step())) >= 2


# Programs that are others when they are run again

MAP = """\
[program]
name = "noisy"
step = "enter:step"

[buffers]
z = { dtype = "f32", shape = [4] }
h = { dtype = "f32", shape = [4] }

[[ops]]
name = "relu"
kind = "relu"
in   = { z = "z" }
out  = "h"
done = "enter:done"
"""
PROGRAM = """\
; three steps, with some code before the op
    default rel
    global _start
    section .text
_start:
    mov r12d, 3
step:
    nop
{noise}
    movups xmm0, [z]
    xorps xmm1, xmm1
    maxps xmm0, xmm1
    movups [h], xmm0
done:
    nop
    dec r12d
    jnz step
    mov eax, 60
    xor edi, edi
    syscall

    section .data
    global z:data 16
z:  dd 1.0, -2.0, 3.0, -4.0
    section .bss
    global h:data 16
h:  resd 4
    global stamp:data 8
stamp: resq 1
"""
CYCLES = "rdtsc\n and eax, 0xffff\n cvtsi2ss xmm2, eax\n movss [z + 8], xmm2"
PID = "mov eax, 39\n syscall\n cvtsi2ss xmm2, eax\n movss [z + 8], xmm2"
CLOCK_ELSEWHERE = "rdtsc\n mov [stamp], rax"


@pytest.fixture
def noisy(build: Callable[..., Path], tmp_path: Path) -> Iterator[Callable[[str], Session]]:
    """Opens the program with some code before its op."""
    opened: list[Session] = []

    def noisy(noise: str) -> Session:
        path = tmp_path / "noisy.toml"
        path.write_text(MAP)
        program = build("noisy", PROGRAM.format(noise=noise))
        opened.append(nndbg.open(program, map=path, timeout=10.0))
        return opened[-1]

    yield noisy
    for session in opened:
        session.close()


@pytest.mark.parametrize("noise", [CYCLES, PID], ids=["the time", "the process id"])
def test_a_program_with_noise_in_its_numbers_is_told_to_be_another(noisy, noise):
    session = noisy(noise)
    session.start(0)
    list(session.finish_step())
    session.next_op()
    says = r"this program is not deterministic: z (after relu of step 0|where step 1 begins) is not"
    with pytest.raises(ProgramError, match=says):
        session.back()


def test_noise_in_what_no_map_names_does_not_count(noisy):
    session = noisy(CLOCK_ELSEWHERE)
    session.start(0)
    list(session.finish_step())
    session.next_op()
    session.back()
    assert session.here == Stop(1, 0)


# The write of an element


def test_the_stop_before_the_last_write_of_an_element(session):
    session.run_to("relu1", 1)
    value = session["z1"][3, 17]
    found = nndbg.back_to_write(session, "z1[3,17]")
    assert (found.step, found.write.op, found.write.after) == (1, "dense1", value)
    assert found.write.site.file.startswith("asm/dense")
    assert session["z1"][3, 17] != value
    assert session.here.step == 1
    session.next_op()
    assert session.capture.op == "dense1"
    assert session["z1"][3, 17] == value


def test_a_write_is_found_in_the_step_before_and_then_in_the_one_before_that(session):
    session.start(2)
    for step in (1, 0):
        value = session["W1"][300, 5]
        found = nndbg.back_to_write(session, "W1[300,5]")
        assert (found.step, found.write.after) == (step, value)
        assert session["W1"][300, 5] == np.float32(found.write.before)


@pytest.mark.parametrize(
    ("element", "says"),
    [
        ("z1[3,17]", "step 0 begins here"),
        ("images[0,0]", "images is constant"),
        ("z1[64,0]", r"there is no z1\[64,0\]"),
        ("nowhere[0]", "no buffer nowhere"),
    ],
)
def test_a_write_that_there_is_not_is_refused_and_the_session_stays(session, element, says):
    session.start(0)
    with pytest.raises(UsageError, match=says):
        nndbg.back_to_write(session, element)
    assert session.here == Stop(0, 0)
    assert session.next_op()


def test_an_element_that_no_step_writes_is_told_and_the_session_is_where_it_was(session):
    session.run_to("dense1", 1)
    z1 = session["z1"].copy()
    with pytest.raises(UsageError, match=r"no instruction wrote lr in steps 0 to 1"):
        nndbg.back_to_write(session, "lr")
    assert session.capture.op == "dense1"
    assert np.array_equal(session["z1"], z1)
    assert session.next_op()
