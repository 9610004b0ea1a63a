"""Reads the metrics that a trainer writes while it trains: one JSON object a line.

The events are `start` with the settings, `step` and `epoch` with their losses, and `test` with the
confusion matrix and some samples. A loss that JSON has no number for is the string "nan", "inf" or
"-inf". Events and keys that are not known here are passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from nndbg.errors import UsageError
from nndbg.text import printable

Setting = str | int | float | bool

# A damaged file must not decide how much we hold.
LONGEST_LINE = 1 << 20
MOST_STEPS = 2_000_000
MOST_CLASSES = 64
_LONGEST_SHOWN = 60

_NOT_NUMBERS = ("nan", "inf", "-inf")
_EVENT = re.compile(rb'\{\s*"event"\s*:')


@dataclass(frozen=True, slots=True)
class Step:
    """One step of training; `seconds` are those of training so far, as everywhere here.

    `at` counts the steps of the whole run, also where `step` restarts.
    """

    at: int
    epoch: int
    step: int
    loss: float
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch; `loss` is its mean. `at` is its last step, None where no step was written."""

    at: int | None
    epoch: int
    loss: float
    test_loss: float | None = None
    test_accuracy: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A test sample, its label, what it was taken for and the probability given to that."""

    index: int
    label: int
    predicted: int
    p: float

    @property
    def is_right(self) -> bool:
        """Whether it was taken for what it is."""
        return self.predicted == self.label


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The test at the end: `confusion[label][predicted]` counts samples; accuracy is in 0..1."""

    loss: float
    accuracy: float
    confusion: tuple[tuple[int, ...], ...] = ()
    samples: tuple[Sample, ...] = ()

    @property
    def count(self) -> int:
        """How many samples the confusion matrix counts."""
        return sum(map(sum, self.confusion))

    @property
    def labels(self) -> range:
        """The classes of the confusion matrix."""
        return range(len(self.confusion))

    def total(self, label: int) -> int:
        """How many samples of a class there are."""
        return sum(self.confusion[label])

    def share(self, label: int, predicted: int) -> float:
        """The part of a class that was taken for `predicted`; 0 where the class has no sample."""
        return self.confusion[label][predicted] / max(self.total(label), 1)

    def wrong(self, label: int) -> int:
        """How many samples of a class were taken for another."""
        return self.total(label) - self.confusion[label][label]


@dataclass(frozen=True, slots=True)
class Metrics:
    """What one run of training wrote, from its start on."""

    origin: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    epochs: tuple[Epoch, ...] = ()
    test: Evaluation | None = None

    @property
    def seconds(self) -> float | None:
        """How long the run had trained when it last said so."""
        said = [event.seconds for event in self.steps[-1:]]
        said += [event.seconds for event in self.epochs[-1:]]
        return max((seconds for seconds in said if seconds is not None), default=None)

    @property
    def reached(self) -> int:
        """How many steps the run had made when it wrote the last of them."""
        return self.steps[-1].at - self.steps[0].at + 1 if self.steps else 0

    @property
    def every(self) -> int:
        """From one written step to the next: 1 where every step was written, 0 for no rhythm."""
        paces = {later.at - earlier.at for earlier, later in pairwise(self.steps)}
        return paces.pop() if len(paces) == 1 else 0 if paces else 1


def read_metrics(path: Path | str) -> Metrics:
    """Read a file of metrics; where several runs were appended, the last one.

    A last line without its end, left by a run that was killed, is passed over, also when the next
    run went on in the same line. Raises UsageError, `file:line:` first, when a line is not what a
    trainer writes, and when there is nothing to plot.
    """
    path = Path(path)
    run = _Run(str(path))
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                _read_line(run, line, f"{path}:{number}")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not (run.steps or run.epochs or run.test):
        raise UsageError(
            f"{path} holds no step, epoch or test to plot. Did the run end before its first step?"
        )
    return Metrics(run.origin, dict(run.settings), tuple(run.steps), tuple(run.epochs), run.test)


def shown_settings(metrics: Metrics) -> Iterator[tuple[str, str]]:
    """The names and values of the settings as people read them, safe to show and not too long."""
    for name, value in metrics.settings.items():
        if isinstance(value, bool):
            text = "yes" if value else "no"
        else:
            text = f"{value:g}" if isinstance(value, float) else str(value)
        yield _one_line(name), _one_line(text)


