"""The pictures behind the samples of a test: read, chosen, and packed as PNG."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nndbg.dataset import read_idx
from nndbg.errors import UsageError
from nndbg.plot.metrics import Metrics, Sample

Images = NDArray[np.uint8]

TEST_IMAGES = "t10k-images-idx3-ubyte"

_PNG = b"\x89PNG\r\n\x1a\n"
_GREY = struct.pack("5B", 8, 0, 0, 0, 0)  # 8 bits of grey, nothing interlaced


def read_images(directory: Path | str) -> Images | None:
    """The test images [n, rows, columns] of a data set directory; None where it has none.

    Raises UsageError when the file is there but holds no images.
    """
    path = Path(directory) / TEST_IMAGES
    if not path.exists():
        return None
    images = read_idx(path)
    if images.ndim != 3 or 0 in images.shape:
        raise UsageError(f"{path} holds {list(images.shape)}; wanted images [n, rows, columns].")
    return images


@dataclass(frozen=True)
class Chosen:
    """The samples to show, wrong ones apart, and what to say of those that are not shown."""

    wrong: tuple[Sample, ...]
    right: tuple[Sample, ...]
    says: str


def choose(metrics: Metrics, images: Images | None, most: int) -> Chosen:
    """At most `most` samples that have an image, half of them wrong ones where there are enough."""
    samples = metrics.test.samples if metrics.test else ()
    if not samples:
        return Chosen((), (), "")
    if images is None:
        return Chosen((), (), "The samples are left out: there are no test images to draw.")
    drawable = [sample for sample in samples if sample.index < len(images)]
    wrong = [sample for sample in drawable if not sample.is_right]
    right = [sample for sample in drawable if sample.is_right]
    show_wrong = min(len(wrong), max(most - most // 2, most - len(right)))
    show_right = min(len(right), most - show_wrong)
    says = []
    if absent := len(samples) - len(drawable):
        says.append(f"{absent} of them lie beyond the {len(images):,} test images")
    left = {"wrong": len(wrong) - show_wrong, "right": len(right) - show_right}
    if more := [f"{count} more {name}" for name, count in left.items() if count]:
        says.append(f"{' and '.join(more)} ones are in the metrics")
    return Chosen(tuple(wrong[:show_wrong]), tuple(right[:show_right]), "; ".join(says))


def png(image: Images) -> str:
    """An image [rows, columns] as a `data:` address of a grey PNG.

    Source: W3C, Portable Network Graphics, 3rd edition, sections 5 and 11.2.
    """
    rows, columns = image.shape
    lines = np.zeros((rows, 1 + columns), np.uint8)  # each line begins with its filter: none
    lines[:, 1:] = image
    header = struct.pack(">2I", columns, rows) + _GREY
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")]
    data = _PNG + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def shrink(image: Images, side: int) -> Images:
    """An image made smaller, by means of whole blocks, until it fits `side` by `side` pixels."""
    rows, columns = image.shape
    factor = -(-max(rows, columns) // side)
    padded = np.zeros((-(-rows // factor) * factor, -(-columns // factor) * factor), np.float64)
    padded[:rows, :columns] = image
    blocks = padded.reshape(len(padded) // factor, factor, -1, factor)
    return np.asarray(np.rint(blocks.mean(axis=(1, 3))), np.uint8)
