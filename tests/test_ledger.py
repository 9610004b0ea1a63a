"""The books of a step: which numbers an op is judged by, in whatever order the program runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from nndbg.compare import Mode, Status, Verdict
from nndbg.errors import ProgramError
from nndbg.ledger import Observation, StepLedger
from nndbg.session import Session

OPS = ("load", "dense", "relu", "dz", "dx", "dW", "update")
LOCAL, CHAIN = Mode.LOCAL, Mode.CHAIN
Change = Callable[[dict], None]


@pytest.fixture
def step(fake) -> Callable[..., list[Observation]]:
    """Judges one step of a script of events, before which another one ran."""

    def run(events: Sequence, modes: Sequence[Mode] = (LOCAL,), before: Sequence = OPS):
        session = Session(fake([before, events, []]), modes)
        session.start(1)
        return list(session.finish_step())

    return run


def verdicts(observations: Sequence[Observation]) -> list[Verdict]:
    return [v for o in observations for v in o.verdicts]


def statuses(observations: Sequence[Observation], mode: Mode = LOCAL) -> dict[str, str]:
    """The status of each op's own output, by op; what agrees is left out."""
    return {
        v.subject.op: v.status.value
        for v in verdicts(observations)
        if v.subject.mode is mode and v.status is not Status.AGREE
    }


def add(name: str, amount: float, at: int = 0) -> Change:
    """Changes one element of a buffer."""

    def change(state: dict) -> None:
        state[name].reshape(-1)[at] += amount

    return change


def after(act: Change, change: Change) -> Change:
    def both(state: dict) -> None:
        act(state)
        change(state)

    return both


def nothing(state: dict) -> None:
    del state


# In order


def test_a_correct_step_agrees_op_by_op_in_the_order_of_the_map(step):
    observations = step(OPS)
    assert [o.op.name for o in observations] == list(OPS)
    assert [v.status for v in verdicts(observations)] == [Status.AGREE] * len(OPS)
    assert all(o.step == 1 and o.capture.op == o.op.name for o in observations)


def test_only_the_rows_of_the_batch_are_judged(step):
    by_op = {v.subject.op: v.checked for v in verdicts(step(OPS))}
    assert by_op == {"load": 9, "dense": 6, "relu": 6, "dz": 6, "dx": 9, "dW": 6, "update": 6}


@pytest.mark.parametrize("op", OPS)
def test_a_wrong_op_alone_is_wrong_locally(step, correct, op: str):
    out = {"load": "x", "dense": "z", "relu": "h", "update": "W"}.get(op, op)
    faulty = [(o, after(correct[o], add(out, 0.5, 2))) if o == op else o for o in OPS]
    observations = step(faulty)
    assert statuses(observations) == {op: "diverged"}
    (verdict,) = (v for v in verdicts(observations) if v.status is not Status.AGREE)
    assert (verdict.subject.buffer, verdict.bad) == (out, 1)
    assert (verdict.subject.step, verdict.subject.mode) == (1, LOCAL)


def test_the_expected_values_come_with_the_observation(step):
    (dense,) = (o for o in step(OPS) if o.op.name == "dense")
    z = dense.op.outputs["z"]
    assert set(dense.expected) == {z}
    assert np.allclose(dense.expected["z"].value, dense.capture.flat["z"][:6].reshape(3, 2))


def test_an_op_that_writes_nothing_is_unwritten(step):
    assert statuses(step([("dense", nothing) if o == "dense" else o for o in OPS])) == {
        "dense": "unwritten"
    }


def test_nan_is_nonfinite_wherever_it_goes(step, correct):
    faulty = ("dW", after(correct["dW"], add("dW", np.nan)))
    assert statuses(step([faulty if o == "dW" else o for o in OPS])) == {
        "dW": "nonfinite",
        "update": "nonfinite",
    }


# In place


def test_an_op_in_place_is_judged_by_the_value_from_before_it(step):
    assert statuses(step(OPS)) == {}


