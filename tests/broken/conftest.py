"""The data on which changed trainers run: MNIST where it is at hand, else digits that we draw."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nndbg.dataset import Recipe, prepare

from .build import ROOT


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a data set of which the first hundred samples are used."""
    directory = tmp_path_factory.mktemp("data")
    mnist = ROOT.parent / "shared" / "mnist"
    if mnist.is_dir():
        prepare(directory, source=mnist)
    else:
        prepare(directory, synthetic=True, recipe=Recipe(train=200, test=100))
    yield directory
    shutil.rmtree(directory)
