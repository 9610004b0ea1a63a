"""The page: one file that needs nothing else, in which nothing that we did not write is markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from nndbg.plot import render_html
from nndbg.plot.metrics import Metrics, read_metrics

from .conftest import START, Write, epoch, graded, step

pytest.importorskip("jinja2", reason="Jinja2 is not installed")

VOID = {"meta", "img", "line", "path", "rect", "circle"}


class Outline(HTMLParser):
    """Checks that elements nest, and gathers them with their attributes and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data

    def all(self, tag: str, kind: str = "") -> list[dict[str, str | None]]:
        return [a for t, a in self.elements if t == tag and kind in (a.get("class") or "")]


def test_the_page_needs_nothing_else(run: Metrics, images: np.ndarray):
    page = render_html(run, images)
    outline = Outline(page)
    assert page.startswith("<!DOCTYPE html>")
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in outline.elements}
    for _, attributes in outline.elements:
        for name in ("src", "href", "xlink:href", "action"):
            assert (attributes.get(name) or "data:").startswith("data:")
        assert not any(name.startswith("on") for name in attributes)
    assert "url(" not in page
    assert "http:" not in page
    assert "https:" not in page
    assert "default-src 'none'" in page


def test_the_page_has_a_light_and_a_dark_dress(run: Metrics):
    assert "@media (prefers-color-scheme: dark)" in render_html(run, None)


def test_the_page_says_what_was_measured(run: Metrics, images: np.ndarray):
    text = " ".join(Outline(render_html(run, images)).text.split())
    assert "Training run" in text
    assert "learning_rate 0.01" in text
    assert "test accuracy82.00%of 1,000 samples" in text
    assert "range and means of 8 steps" in text
    assert "3 taken for 4: 2 of 100, 2.0%" in text
    assert "3 right: 82 of 100, 82.0%" in text
    assert "18.0%18 of 100" in text
    assert "epoch 3: 93.00%" in text
    assert "✗ 0 as 1" in text
    assert "✓ 1" in text


def test_every_count_has_its_cell_and_every_sample_its_picture(run: Metrics, images: np.ndarray):
    outline = Outline(render_html(run, images))
    assert len(outline.all("rect", "cell")) == 100
    assert len(outline.all("rect", "bar")) == 10
    assert len(outline.all("img")) == 12
    assert all(re.match("data:image/png;base64,", a["src"] or "") for a in outline.all("img"))


def test_deeper_cells_have_larger_shares(run: Metrics):
    cells = Outline(render_html(run, None)).all("rect", "cell")
    depths = np.array([float(a["fill-opacity"] or 0) for a in cells]).reshape(10, 10)
    assert (np.diag(depths) > 0.9).all()
    assert (depths[~np.eye(10, dtype=bool)] < 0.3).all()


def test_samples_without_images_are_left_out_and_said(run: Metrics):
    outline = Outline(render_html(run, None))
    assert not outline.all("img")
    assert "left out: there are no test images" in outline.text


def test_everything_drawn_lies_within_its_picture(run: Metrics):
    outline = Outline(render_html(run, None))
    for attributes in outline.all("path", "line train") + outline.all("path", "band"):
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", attributes["d"] or "")]
        assert all(0 <= x <= 480 for x in numbers[::2])
        assert all(0 <= y <= 270 for y in numbers[1::2])


@pytest.mark.parametrize(
    "mark", ["<script>alert(1)</script>", '"><img src=x onerror=y>', "{{ 7 }}"]
)
def test_no_text_is_taken_for_markup(write: Write, mark: str):
    run = read_metrics(write(START | {mark: mark}, step(0)))
    page = render_html(Metrics(mark, run.settings, run.steps), None)
    outline = Outline(page)
    assert not outline.all("script")
    assert not outline.all("img")
    assert outline.text.count(mark) == 4  # the title, the heading, a name and its value


def test_hidden_characters_are_written_out(write: Write):
    page = render_html(read_metrics(write(START | {"note": "a\u202eb\x00"}, step(0))), None)
    assert "a\\u202eb\\x00" in page


@pytest.mark.parametrize(
    "events",
    [
        [step(0)],
        [step(0, "nan"), step(1, "inf")],
        [step(0, 0.0), step(1, 0.0)],
        [step(n, 10.0 ** (n * 20 - 300)) for n in range(30)],
        [step(n, 1.0 if n % 3 else "nan") for n in range(1000)],
        [epoch(1)],
        [epoch(n, 0.5, 1.0) for n in range(200)],
        [graded()],
        [graded(1)],
        [graded(64)],
        [graded(confusion=[], samples=[])],
        [graded(2, confusion=[[0, 0], [0, 0]])],
        [graded(samples=[{"index": 0, "label": 1, "predicted": 2, "p": "nan"}])],
    ],
)
def test_odd_runs_are_drawn_too(write: Write, images: np.ndarray, events):
    outline = Outline(render_html(read_metrics(write(*events)), images))
    for _, attributes in outline.elements:
        assert not any("nan" in (value or "") for value in attributes.values() if value != "mean")


def test_a_loss_that_is_not_a_number_is_told(write: Write):
    outline = Outline(render_html(read_metrics(write(step(0), step(1, "nan"))), None))
    assert "The loss is nan first in step 1" in outline.text
    assert "No test" in outline.text


def test_a_long_run_makes_no_long_page(write: Write):
    short = render_html(read_metrics(write(*[step(n, 1 + n % 7) for n in range(3_000)])), None)
    long = render_html(read_metrics(write(*[step(n, 1 + n % 7) for n in range(30_000)])), None)
    assert len(long) < len(short) + 2000