def test_an_update_applied_twice_within_one_op_diverges(step, correct):
    twice = ("update", after(correct["update"], correct["update"]))
    assert statuses(step([*OPS[:-1], twice])) == {"update": "diverged"}


def test_an_update_with_the_wrong_sign_diverges(step):
    def ascend(state: dict) -> None:
        state["W"] += state["lr"] * state["dW"]

    assert statuses(step([*OPS[:-1], ("update", ascend)])) == {"update": "diverged"}


# Out of order


@pytest.mark.parametrize(
    "order",
    [
        ("load", "dense", "relu", "dz", "dW", "dx", "update"),
        ("load", "dense", "dz", "dx", "dW", "relu", "update"),
        ("load", "dense", "dz", "dx", "dW", "update", "relu"),
    ],
    ids=["gradients swapped", "relu late", "relu last"],
)
def test_another_order_that_changes_no_number_agrees(step, order):
    observations = step(order)
    assert statuses(observations) == {}
    assert sorted(o.op.name for o in observations) == sorted(OPS)


def test_an_op_is_judged_once_all_before_it_in_the_map_are_complete(fake):
    session = Session(fake([("load", "dense", "dz", "dx", "relu", "dW", "update")]))
    heard = []
    while found := session.next_op():
        heard.append([o.op.name for o in found])
    assert heard == [["load"], ["dense"], ["relu", "dz", "dx"], ["dW"], ["update"]]


def test_weights_updated_before_the_gradient_uses_them_make_that_gradient_wrong(step):
    order = ("load", "dense", "relu", "dz", "dW", "update", "dx")
    assert statuses(step(order)) == {"dx": "diverged"}


def test_a_gradient_computed_before_its_input_is_wrong(step):
    # dW reads the dz of the step before.
    order = ("load", "dense", "relu", "dW", "dz", "dx", "update")
    assert statuses(step(order))["dW"] in ("diverged", "unwritten")


def test_the_input_of_an_op_that_ran_too_early_is_what_the_map_has_before_it(step):
    observations = step(("load", "dense", "relu", "dz", "dW", "update", "dx"))
    (dx,) = (o for o in observations if o.op.name == "dx")
    (update,) = (o for o in observations if o.op.name == "update")
    begin = update.capture.flat["W"]
    assert np.any(dx.expected["dx"].value != 0)
    assert not np.array_equal(begin, dx.capture.flat["dW"])


# Inputs that are stale


def test_an_op_that_uses_the_numbers_of_the_step_before_diverges(step, correct):
    old: dict[str, np.ndarray] = {}

    def remember(state: dict) -> None:
        old["z"] = state["z"].copy()

    def from_old(state: dict) -> None:
        state["h"][:3] = np.maximum(old["z"][:3], 0) + 0.125

    events = [remember, "load", "dense", ("relu", from_old), *OPS[3:]]
    assert statuses(step(events)) == {"relu": "diverged"}


def test_an_op_whose_input_changed_behind_its_back_is_judged_by_what_the_map_says(step):
    # Someone writes z between dense and relu: relu is the one that stands beside it.
    events = ["load", "dense", add("z", 1.0), "relu", *OPS[3:]]
    observations = step(events)
    changed = [v for v in verdicts(observations) if "none of its outputs" in v.says]
    assert [(v.subject.op, v.subject.buffer, v.bad) for v in changed] == [("relu", "z", 1)]


# What a diagnosis is told


def test_an_op_that_ran_too_late_is_told_who_changed_its_input(step):
    observations = step(("load", "dense", "relu", "dz", "dW", "update", "dx"))
    (dx,) = (o for o in observations if o.op.name == "dx")
    known = dx.evidence["dx"]
    assert known.changers["W"] == "update"
    assert not np.array_equal(known.others["W"], known.inputs["W"])


def test_an_op_that_ran_too_early_is_told_who_makes_its_input(step):
    observations = step(("load", "dense", "relu", "dW", "dz", "dx", "update"))
    (gradient,) = (o for o in observations if o.op.name == "dW")
    known = gradient.evidence["dW"]
    assert known.makers["dz"] == "dz"
    assert "dz" not in known.changers


