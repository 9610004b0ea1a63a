"""Downloads MNIST from its mirrors: resumed, checked, and never waited for without a limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from nndbg.dataset.mnist import MNIST, IdxFile, checked, unpacked
from nndbg.dataset.progress import Listener, Progress, unheard
from nndbg.errors import UsageError

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

_BLOCK = 1 << 16
_TRIES = 5  # of one file on one mirror, each going on where the last one broke
_MOST_PACKED = 16 << 20  # the largest file of MNIST has 9.9 MB
_NETWORK = (OSError, HTTPException, ValueError)


@dataclass(frozen=True)
class Limits:
    """Seconds to wait for a mirror: until it answers, between two reads, and for a whole file."""

    answer: float = 4.0
    read: float = 10.0
    file: float = 600.0


class FetchError(UsageError):
    """No mirror gave the files; the text says what each of them did."""


class _MirrorError(Exception):
    """What a mirror did instead of giving the file."""


class _BrokenOffError(_MirrorError):
    """The mirror gave some of the file; asking again may give the rest."""


def fetch(
    directory: Path,
    files: tuple[IdxFile, ...] = MNIST,
    mirrors: Iterable[str] = MIRRORS,
    limits: Limits = Limits(),
    progress: Listener = unheard,
) -> dict[IdxFile, bytes]:
    """Download and check every file, unpacked. A mirror that fails is not asked again.

    What has arrived stays in `directory` as `NAME.gz.part`, where the next call goes on, until
    `forget` removes it. Raises FetchError when no mirror is left, UsageError when `directory`
    cannot be written.
    """
    left, failures = list(mirrors), list[str]()
    contents: dict[IdxFile, bytes] = {}
    for file in files:
        while file not in contents:
            if not left:
                raise FetchError("; ".join(failures) or "there is no mirror to ask")
            url, part = f"{left[0]}{file.name}.gz", _part(directory, file)
            try:
                directory.mkdir(parents=True, exist_ok=True)
                contents[file] = _fetch_one(url, file, part, limits, progress)
            except _MirrorError as error:
                failures.append(f"{url} {error}")
                left.pop(0)
            except OSError as error:
                raise UsageError(f"{part} cannot be written: {error.strerror or error}.") from error
    return contents


def forget(directory: Path, files: Iterable[IdxFile] = MNIST) -> None:
    """Remove what downloads have left in `directory`."""
    for file in files:
        _part(directory, file).unlink(missing_ok=True)


def _part(directory: Path, file: IdxFile) -> Path:
    return directory / f"{file.name}.gz.part"


def _fetch_one(url: str, file: IdxFile, part: Path, limits: Limits, progress: Listener) -> bytes:
    """The file, unpacked and checked; a resumed download that turns out wrong starts again."""
    deadline = time.monotonic() + limits.file
    failure = ""
    for _ in range(_TRIES):
        before = _size(part)
        try:
            _download(url, part, limits, deadline, progress)
            return checked(unpacked(part), file, "what it sent")
        except _BrokenOffError as error:
            failure = str(error)
            if _size(part) <= before:
                break
        except UsageError as error:
            part.unlink(missing_ok=True)
            failure = f"sent a wrong file: {error}"
            if not before:
                break
    raise _MirrorError(failure)


def _download(url: str, part: Path, limits: Limits, deadline: float, progress: Listener) -> None:
    """Append to `part` what it lacks of `url`; a server that cannot do that fills it anew."""
    have = _size(part)
    headers = {"User-Agent": "nndbg"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = _answer(Request(url, headers=headers), limits)
    except HTTPError as error:
        with error:
            if have and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # there is no more of it
            raise _MirrorError(f"answered {error.code} {error.reason}") from error
    except _NETWORK as error:
        raise _MirrorError(f"cannot be reached: {getattr(error, 'reason', error)}") from error

    with response:
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            have = 0
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else None
        with part.open("ab" if have else "wb") as out:
            for block in _blocks(response):
                have += out.write(block)
                progress(Progress(part.stem, have, total, "bytes"))
                if have > _MOST_PACKED:
                    raise UsageError(f"it has more than {_MOST_PACKED:,} bytes.")
                if time.monotonic() > deadline:
                    raise _MirrorError(f"took more than {limits.file:g} s")
    if total is not None and have < total:
        raise _BrokenOffError(f"broke off after {have:,} of {total:,} bytes")


def _blocks(response: Any) -> Iterator[bytes]:
    try:
        while block := response.read1(_BLOCK):
            yield block
    except _NETWORK as error:
        raise _BrokenOffError(f"broke off: {error}") from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _answer(request: Request, limits: Limits) -> Any:
    """Open `request`, in a thread because no time limit of a socket covers looking up a name."""
    answer: Future[Any] = Future()

    def ask() -> None:
        response, failure = None, None
        try:
            response = urlopen(request, timeout=limits.read)
        except _NETWORK as error:
            failure = error
        if not answer.set_running_or_notify_cancel():
            if response is not None:
                response.close()
        elif failure is not None:
            answer.set_exception(failure)
        else:
            answer.set_result(response)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.result(limits.answer)
    except TimeoutError:
        if answer.cancel():
            raise _MirrorError(f"did not answer within {limits.answer:g} s") from None
        return answer.result()
