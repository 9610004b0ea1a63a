"""What all tests share: the trainer, GDB, MNIST, and tiny data sets that can be broken."""

import gzip
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def idx_images(pixels: np.ndarray) -> bytes:
    """An IDX file of pixels [samples, rows, columns]."""
    return struct.pack(">4I", 0x803, *pixels.shape) + pixels.astype(np.uint8).tobytes()


def idx_labels(labels: np.ndarray) -> bytes:
    """An IDX file of labels [samples]."""
    return struct.pack(">2I", 0x801, len(labels)) + labels.astype(np.uint8).tobytes()


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def program(root: Path) -> Path:
    path = root / "mnist"
    if not path.is_file():
        pytest.skip("./mnist is not there: run ./build.sh")
    return path


@pytest.fixture(scope="session")
def gdb() -> str:
    path = shutil.which("gdb")
    if path is None:
        pytest.skip("gdb is not installed")
    return path


@pytest.fixture(scope="session")
def mnist(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MNIST itself, unpacked."""
    source = root.parent / "shared" / "mnist"
    if not all((source / f"{name}.gz").is_file() for name in FILES):
        pytest.skip("MNIST is not in ../shared/mnist")
    directory = tmp_path_factory.mktemp("mnist")
    for name in FILES:
        (directory / name).write_bytes(gzip.decompress((source / f"{name}.gz").read_bytes()))
    return directory


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """150 training and 70 test samples of noise: two full batches and a short one."""
    directory = tmp_path / "tiny"
    directory.mkdir()
    random = np.random.default_rng(7)
    for prefix, samples in (("train", 150), ("t10k", 70)):
        pixels = random.integers(0, 256, (samples, 28, 28))
        labels = random.integers(0, 10, samples)
        (directory / f"{prefix}-images-idx3-ubyte").write_bytes(idx_images(pixels))
        (directory / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_labels(labels))
    return directory