def test_what_changed_behind_the_map_s_back_has_evidence_of_no_part(step, correct):
    faulty = ("dense", after(correct["dense"], add("b", 0.5, 1)))
    observations = step([faulty if o == "dense" else o for o in OPS])
    (dense,) = (o for o in observations if o.op.name == "dense")
    known = dense.evidence["b"]
    assert (known.part, known.buffer, known.bad.sum()) == ("", "b", 1)
    assert not dense.evidence.keys() & {"z"}


# Changes that no op owns up to


def test_a_write_beyond_an_op_s_output_is_a_verdict_of_its_own(step, correct):
    faulty = ("dense", after(correct["dense"], add("b", 0.5, 1)))
    observations = step([faulty if o == "dense" else o for o in OPS])
    (verdict,) = (v for v in verdicts(observations) if v.status is not Status.AGREE)
    assert (verdict.subject.op, verdict.subject.buffer) == ("dense", "b")
    assert verdict.says == "dense changed b, which is none of its outputs"
    assert verdict.where == "b[1]"


def test_a_write_into_the_reserve_beyond_the_batch_is_seen(step, correct):
    # z has room for 4 rows and holds 3: element 7 lies in the fourth.
    faulty = ("relu", after(correct["relu"], add("z", 1.0, 7)))
    observations = step([faulty if o == "relu" else o for o in OPS])
    (verdict,) = (v for v in verdicts(observations) if v.status is not Status.AGREE)
    assert (verdict.subject.buffer, verdict.where, verdict.checked) == ("z", "z[3, 1]", 8)


def test_an_op_s_own_output_is_not_reported_as_changed(step):
    assert not [v for v in verdicts(step(OPS)) if v.says]


def test_a_change_in_the_sign_of_a_zero_is_a_change(step, correct):
    def clear(state: dict) -> None:
        state["g"][3, 0] = 0.0

    def negate(state: dict) -> None:
        state["g"].view(np.uint32)[3, 0] ^= 0x80000000

    # Row 3 lies beyond the batch; the pointer's rows end before it.
    unseen = step([clear, "load", ("dense", after(correct["dense"], negate)), *OPS[2:]])
    assert statuses(unseen) == {}

    def zero_b(state: dict) -> None:
        state["b"][0] = 0.0

    def flip_b(state: dict) -> None:
        state["b"][0] = -0.0

    seen = step(
        ["load", "dense", ("relu", after(correct["relu"], flip_b)), *OPS[3:]],
        before=[zero_b, *OPS],
    )
    assert statuses(seen) == {"relu": "diverged"}


def test_a_buffer_that_no_op_owns_may_be_set_until_it_is_read(step):
    events = ["load", add("b", 1.0), "dense", add("lr", 0.5), *OPS[2:]]
    assert statuses(step(events)) == {}


def test_a_buffer_that_is_cleared_before_its_op_is_no_change(step):
    def clear(state: dict) -> None:
        state["dW"][:] = 0

    assert statuses(step([clear, *OPS])) == {}
    assert statuses(step(["load", "dense", clear, *OPS[2:]])) == {}


def test_a_parameter_that_changes_too_early_is_the_change_of_that_op(step):
    observations = step(["load", add("W", 1.0, 3), "dense", *OPS[2:]])
    (stray,) = (v for v in verdicts(observations) if "none of its outputs" in v.says)
    assert (stray.subject.op, stray.subject.buffer, stray.bad) == ("dense", "W", 1)


def test_a_parameter_that_changes_between_steps_is_wrong(step):
    observations = step([*OPS, add("W", 1.0, 3)])
    (stray,) = (v for v in verdicts(observations) if v.status is not Status.AGREE)
    assert (stray.subject.op, stray.subject.buffer) == ("update", "W")
    assert stray.says == "W changed behind update, before the next step began, and no op does that"


# Ops that are missing, or come twice


