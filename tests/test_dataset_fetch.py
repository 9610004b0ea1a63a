"""Downloads, from real HTTP servers on this machine that behave well and badly."""

from __future__ import annotations

import gzip
import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from nndbg.dataset import MNIST, IdxFile, Limits, Progress, Recipe, prepare
from nndbg.dataset.fetch import FetchError, fetch
from nndbg.dataset.idx import format_idx
from nndbg.errors import UsageError

REAL = Path(__file__).resolve().parents[2] / "shared" / "mnist"
QUICK = Limits(answer=5, read=5, file=20)

NAMES = tuple(file.name for file in MNIST)
ARRAYS = {
    name: np.random.default_rng(len(name)).integers(0, 256, (900,) * (k % 2) or (5, 28, 28), "u1")
    for k, name in enumerate(NAMES)
}
CONTENTS = {name: format_idx(array) for name, array in ARRAYS.items()}
PACKED = {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in CONTENTS.items()}
FILES = tuple(
    IdxFile(name, ARRAYS[name].shape, hashlib.sha256(CONTENTS[name]).hexdigest()) for name in NAMES
)
FIRST = FILES[:1]
FIRST_GZ = PACKED[f"{NAMES[0]}.gz"]


@dataclass
class Mirror:
    """A server and how it behaves."""

    contents: dict[str, bytes] = field(default_factory=lambda: dict(PACKED))
    ranges: bool = True
    sized: bool = True  # sends a Content-Length
    sends: int | None = None  # breaks each answer off after so many bytes
    stalls: bool = False  # and then says nothing more, instead of closing
    asked: list[tuple[str, str]] = field(default_factory=list)  # names and ranges
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)


def answer(mirror: Mirror) -> type[BaseHTTPRequestHandler]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, wanted = self.path.rsplit("/", 1)[-1], self.headers.get("Range", "")
            mirror.asked.append((name, wanted))
            data = mirror.contents.get(name)
            if data is None:
                self.send_error(404)
                return
            start = int(re.sub(r"\D", "", wanted) or 0) if mirror.ranges else 0
            if start and start >= len(data):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            if mirror.sized:
                self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start:][: mirror.sends])
            if mirror.stalls:
                mirror.over.wait(30)

        def log_message(self, *_: object) -> None:
            pass

    return Answer


class Mirrors:
    """Starts servers and stops them all."""

    def __init__(self) -> None:
        self.running: list[tuple[Mirror, ThreadingHTTPServer]] = []

    def __call__(self, mirror: Mirror) -> Mirror:
        server = ThreadingHTTPServer(("127.0.0.1", 0), answer(mirror))
        server.daemon_threads = True
        mirror.url = f"http://127.0.0.1:{server.server_port}/mnist/"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.running.append((mirror, server))
        return mirror

    def stop(self) -> None:
        for mirror, server in self.running:
            mirror.over.set()
            server.shutdown()
            server.server_close()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrors]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    mirrors = Mirrors()
    yield mirrors
    mirrors.stop()


