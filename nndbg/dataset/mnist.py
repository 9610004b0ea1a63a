"""The four files of MNIST: their names, shapes and SHA-256, and how a copy is checked."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

from nndbg.dataset.idx import parse_idx, read_bytes
from nndbg.errors import UsageError


@dataclass(frozen=True)
class IdxFile:
    """A file of a data set: its unpacked name, the shape of its array, the SHA-256 of its bytes."""

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def content(self) -> str:
        """`images` or `labels`."""
        return "labels" if len(self.shape) == 1 else "images"


MNIST = (
    IdxFile(
        "train-images-idx3-ubyte",
        (60_000, 28, 28),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    IdxFile(
        "train-labels-idx1-ubyte",
        (60_000,),
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    IdxFile(
        "t10k-images-idx3-ubyte",
        (10_000, 28, 28),
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    IdxFile(
        "t10k-labels-idx1-ubyte",
        (10_000,),
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)

# No file of MNIST is larger, so nothing is read or unpacked beyond it.
_LARGEST = 16 + 60_000 * 28 * 28


def collect(source: Path, files: tuple[IdxFile, ...] = MNIST) -> dict[IdxFile, bytes]:
    """Find every file in `source`, plain or gzipped, spelt with a dash or a dot, and check it.

    Raises UsageError for a file that is missing, broken, mislabelled or not MNIST's.
    """
    found = {file: _locate(source, file) for file in files}
    return {file: checked(unpacked(path), file, path) for file, path in found.items()}


def _locate(source: Path, file: IdxFile) -> Path:
    dotted = file.name.replace("-idx", ".idx")
    names = [file.name, dotted, f"{file.name}.gz", f"{dotted}.gz"]
    for name in names:
        if (source / name).is_file():
            return source / name
    what = f"has no {file.name}" if source.is_dir() else "is not a directory"
    raise UsageError(f"{source} {what}; wanted one of {', '.join(names)} there.")


def unpacked(path: Path) -> bytes:
    """The bytes of an IDX file, plain or gzipped, told apart by their first two.

    Raises UsageError when it cannot be read or unpacked, or is larger than any file of MNIST.
    """
    data = read_bytes(path, _LARGEST + 1)
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(_LARGEST + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UsageError(
                f"{path} does not unpack: {error}. It is cut short or damaged; get it again."
            ) from error
    if len(data) > _LARGEST:
        raise UsageError(f"{path} holds more than {_LARGEST:,} bytes; no file of MNIST does.")
    return data


def checked(data: bytes, file: IdxFile, where: Path | str) -> bytes:
    """`data` if it is exactly `file`; `where` it is from is for the words of the error.

    Raises UsageError that says what it is instead: not IDX, the other kind, another size, another
    data set.
    """
    found = hashlib.sha256(data).hexdigest()
    if found == file.sha256:
        return data
    shape = parse_idx(data, where).shape
    if len(shape) != len(file.shape):
        kind = {1: "labels", 3: "images"}.get(len(shape), f"{len(shape)} dimensions")
        raise UsageError(f"{where} holds {kind}, wanted {file.content}. Is it misnamed?")
    if shape != file.shape:
        raise UsageError(f"{where} holds {list(shape)}, wanted {list(file.shape)}. Is it misnamed?")
    raise UsageError(
        f"{where} is an IDX file like MNIST's but not MNIST's (Fashion-MNIST and others look the "
        f"same): its SHA-256 is {found}, wanted {file.sha256}."
    )