@pytest.mark.parametrize("absent", OPS)
def test_an_op_that_never_completes_is_unwritten_and_the_others_are_judged(step, absent: str):
    observations = step([o for o in OPS if o != absent])
    assert statuses(observations) == {absent: "unwritten"}
    assert [o.op.name for o in observations] == list(OPS)
    (verdict,) = (v for v in verdicts(observations) if v.status is not Status.AGREE)
    assert verdict.says == f"the boundary of {absent} was never reached in step 1"
    assert verdict.checked == verdict.bad > 0


def test_only_an_op_that_never_completes_is_not_reached(step):
    reached = {o.op.name: o.is_reached for o in step([o for o in OPS if o != "dx"])}
    assert reached == {op: op != "dx" for op in OPS}


def test_a_step_without_any_op_leaves_all_unwritten(step):
    assert statuses(step([])) == dict.fromkeys(OPS, "unwritten")


def test_an_op_that_comes_twice_is_judged_twice(step):
    observations = step(["load", "dense", "relu", "relu", *OPS[3:]])
    assert [o.op.name for o in observations].count("relu") == 2
    assert statuses(observations) == {}


def test_an_update_that_comes_twice_is_wrong_the_second_time(step):
    observations = step([*OPS, "update"])
    last = [o.verdicts[0].status for o in observations if o.op.name == "update"]
    assert last == [Status.AGREE, Status.DIVERGED]


# Pointers


def test_a_pointer_that_moves_brings_another_array_not_a_change(step):
    def move(state: dict) -> None:
        state["g_at"] = np.uint64(0x9000)
        state["g"] = state["g"][::-1].copy()

    observations = step(["load", "dense", move, "relu", "dz", *OPS[4:]])
    assert statuses(observations) == {}


def test_the_array_that_a_pointer_names_at_the_op_is_the_one_it_is_judged_by(step, correct):
    def move(state: dict) -> None:
        state["g_at"] = np.uint64(0x9000)
        state["g"] = state["g"] * 2

    def with_the_old_one(state: dict) -> None:
        state["dz"][:3] = np.where(state["z"][:3] > 0, state["g"][:3] / 2, 0)

    events = ["load", "dense", "relu", move, ("dz", with_the_old_one), *OPS[4:]]
    assert statuses(step(events)) == {"dz": "diverged"}


def test_a_constant_array_is_the_one_of_the_beginning_of_the_step(step, correct):
    def led_astray(state: dict) -> None:
        state["table"] = state["table"][::-1].copy()
        correct["load"](state)

    assert statuses(step([("load", led_astray), *OPS[1:]])) == {"load": "diverged"}


def test_the_same_pointer_with_other_contents_is_a_change(step):
    events = [*OPS[:4], add("g", 1.0), *OPS[4:]]
    changed = [v for v in verdicts(step(events)) if v.says]
    assert [(v.subject.op, v.subject.buffer) for v in changed] == [("dx", "g")]


def test_an_array_that_shrinks_is_another_one_not_a_change(fake):
    def shrink(state: dict) -> None:
        del state
        source.rows = 2

    source = fake([["load", "dense", shrink, "relu", "dz"]])
    session = Session(source)
    session.start()
    observations = [o for o in session.finish_step() if o.op.name in ("relu", "dz")]
    assert statuses(observations) == {}
    assert [v.checked for v in verdicts(observations)] == [4, 4]


def test_a_pointer_that_is_set_in_time_is_no_error(step):
    kept = {}

    def take(state: dict) -> None:
        kept["g"] = state.pop("g")

    def give(state: dict) -> None:
        state["g"] = kept["g"]

    assert statuses(step([give, *OPS], before=[*OPS, take])) == {}


def test_a_pointer_that_is_null_when_needed_is_an_error(step):
    def take(state: dict) -> None:
        del state["g"]

    with pytest.raises(ProgramError, match=r"small.toml:\d+: the pointer of g is null when dz is"):
        step([("dz", nothing) if o == "dz" else o for o in OPS], before=[*OPS, take])


def test_a_size_of_zero_at_an_op_is_an_error(fake):
    source = fake([OPS])
    session = Session(source)
    session.start()
    source.rows = 0
    with pytest.raises(ProgramError, match=r"small.toml:\d+: index has no elements when load is"):
        list(session.finish_step())


