"""The judge sees what is wrong in dumps, and nothing where nothing is."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from nndbg.errors import ProgramError

from .judging import Change, change_from, errors_of, wrong_outputs
from .trace import Trace, follow

IN_ORDER = ("load", "dense", "relu", "dz", "dx", "dW", "update")
State = dict[str, np.ndarray]
Act = Callable[[State], None]


@pytest.fixture
def dump(fake) -> Callable[..., Trace]:
    """The dumps of two steps, with what happens instead of an op, or after one."""

    def dump(
        instead: Mapping[str, Act] | None = None,
        after: Mapping[str, Act] | None = None,
        order: tuple[str, ...] = IN_ORDER,
        begin: Act = lambda state: None,
    ) -> Trace:
        step: list[object] = []
        for op in order:
            step.append((op, (instead or {})[op]) if op in (instead or {}) else op)
            if op in (after or {}):
                step.append((after or {})[op])
        return follow(fake([[begin, *step], [*step], []]), 2)

    return dump


def judged(trace: Trace, sound: Trace) -> list[tuple[int, str, str]]:
    return [(w.step, w.op, w.buffer) for w in wrong_outputs(trace, errors_of(sound))]


def test_a_sound_program_has_nothing_wrong(dump) -> None:
    sound = dump()
    assert sound.error is None
    assert judged(sound, sound) == []
    assert change_from(sound, dump()) == (Change.NONE, "")


def test_the_sound_program_is_as_exact_as_its_numbers(dump) -> None:
    assert set(errors_of(dump())) >= {("dense", "z"), ("dW", "dW"), ("update", "W")}
    assert max(errors_of(dump()).values()) <= 2.0**-24


def test_one_wrong_element_is_seen_at_its_op_and_nowhere_else_in_the_step(dump, correct) -> None:
    def wrong(state: State) -> None:
        correct["dense"](state)
        state["z"][1, 1] *= np.float32(1 + 2**-18)

    found = judged(dump({"dense": wrong}), dump())
    assert found == [(0, "dense", "z"), (1, "dense", "z")]


def test_a_last_bit_is_rounding(dump, correct) -> None:
    def rounded(state: State) -> None:
        correct["dense"](state)
        state["z"][1, 1] = np.nextafter(state["z"][1, 1], np.float32(9))

    sound, mutant = dump(), dump({"dense": rounded})
    assert judged(mutant, sound) == []
    assert change_from(sound, mutant) == (Change.ROUNDING, "step 0 dense: z")


def test_a_last_bit_of_a_choice_is_wrong(dump, correct) -> None:
    def off(state: State) -> None:
        correct["relu"](state)
        state["h"][:] = np.nextafter(state["h"], np.float32(9))

    assert judged(dump({"relu": off}), dump())[0] == (0, "relu", "h")


def test_an_op_that_does_nothing_is_wrong(dump) -> None:
    assert judged(dump({"dx": lambda state: None}), dump())[0] == (0, "dx", "dx")


def test_a_nan_is_wrong_where_no_nan_went_in(dump, correct) -> None:
    def broken(state: State) -> None:
        correct["dW"](state)
        state["dW"][0, 0] = np.nan

    assert judged(dump({"dW": broken}), dump())[0] == (0, "dW", "dW")


def test_an_op_that_is_never_reached_is_wrong(dump) -> None:
    without = tuple(op for op in IN_ORDER if op != "relu")
    assert judged(dump(order=without), dump())[0] == (0, "relu", "h")


def test_an_op_in_another_place_that_takes_the_wrong_numbers_is_wrong(dump) -> None:
    early = ("load", "dense", "relu", "dz", "dW", "update", "dx")
    assert judged(dump(order=early), dump())[0] == (0, "dx", "dx")
    harmless = ("load", "dense", "dz", "relu", "dW", "dx", "update")
    assert judged(dump(order=harmless), dump()) == []


def test_a_buffer_that_another_op_changes_is_wrong_at_that_op(dump, correct) -> None:
    def stray(state: State) -> None:
        correct["dz"](state)
        state["h"][0, 0] += 1

    assert judged(dump({"dz": stray}), dump())[0] == (0, "dz", "h")


def test_a_weight_that_another_op_changes_is_wrong_at_that_op(dump, correct) -> None:
    def stray(state: State) -> None:
        correct["relu"](state)
        state["W"][0, 0] += 1

    assert judged(dump({"relu": stray}), dump())[0] == (0, "relu", "W")


def test_a_buffer_cleared_before_its_op_is_not_in_use(dump, correct) -> None:
    def clears(state: State) -> None:
        correct["relu"](state)
        state["dW"][:] = 0

    sound, mutant = dump(), dump({"relu": clears})
    assert judged(mutant, sound) == []
    assert change_from(sound, mutant)[0] is Change.SPARE


def test_rows_behind_the_batch_are_not_in_use(dump, correct) -> None:
    def beyond(state: State) -> None:
        correct["dense"](state)
        state["z"][3] = 7

    sound, mutant = dump(), dump({"dense": beyond})
    assert judged(mutant, sound) == []
    assert change_from(sound, mutant) == (Change.SPARE, "step 0 dense: z")


def test_weights_changed_between_two_steps_are_wrong_at_the_last_op(dump) -> None:
    def adds(state: State) -> None:
        state["W"] += 1

    assert judged(dump(after={"update": adds}), dump())[0] == (0, "update", "W")


def test_an_input_that_no_op_makes_is_not_judged(dump) -> None:
    def other(state: State) -> None:
        state["index"][:] = state["index"][::-1].copy()

    sound, mutant = dump(), dump(begin=other)
    assert judged(mutant, sound) == []
    assert change_from(sound, mutant) == (Change.UNOWNED, "step 0 load: its input index")


def test_what_ended_the_run_is_kept_with_the_stops_before(fake, dump) -> None:
    trace = follow(fake([["load", "dense", ProgramError("it crashed")]]), 2)
    assert trace.error == "it crashed"
    assert [stop.op for stop in trace.stops] == [None, "load", "dense"]
    assert judged(trace, dump()) == []


def test_a_step_that_ends_before_its_last_op_was_not_completed(dump, fake) -> None:
    trace = follow(fake([[*IN_ORDER], ["load", "dense"]]), 2)
    assert trace.error == "the program ended before all steps were complete"
    assert judged(trace, dump()) == []
    assert follow(fake([[*IN_ORDER], [*IN_ORDER]]), 2).error is None
