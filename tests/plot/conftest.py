"""Runs made up for the renderers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nndbg.plot.metrics import Metrics, read_metrics

Event = dict[str, Any]
Write = Callable[..., Path]


def step(n: int, loss: float | str = 0.5, epoch: int = 1) -> Event:
    return {"event": "step", "epoch": epoch, "step": n, "loss": loss, "seconds": n / 100}


def epoch(n: int, loss: float | str = 0.4, accuracy: float = 0.9) -> Event:
    return {
        "event": "epoch",
        "epoch": n,
        "loss": loss,
        "test_loss": loss,
        "test_accuracy": accuracy,
        "seconds": 0.5,
    }


def graded(classes: int = 10, **more: Any) -> Event:
    confusion = np.full((classes, classes), 2) + 80 * np.eye(classes, dtype=int)
    samples = [
        {"index": i, "label": i % classes, "predicted": (i + (i % 3 == 0)) % classes, "p": 0.75}
        for i in range(12)
    ]
    accuracy = float(np.trace(confusion) / confusion.sum())
    event = {"event": "test", "loss": 0.3, "accuracy": accuracy, "samples": samples}
    return event | {"confusion": confusion.tolist(), "per_class": [accuracy] * classes} | more


START: Event = {"event": "start", "epochs": 3, "learning_rate": 0.01, "shuffle": True}


def whole_run(epochs: int = 3, per_epoch: int = 200) -> list[Event]:
    events = [START]
    for e in range(1, epochs + 1):
        events += [
            step(n, 2.3 / (1 + n / 50), e) for n in range((e - 1) * per_epoch, e * per_epoch)
        ]
        events.append(epoch(e, 1 / e, 0.9 + e / 100))
    return [*events, graded()]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes events, or lines as they are, into a file of metrics."""

    def write(*events: Event | bytes, end: bytes = b"\n") -> Path:
        lines = [e if isinstance(e, bytes) else json.dumps(e).encode() for e in events]
        path = tmp_path / "run.jsonl"
        path.write_bytes(b"\n".join(lines) + end)
        return path

    return write


@pytest.fixture
def run(write: Write) -> Metrics:
    return read_metrics(write(*whole_run()))


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Twenty images, each with a bright square that no other has in its place."""
    made = np.zeros((20, 28, 28), np.uint8)
    for n in range(20):
        made[n, 4 + n // 2 : 12 + n // 2, 6:20] = 255
    return made