@pytest.fixture
def refusing() -> str:
    """The address of a mirror where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/"


def part(directory: Path) -> Path:
    return directory / f"{NAMES[0]}.gz.part"


def test_all_files_are_downloaded_unpacked_and_nothing_else_stays(
    tmp_path: Path, start: Mirrors
) -> None:
    mirror, heard = start(Mirror()), list[Progress]()
    dataset = prepare(
        tmp_path, mirrors=(mirror.url,), limits=QUICK, files=FILES, progress=heard.append
    )
    assert (dataset.kind, dataset.came, dataset.why) == ("mnist", "downloaded", "")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == CONTENTS
    assert mirror.asked == [(name, "") for name in PACKED]
    assert {step.task: step.done for step in heard} == {k: len(v) for k, v in PACKED.items()}
    assert all(step.done <= (step.total or 0) and step.unit == "bytes" for step in heard)


def test_a_download_goes_on_where_an_earlier_one_broke(tmp_path: Path, start: Mirrors) -> None:
    mirror = start(Mirror())
    part(tmp_path).write_bytes(FIRST_GZ[:1000])
    heard: list[Progress] = []
    assert fetch(tmp_path, FIRST, [mirror.url], QUICK, heard.append) == {
        FIRST[0]: CONTENTS[NAMES[0]]
    }
    assert mirror.asked == [(f"{NAMES[0]}.gz", "bytes=1000-")]
    assert heard[-1].done == heard[-1].total == len(FIRST_GZ)


def test_a_connection_that_breaks_is_taken_up_again(tmp_path: Path, start: Mirrors) -> None:
    mirror = start(Mirror(sends=len(FIRST_GZ) // 3))
    assert fetch(tmp_path, FIRST, [mirror.url], QUICK)[FIRST[0]] == CONTENTS[NAMES[0]]
    third = len(FIRST_GZ) // 3
    assert [wanted for _, wanted in mirror.asked][:3] == [
        "",
        f"bytes={third}-",
        f"bytes={2 * third}-",
    ]


def test_a_server_that_ignores_the_range_starts_the_file_again(
    tmp_path: Path, start: Mirrors
) -> None:
    mirror = start(Mirror(ranges=False))
    part(tmp_path).write_bytes(FIRST_GZ[:1000])
    assert fetch(tmp_path, FIRST, [mirror.url], QUICK)[FIRST[0]] == CONTENTS[NAMES[0]]
    assert len(mirror.asked) == 1


def test_a_part_that_is_already_whole_is_used(tmp_path: Path, start: Mirrors) -> None:
    mirror = start(Mirror())
    part(tmp_path).write_bytes(FIRST_GZ)
    assert fetch(tmp_path, FIRST, [mirror.url], QUICK)[FIRST[0]] == CONTENTS[NAMES[0]]
    assert len(mirror.asked) == 1


@pytest.mark.parametrize(
    "kept", [b"something else", bytes(len(FIRST_GZ)), bytes(2 * len(FIRST_GZ))]
)
def test_a_part_of_something_else_is_thrown_away(
    tmp_path: Path, start: Mirrors, kept: bytes
) -> None:
    mirror = start(Mirror())
    part(tmp_path).write_bytes(kept)
    assert fetch(tmp_path, FIRST, [mirror.url], QUICK)[FIRST[0]] == CONTENTS[NAMES[0]]
    assert [wanted for _, wanted in mirror.asked] == [f"bytes={len(kept)}-", ""]


def test_an_answer_without_a_length_is_read_to_its_end(tmp_path: Path, start: Mirrors) -> None:
    mirror = start(Mirror(sized=False))
    heard: list[Progress] = []
    assert fetch(tmp_path, FIRST, [mirror.url], QUICK, heard.append)
    assert heard[-1].total is None


OTHER = gzip.compress(format_idx(np.zeros_like(ARRAYS[NAMES[0]])), mtime=0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (Mirror({}), "answered 404 Not Found"),
        (Mirror({f"{NAMES[0]}.gz": b"<html>log in</html>"}), "wrong file: .*not an IDX file"),
        (Mirror({f"{NAMES[0]}.gz": OTHER}), "sent a wrong file: .* SHA-256 is .* wanted"),
        (Mirror({f"{NAMES[0]}.gz": PACKED[f"{NAMES[1]}.gz"]}), "holds labels, wanted images"),
        (Mirror({f"{NAMES[0]}.gz": FIRST_GZ[:-9]}), "sent a wrong file: .*cut short"),
        (Mirror({f"{NAMES[0]}.gz": bytes(17 << 20)}), "more than 16,777,216 bytes"),
        (Mirror(sends=0), "broke off after 0 of"),
        (Mirror(sends=99, ranges=False), "broke off after 99 of"),
        (Mirror(sends=9), "broke off after 45 of"),
        (Mirror(sends=9, stalls=True), "broke off: .*timed out"),
    ],
)
def test_after_a_mirror_that_fails_the_next_is_asked(
    tmp_path: Path, start: Mirrors, wrong: Mirror, says: str
) -> None:
    limits = Limits(answer=5, read=0.1, file=20) if wrong.stalls else QUICK
    start(wrong)
    with pytest.raises(FetchError, match=says) as caught:
        fetch(tmp_path, FIRST, [wrong.url], limits)
    assert f"{wrong.url}{NAMES[0]}.gz" in str(caught.value)
    right = start(Mirror())
    assert fetch(tmp_path, FIRST, [wrong.url, right.url], limits) == {FIRST[0]: CONTENTS[NAMES[0]]}


def test_a_mirror_that_failed_is_not_asked_for_the_next_file(
    tmp_path: Path, start: Mirrors
) -> None:
    wrong, right = start(Mirror({})), start(Mirror())
    assert len(fetch(tmp_path, FILES, [wrong.url, right.url], QUICK)) == 4
    assert len(wrong.asked) == 1


def test_a_mirror_that_never_answers_is_given_up_in_time(tmp_path: Path, start: Mirrors) -> None:
    right = start(Mirror())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        limits = Limits(answer=0.2, read=5, file=20)
        with pytest.raises(FetchError, match=r"did not answer within 0[.]2 s"):
            fetch(tmp_path, FIRST, [url], limits)
        assert fetch(tmp_path, FIRST, [url, right.url], Limits(answer=2, read=1, file=20))


def test_a_mirror_that_drips_is_given_up_in_time(tmp_path: Path, start: Mirrors) -> None:
    mirror = start(Mirror())
    with pytest.raises(FetchError, match="took more than 0 s"):
        fetch(tmp_path, FIRST, [mirror.url], Limits(answer=5, read=5, file=0))


def test_offline_the_digits_are_drawn_and_every_mirror_is_named(
    tmp_path: Path, refusing: str, start: Mirrors
) -> None:
    wrong = start(Mirror({}))
    mirrors = (refusing, wrong.url, "http://nothing.invalid:x/")
    dataset = prepare(
        tmp_path, mirrors=mirrors, limits=QUICK, files=FILES, recipe=Recipe(train=9, test=9)
    )
    assert dataset.kind == "synthetic"
    assert all(mirror in dataset.why for mirror in mirrors)
    assert "cannot be reached: [Errno 111] Connection refused" in dataset.why


def test_what_arrived_before_the_network_went_is_kept_for_the_next_time(
    tmp_path: Path, start: Mirrors
) -> None:
    mirror = start(Mirror(sends=99))
    recipe = Recipe(train=9, test=9)
    prepare(tmp_path, mirrors=(mirror.url,), limits=QUICK, files=FILES, recipe=recipe)
    assert part(tmp_path).read_bytes() == FIRST_GZ[: 5 * 99]


def test_only_the_files_that_are_missing_are_downloaded(tmp_path: Path, start: Mirrors) -> None:
    mirror = start(Mirror())
    for name in NAMES[:3]:
        (tmp_path / name).write_bytes(CONTENTS[name])
    assert prepare(tmp_path, mirrors=(mirror.url,), limits=QUICK, files=FILES).kind == "mnist"
    assert mirror.asked == [(f"{NAMES[3]}.gz", "")]


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path, start: Mirrors) -> None:
    mirror = start(Mirror())
    part(tmp_path).mkdir()
    with pytest.raises(UsageError, match=r"[.]gz[.]part cannot be written: Is a directory"):
        prepare(tmp_path, mirrors=(mirror.url,), limits=QUICK, files=FILES)


def test_the_real_mnist_is_downloaded_whole(tmp_path: Path, start: Mirrors) -> None:
    if not REAL.is_dir():
        pytest.skip("MNIST is not in ../shared/mnist")
    contents = {path.name: path.read_bytes() for path in REAL.iterdir()}
    mirror = start(Mirror(contents))
    assert prepare(tmp_path, mirrors=(mirror.url,)).came == "downloaded"
    assert prepare(tmp_path).came == "present"
