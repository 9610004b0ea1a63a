"""Files that nobody vouches for: each is refused in one line, whatever is wrong with it."""

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest

from nndbg.errors import UsageError
from nndbg.hunt import check_steps
from nndbg.recording import RecordedSource, Recorder, Tee
from nndbg.session import Session
from tests.conftest import IN_ORDER, FakeSource

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "good.nndbg"
    session = Session(FakeSource([IN_ORDER] * 2))
    with (
        session,
        Recorder(path, session.layer_map, None) as recorder,
        session.tapped(lambda source: Tee(source, recorder)),
    ):
        check_steps(session, range(1), sweep=False)
    return path


def walk(path: Path) -> None:
    """Look at all that is in a recording."""
    with Session(RecordedSource(path)) as session:
        session.start(0)
        for observation in session.finish_step():
            assert observation.verdicts
            for stretch in observation.capture.memory.values():
                assert len(stretch)


def altered(good: Path, path: Path, change: Callable[[Members], None]) -> Path:
    """A copy of a recording with its files changed."""
    with ZipFile(good) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def in_json(name: str, **values: object) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        members[name] = json.dumps({**json.loads(members[name]), **values}).encode()

    return change


def in_stop(at: int, values: dict | Callable[[dict], dict]) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        step = json.loads(members["steps/0.json"])
        stop = step["stops"][at]
        stop.update(values(stop) if callable(values) else values)
        members["steps/0.json"] = json.dumps(step).encode()

    return change


def in_array(flat: np.ndarray, **how: bool) -> Callable[[Members], None]:
    """Put another array in the place of every buffer's."""

    def change(members: Members) -> None:
        file = io.BytesIO()
        np.save(file, flat, **how)
        members.update({n: file.getvalue() for n in members if n.startswith("arrays/")})

    return change


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was loaded",))


def claim(count: int) -> Callable[[Members], None]:
    """Arrays whose headers claim more than is there."""

    def change(members: Members) -> None:
        for name in members:
            if name.startswith("arrays/"):
                file = io.BytesIO()
                np.save(file, np.zeros(3, "<f4"))
                members[name] = file.getvalue().replace(b"(3,)", f"({count},)".encode())

    return change


def test_a_recording_as_it_was_made_is_read(good):
    walk(good)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_one_that_was_cut_short_says_so(good, tmp_path, share):
    data = good.read_bytes()
    path = tmp_path / "cut"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UsageError, match=r"was cut short. Copy it again."):
        RecordedSource(path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x7fELF", b"{}", b"nndbg-recording"])
def test_another_file_is_no_recording(tmp_path, data):
    path = tmp_path / "other"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"no recording of nndbg|cut short"):
        RecordedSource(path)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        RecordedSource(tmp_path / "none")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        RecordedSource(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.pop("recording.json"), "no recording of nndbg"),
        (in_json("recording.json", format="other"), "no recording of nndbg"),
        (in_json("recording.json", version=2), "of version 2, and this nndbg reads version 1"),
        (in_json("recording.json", steps=[]), "its steps are not in order"),
        (in_json("recording.json", steps=[0, 0]), "its steps are not in order"),
        (in_json("recording.json", steps="all"), "Header.steps is str, not list"),
        (in_json("recording.json", steps=[0, 7]), ""),
        (in_json("recording.json", program="/bin/true"), "it has no program"),
        (in_json("recording.json", sources={"../../a": 99}, program="x"), "it has no sources/99"),
        (in_json("recording.json", constants={}), "table was not read"),
        (in_json("recording.json", constants={"table": 99}), "array 99 is damaged"),
        (lambda m: m.pop("map.toml"), "it has no map.toml"),
        (lambda m: m.update({"map.toml": b"\xff"}), "map.toml is no text"),
        (lambda m: m.update({"map.toml": b"[program]"}), "its layer map is wrong"),
        (lambda m: m.pop("steps/0.json"), "it has no steps/0.json"),
        (lambda m: m.update({"steps/0.json": b"[" * 100000}), "steps/0.json"),
        (lambda m: m.update({"steps/0.json": b"null"}), "steps/0.json: RecordedStep is nothing"),
        (in_json("steps/0.json", stops=[]), "its step 0 has no beginning"),
        (in_stop(1, {"op": "other"}), "has an op that its map has not"),
        (in_stop(1, {"op": None}), "the stops of step 0 are in no order"),
        (in_stop(1, {"step": 3}), "the stops of step 0 are in no order"),
        (in_stop(0, {"sizes": {}}), "the size n is -1"),
        (in_stop(0, {"sizes": {"n": 5, "i": 3, "o": 2}}), "the size n is 5"),
        (in_stop(0, {"addresses": {}}), "x has no address"),
        (in_stop(0, {"flat": {}}), "index is missing"),
        (in_stop(0, {"flat": {"x": "0"}}), "flat.x is str, not int"),
        (
            in_stop(0, lambda stop: {"padding": {"x": stop["flat"]["x"]}}),
            "what lies behind x is no padding",
        ),
        (in_stop(0, {"memory": {"4096": [99]}}), ""),
        (lambda m: [m.pop(n) for n in [*m] if n.startswith("arrays/")], "is damaged"),
        (in_array(np.zeros(3, "<f4")), "elements of"),
        (in_array(np.zeros(100, "<f8")), "elements of float64"),
        (in_array(np.zeros((10, 10), "<f4")), "in 2 dimensions"),
        (in_array(np.array([Evil()], object), allow_pickle=True), "is damaged"),
        (in_array(np.zeros(1 << 21, "<f4")), "more than the map's buffers can have"),
        (claim(10**6), "is damaged"),
        (claim(-1), "elements of|is damaged"),
        (lambda m: m.update({n: pickle.dumps(1) for n in m if "arrays/" in n}), "is damaged"),
    ],
)
def test_what_is_wrong_in_it_is_said_in_one_line(good, tmp_path, change, says):
    path = altered(good, tmp_path / "altered", change)
    if not says:
        # Nothing that this step needs.
        walk_or_refuse(path)
        return
    with pytest.raises(UsageError, match=says) as refusal:
        walk(path)
    assert "\n" not in str(refusal.value)


def walk_or_refuse(path: Path) -> None:
    try:
        walk(path)
    except UsageError as refusal:
        assert "damaged" in str(refusal)


def test_a_byte_that_was_changed_is_noticed_or_does_not_matter(good, tmp_path):
    data = bytearray(good.read_bytes())
    noticed = 0
    for at in range(0, len(data), max(1, len(data) // 60)):
        spoilt = data.copy()
        spoilt[at] ^= 0x41
        path = tmp_path / "spoilt"
        path.write_bytes(spoilt)
        try:
            walk(path)
        except UsageError:
            noticed += 1
    assert noticed > 30


def test_the_names_in_a_recording_are_no_paths_to_write_to(good, tmp_path):
    path = altered(good, tmp_path / "named", lambda m: m.update({"../outside": b"x"}))
    walk(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["named"]
