"""What the trainer's tests share: running it."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run(program: Path) -> Run:
    def run(
        *args: str | os.PathLike[str], cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *args], cwd=cwd, capture_output=True, text=True, timeout=100, check=False
        )

    return run


@pytest.fixture(params=["sse2", "avx2", "avx512"])
def isa(request: pytest.FixtureRequest, run: Run, tiny: Path) -> str:
    """Each instruction set for which this machine can run the kernels."""
    asked = run("--data", tiny, "--epochs", "1", "--isa", request.param)
    if "this machine has no" in asked.stderr:
        pytest.skip(asked.stderr)
    return request.param
