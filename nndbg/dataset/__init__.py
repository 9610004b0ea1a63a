"""MNIST on disk: finds it, fetches it, or says plainly that it drew digits in its place."""

from nndbg.dataset.directory import Dataset, prepare
from nndbg.dataset.fetch import MIRRORS, Limits
from nndbg.dataset.idx import read_idx, write_idx
from nndbg.dataset.mnist import MNIST, IdxFile
from nndbg.dataset.progress import Listener, Progress
from nndbg.dataset.synthesise import Recipe

__all__ = [
    "MIRRORS",
    "MNIST",
    "Dataset",
    "IdxFile",
    "Limits",
    "Listener",
    "Progress",
    "Recipe",
    "prepare",
    "read_idx",
    "write_idx",
]