# Chain


def test_in_chain_mode_the_error_of_one_op_is_found_in_all_that_follow(step, correct):
    faulty = ("dense", after(correct["dense"], add("z", 4.0, 2)))
    events = ["load", faulty, *OPS[2:]]
    observations = step(events, modes=(LOCAL, CHAIN))
    assert statuses(observations, LOCAL) == {"dense": "diverged"}
    assert next(iter(statuses(observations, CHAIN))) == "dense"
    assert {"relu", "dense"} <= statuses(observations, CHAIN).keys()


def test_a_correct_step_agrees_in_both_modes(step):
    observations = step(OPS, modes=(LOCAL, CHAIN))
    modes = [v.subject.mode for v in verdicts(observations)]
    assert modes == [LOCAL, CHAIN] * len(OPS)
    assert statuses(observations, LOCAL) == statuses(observations, CHAIN) == {}


def test_chain_mode_alone_yields_chain_verdicts_alone(step):
    observations = step(OPS, modes=(CHAIN,))
    assert {v.subject.mode for v in verdicts(observations)} == {CHAIN}
    assert len(verdicts(observations)) == len(OPS)


def test_the_chain_begins_anew_in_every_step(fake, correct):
    wrong = ("dense", after(correct["dense"], add("z", 4.0, 2)))
    session = Session(fake([["load", wrong, *OPS[2:]], OPS]), (CHAIN,))
    session.start(0)
    assert statuses(list(session.finish_step()), CHAIN) != {}
    assert statuses(list(session.finish_step()), CHAIN) == {}


def test_bounds_grow_along_the_chain(step):
    local = {o.op.name: o for o in step(OPS, modes=(LOCAL,))}
    chain = {
        v.subject.op: v.worst.bound
        for v in verdicts(step(OPS, modes=(CHAIN,)))
        if v.worst is not None
    }
    assert chain["dW"] > local["dW"].expected["dW"].error.min()
    assert chain["update"] > local["update"].expected["W"].error.min()


def test_an_undeclared_change_is_reported_in_chain_mode_too(step, correct):
    faulty = ("relu", after(correct["relu"], add("b", 0.5)))
    observations = step(["load", "dense", faulty, *OPS[3:]], modes=(CHAIN,))
    assert [v.subject.buffer for v in verdicts(observations) if v.says] == ["b"]


# Formats


@pytest.mark.parametrize(("dtype", "bound"), [("f32", 1e-8), ("f64", 1e-17)])
def test_an_op_is_judged_in_the_format_of_its_buffers(fake, dtype: str, bound: float):
    source = fake([OPS])
    text = source.text.replace('"f32"', f'"{dtype}"')
    observations = list(Session(fake([OPS], text)).finish_step())
    assert statuses(observations) == {}
    errors = [o.expected[b].error.max() for o in observations for b in o.expected if b != "x"]
    assert bound < max(errors) < 1e4 * bound


# Misuse


def test_a_capture_of_another_step_is_refused(fake):
    source = fake([OPS, OPS])
    ledger = StepLedger(source.layer_map, source.start(0), source.constant, (LOCAL,))
    source.start(1)
    capture = source.next()
    assert capture is not None
    with pytest.raises(ValueError, match="a capture of step 1 is not of this step"):
        ledger.see(capture)


def test_a_capture_of_no_op_is_refused(fake):
    source = fake([OPS])
    begin = source.start(0)
    ledger = StepLedger(source.layer_map, begin, source.constant, (LOCAL,))
    with pytest.raises(ValueError, match="not of this step"):
        ledger.see(begin)


def test_the_ledger_reads_constants_where_it_is_told_to(fake):
    source = fake([OPS])
    begin = source.start(0)
    asked = []

    def constant(buffer):
        asked.append(buffer.name)
        return source.constant(buffer)

    ledger = StepLedger(source.layer_map, begin, constant, (LOCAL,))
    capture = source.next()
    assert capture is not None
    assert statuses(ledger.see(capture)) == {}
    assert asked == ["table"]