@dataclass
class _Run:
    """What has been read of a run so far."""

    origin: str
    settings: dict[str, Setting] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    test: Evaluation | None = None

    def take(self, event: _Event) -> None:
        match event.fields.get("event"):
            case "start":
                self.settings = _settings(event.fields)
                self.steps, self.epochs, self.test = [], [], None
            case "step":
                self.steps.append(self._step(event))
            case "epoch":
                self.epochs.append(self._epoch(event))
            case "test":
                self.test = _test(event)
            case str():
                pass
            case other:
                raise event.error(f"event is {_shown(other)}; wanted the name of an event")

    def _step(self, event: _Event) -> Step:
        if len(self.steps) >= MOST_STEPS:
            raise event.error(f"more than {MOST_STEPS:,} steps; write every tenth, for example")
        step = event.count("step")
        at = step
        if self.steps:
            last = self.steps[-1]
            at = last.at + (step - last.step if step > last.step else 1)
        return Step(
            at, event.count("epoch"), step, event.number("loss"), event.number_if_any("seconds")
        )

    def _epoch(self, event: _Event) -> Epoch:
        return Epoch(
            self.steps[-1].at if self.steps else None,
            event.count("epoch"),
            event.number("loss"),
            event.number_if_any("test_loss"),
            event.share("test_accuracy") if "test_accuracy" in event.fields else None,
            event.number_if_any("seconds"),
        )


@dataclass(frozen=True)
class _Event:
    """A JSON object and the place that errors name."""

    where: str
    fields: Mapping[str, Any]

    def error(self, says: str) -> UsageError:
        return UsageError(f"{self.where}: {says}.")

    def number(self, key: str) -> float:
        value = self.fields.get(key)
        if isinstance(value, str) and value in _NOT_NUMBERS:
            return float(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                pass
        raise self._unfit(key, 'a number, "nan", "inf" or "-inf"')

    def number_if_any(self, key: str) -> float | None:
        return self.number(key) if self.fields.get(key) is not None else None

    def count(self, key: str) -> int:
        value = self.fields.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53:
            return value
        raise self._unfit(key, "a whole number, 0 or more")

    def share(self, key: str) -> float:
        value = self.number(key)
        if not 0 <= value <= 1:
            raise self._unfit(key, "a share between 0 and 1")
        return value

    def objects(self, key: str) -> list[_Event]:
        values = self.fields.get(key, [])
        if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
            raise self._unfit(key, "a list of objects")
        return [_Event(f"{self.where}: {key}[{i}]", value) for i, value in enumerate(values)]

    def _unfit(self, key: str, wanted: str) -> UsageError:
        if key not in self.fields:
            return self.error(f"no {key}; wanted {wanted}")
        return self.error(f"{key} is {_shown(self.fields[key])}; wanted {wanted}")


def _read_line(run: _Run, line: bytes, where: str) -> None:
    if not line.strip():
        return
    if len(line) > LONGEST_LINE:
        raise UsageError(
            f"{where}: longer than {LONGEST_LINE:,} bytes; this is not a metrics file."
        )
    try:
        fields = _parse(line)
    except ValueError as error:
        if not line.endswith(b"\n"):
            return
        starts = [match.start() for match in _EVENT.finditer(line)]
        fields = _parse_start(line[starts[-1] :]) if starts and starts[-1] else None
        if fields is None:
            raise UsageError(
                f"{where}: not JSON: {error}. A metrics file has one JSON object a line."
            ) from error
    if not isinstance(fields, dict):
        raise UsageError(f"{where}: {_shown(fields)} is not an object with an event.")
    run.take(_Event(where, fields))


def _parse(line: bytes) -> Any:
    """The JSON in `line`. Raises ValueError, of few words, when there is none."""
    try:
        return json.loads(line.decode())
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at column {error.colno}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not UTF-8") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _parse_start(line: bytes) -> Any:
    """The start of a run in `line`, or None."""
    try:
        fields = _parse(line)
    except ValueError:
        return None
    return fields if fields.get("event") == "start" else None


def _settings(fields: Mapping[str, Any]) -> dict[str, Setting]:
    settings: dict[str, Setting] = {}
    for key, value in fields.items():
        if isinstance(value, list) and all(isinstance(item, int) for item in value):
            settings[key] = "-".join(map(str, value))
        elif key != "event" and isinstance(value, str | int | float | bool):
            settings[key] = value
    return settings


def _test(event: _Event) -> Evaluation:
    confusion = _confusion(event)
    samples = tuple(
        Sample(
            sample.count("index"),
            sample.count("label"),
            sample.count("predicted"),
            sample.number("p"),
        )
        for sample in event.objects("samples")
    )
    return Evaluation(event.number("loss"), event.share("accuracy"), confusion, samples)


def _confusion(event: _Event) -> tuple[tuple[int, ...], ...]:
    rows = event.fields.get("confusion", [])
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise event.error(f"confusion is {_shown(rows)}; wanted a list of rows")
    classes = len(rows)
    if classes > MOST_CLASSES:
        raise event.error(f"confusion has {classes} rows; at most {MOST_CLASSES} can be shown")
    for label, row in enumerate(rows):
        if len(row) != classes:
            raise event.error(
                f"confusion has {classes} rows, but row {label} has {len(row)} numbers; wanted "
                "as many"
            )
        for count in row:
            if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 1 << 53:
                raise event.error(f"confusion counts {_shown(count)} in row {label}; wanted counts")
    return tuple(map(tuple, rows))


def _shown(value: Any) -> str:
    return _one_line(json.dumps(value, ensure_ascii=False))


def _one_line(text: str) -> str:
    text = printable(text[:_LONGEST_SHOWN]).replace("\n", " ")
    return text if len(text) < _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"
