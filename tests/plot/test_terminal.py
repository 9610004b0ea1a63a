"""The run on a terminal: fits its width, reads without colour, and shows what was measured."""

from __future__ import annotations

import re
from io import StringIO

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from nndbg.plot.metrics import Metrics, read_metrics
from nndbg.plot.terminal import render_terminal

from .conftest import START, Write, epoch, graded, step, whole_run


def told(run: Metrics, images: np.ndarray | None, width: int = 80, **more) -> str:
    screen = StringIO()
    console = Console(file=screen, width=width, highlight=False, **more)
    render_terminal(run, images, console)
    return screen.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 110, 120, 160, 400])
def test_no_line_is_wider_than_the_terminal(run: Metrics, images: np.ndarray, width: int):
    lines = told(run, images, width).split("\n")
    assert max(map(cell_len, lines)) <= min(width, 160)


def test_the_headline_says_what_came_of_it(run: Metrics):
    text = told(run, None)
    assert "Training run  " in text
    assert "epochs 3 · learning_rate 0.01 · shuffle yes" in text
    assert "82.00% of 1,000 test samples right · test loss 0.3 · training loss 0.3333" in text
    assert "600 steps · 6.0 s" in text


def test_settings_break_between_each_other_only(write: Write):
    start = START | {f"name_{n}": f"a value {n}" for n in range(9)}
    text = told(read_metrics(write(start, step(0))), None)
    assert all(f"name_{n} a value {n}" in text for n in range(9))


def test_wide_terminals_have_the_charts_side_by_side(run: Metrics):
    assert not re.search("Loss.*Test accuracy", told(run, None, 109))
    assert re.search("Loss.*Test accuracy", told(run, None, 110))


def test_every_epoch_has_its_mark(run: Metrics):
    loss, accuracy = told(run, None).split("Test accuracy")
    assert loss.count("●") - 1 == 3
    assert accuracy.count("●") == 3
    assert "last 93.00%, best 93.00% in epoch 3" in accuracy


def test_the_confusion_matrix_is_in_numbers(run: Metrics):
    (row,) = re.findall(r"^ +3 .*82.*$", told(run, None), re.MULTILINE)
    assert re.findall(r"\d+", row)[:11] == ["3", "2", "2", "2", "82", *["2"] * 6]
    assert "18.0%" in row


def test_without_colour_shades_are_characters(run: Metrics, images: np.ndarray):
    text = told(run, images, color_system=None)
    assert "\x1b" not in text
    assert "█82 " in text
    assert "░" in text or "▒" in text
    assert re.search("[⠁-⣿]{3}", text.split("Samples")[1])


def test_no_color_is_obeyed_on_a_terminal(run: Metrics, images: np.ndarray):
    text = told(run, images, force_terminal=True, color_system="truecolor", no_color=True)
    assert not re.search(r"\x1b\[[0-9;]*[34]8;", text)
    assert "█82 " in text


def test_colours_shade_cells_and_digits(run: Metrics, images: np.ndarray):
    text = told(run, images, force_terminal=True, color_system="truecolor")
    assert re.search(r"\x1b\[[0-9;]*48;2;", text)
    assert "▀" in text.split("Samples")[1]
    assert "█82 " not in text


@pytest.mark.parametrize("system", ["standard", "256", "truecolor"])
def test_every_colour_system_has_its_numbers(run: Metrics, images: np.ndarray, system):
    text = told(run, images, force_terminal=True, color_system=system)
    assert re.sub(r"\x1b\[[0-9;]*m", "", text).count("82 ") >= 10


def test_wrong_samples_are_told_from_right_ones(run: Metrics, images: np.ndarray):
    samples = told(run, images).split("Samples")[1]
    assert "✗ 0 as 1  75%" in samples
    assert "✓ 1  75%" in samples


def test_samples_without_images_are_left_out_and_said(run: Metrics):
    assert "left out: there are no test images" in told(run, None)


def test_digits_keep_their_shape_without_colour(write: Write):
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, :, 12:16] = 255
    only = graded(samples=[{"index": 0, "label": 1, "predicted": 1, "p": 1}])
    text = told(read_metrics(write(only)), image).split("Samples")[1]
    assert [line.rstrip() for line in text.split("\n")[1:8]] == [" " * 6 + "⣿⣿"] * 7


def test_a_run_without_a_test_says_so(write: Write):
    assert "There is no test" in told(read_metrics(write(START, step(0))), None)


def test_a_loss_that_is_not_a_number_is_told(write: Write):
    run = read_metrics(write(START, step(0), step(1, "nan"), step(2, "nan"), epoch(1, "nan")))
    assert "✗ The loss is nan first in step 1, epoch 1." in told(run, None)


@pytest.mark.parametrize(
    "events",
    [
        [step(0)],
        [step(0, "nan")],
        [step(0, 0.0), step(1, 0.0)],
        [step(n, 10.0 ** (n * 20 - 300)) for n in range(30)],
        [step(0, -5.0), step(1, -1e300)],
        [epoch(1)],
        [epoch(1, "inf", 0.0)],
        [epoch(n, 0.5, 1.0) for n in range(200)],
        [graded()],
        [graded(1)],
        [graded(40)],
        [graded(confusion=[], samples=[])],
        [graded(2, confusion=[[0, 0], [0, 0]])],
        [graded(2, confusion=[[2**53 - 1, 1], [0, 5]])],
        [graded(samples=[{"index": 0, "label": 1, "predicted": 2, "p": "nan"}])],
    ],
)
@pytest.mark.parametrize("width", [60, 80, 120])
def test_odd_runs_are_drawn_too(write: Write, images: np.ndarray, events, width: int):
    lines = told(read_metrics(write(*events)), images, width).split("\n")
    assert max(map(cell_len, lines)) <= width


def test_more_classes_than_fit_are_said(write: Write):
    assert "40 classes need" in told(read_metrics(write(graded(40))), None)


@pytest.mark.parametrize("mark", ["[red]x[/red]", "[/]", ":warning:"])
def test_no_text_is_taken_for_markup(write: Write, mark: str):
    run = read_metrics(write(START | {"note": mark}, step(0)))
    assert mark in told(Metrics(mark, run.settings, run.steps), None).split("\n")[0]
    assert mark in told(run, None)


def test_no_text_steers_the_terminal(write: Write):
    run = read_metrics(write(START | {"note": "\x1b[2J", "\x1b]0;t\x07": 1}, step(0)))
    assert "\x1b" not in told(run, None)


def test_many_steps_are_drawn_quickly(write: Write):
    run = read_metrics(write(*whole_run(10, 1000)))
    assert "means of 69 steps" in told(run, None)
