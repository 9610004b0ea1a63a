"""A trajectory in every format: what it tells, in figures and drawn, whatever the names."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from nndbg.compare import Mode, Status
from nndbg.drift import Departure, Point, Series, Trajectory
from nndbg.report import Report, as_terminal
from nndbg.report.drift import figures, pictures, sentences
from nndbg.report.write import RENDERERS

EVIL = "W\x1b[31m<script>\n|`@x"


def points(count: int, drift: float = 1e-7, bounds: int = 1) -> tuple[Point, ...]:
    """So many steps, of which the first `bounds` have a bound; noise is 1e-7 of a norm of 10."""
    return tuple(
        Point(
            step=step,
            drift=10 * drift * (step + 1),
            floor=1e-6 * (step + 1),
            largest=drift,
            largest_floor=1e-7,
            bound=1e-3 if step < bounds else None,
            size=10.0,
        )
        for step in range(count)
    )


def trajectory(
    departure: Departure | None = None, drift: float = 1e-7, name: str = "W1"
) -> Trajectory:
    weights = Series(name, False, points(5, drift))
    loss = Series("loss", True, points(5, bounds=0))
    return Trajectory(
        series=(loss, weights),
        most=weights.ratio,
        departure=departure,
        turns=3,
        members=4,
        beyond=10.0,
    )


@pytest.fixture
def sound(verdict) -> Report:
    verdicts = (
        verdict(0, mode=Mode.TRAJECTORY),
        verdict(4, mode=Mode.TRAJECTORY, status=Status.UNCHECKED),
    )
    return Report("p", tuple(range(5)), verdicts, trajectory=trajectory())


@pytest.fixture
def departed(sound) -> Report:
    gone = trajectory(Departure(3, "dense2", "z2", 4321.0), drift=1e-4)
    return replace(sound, trajectory=gone)


@pytest.fixture
def wrong(departed, verdict) -> Report:
    return replace(departed, verdicts=(verdict(3, status=Status.DIVERGED), *departed.verdicts))


# What it tells


def test_noise_that_explains_the_drift_is_good_news(sound):
    assert sound.agrees
    assert sentences(sound) == [
        "Float32 noise explains the drift over 5 steps: no output is more than 1.0 times as far "
        "from the reference as rounding alone takes it. If this run ends badly, it is unlucky and "
        "not wrong.",
        "The bound proves nothing about loss from step 0 on; W1 from step 1 on: there only the "
        "noise tells.",
        "3 numbers within the noise of zero, where a ReLU turns, had the other sign: there the "
        "reference went with the program.",
    ]


def test_a_departure_is_likely_and_not_certain(departed):
    assert not departed.agrees
    assert departed.wrong == ()
    assert sentences(departed)[0] == (
        "Likely wrong, not unlucky: in step 3 the drift leaves the float32 noise, first in z2 "
        "after dense2, 4.3e+03 times as far from the reference as rounding takes it. No bound "
        "proves it; --mode local --steps 3:4 checks that step op by op."
    )


def test_what_is_proved_comes_before_what_is_likely(wrong):
    assert sentences(wrong)[0].startswith(
        "Wrong, not unlucky: dense2 is proved wrong in step 3; in step 3 the drift leaves"
    )


def test_where_the_reference_overflows_too_nothing_is_told(sound):
    lost = replace(points(1)[0], step=5, floor=math.inf, drift=math.inf)
    series = Series("W1", False, (*points(5), lost))
    told = sentences(replace(sound, trajectory=replace(trajectory(), series=(series,))))
    assert told[0].startswith("From step 5 on float32 overflows in the reference too")


def test_unchecked_outputs_are_open_only_from_the_departure_on(sound, departed):
    assert sound.unproved == ()
    assert [v.subject.step for v in departed.unproved] == [4]


def test_a_check_without_a_trajectory_tells_nothing_of_one(verdict):
    report = Report("p", (0,), (verdict(),))
    assert sentences(report) == []
    for form in RENDERERS:
        assert "noise" not in RENDERERS[form](report), form


def test_weights_are_told_relative_to_their_size_and_a_loss_as_it_is(sound):
    loss, weights = figures(sound.trajectory)
    assert (weights.buffer, weights.drift, weights.noise) == ("W1", "5e-07", "5e-07")
    assert (loss.buffer, loss.drift, loss.noise) == ("loss", "5e-06", "5e-06")
    assert (weights.ratio, weights.bound) == ("1.0", "proves nothing")


# What is drawn


def test_losses_are_drawn_and_of_the_weights_what_drifted_most(sound):
    calm, wild = Series("calm", False, points(5)), Series("wild", False, points(5, 1e-3))
    loss = sound.trajectory.series[0]
    drawn = pictures(replace(sound.trajectory, series=(calm, loss, wild)))
    assert [picture.name for picture in drawn] == ["loss, difference", "wild, relative distance"]


@pytest.mark.parametrize("drift", [0.0, math.inf])
def test_what_has_no_place_on_a_logarithmic_axis_is_left_out(drift: float):
    base = points(3)
    series = Series("W1", False, (base[0], replace(base[1], drift=drift), base[2]))
    (picture,) = pictures(replace(trajectory(), series=(series,)))
    assert [at for at, _ in picture.drift] == [0.0, 2.0]
    assert [at for at, _ in picture.noise] == [0.0, 1.0, 2.0]


def test_a_program_that_equals_its_reference_exactly_has_nothing_to_draw():
    still = replace(points(1)[0], drift=0.0, floor=0.0, largest=0.0, largest_floor=0.0, bound=None)
    series = Series("W1", False, (still,))
    assert pictures(replace(trajectory(), series=(series,))) == []


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_terminal_shows_figures_and_curves_within_its_width(sound, width: int):
    out = StringIO()
    as_terminal.show(sound, Console(file=out, width=width, highlight=False))
    shown = out.getvalue()
    assert sentences(sound)[0] in shown
    chart = [line for line in shown.splitlines() if re.search(r"[┤│└]", line)]
    assert len(chart) == 2 * 9
    assert max(map(len, chart)) <= min(width, 100)
    assert any(re.search("[\u2801-\u28ff]", line) for line in chart)


# The other formats


def test_json_has_every_figure(departed):
    document = json.loads(RENDERERS["json"](departed))["trajectory"]
    assert document["says"] == sentences(departed)
    assert document["departure"] == {"step": 3, "op": "dense2", "buffer": "z2", "ratio": 4321.0}
    assert (document["members"], document["beyond"], document["turns"]) == (4, 10.0, 3)
    loss, weights = document["series"]
    assert (loss["buffer"], loss["scalar"], weights["scalar"]) == ("loss", True, False)
    assert weights["points"][0] == {
        "step": 0,
        "drift": pytest.approx(1e-3),
        "floor": 1e-6,
        "largest": 1e-4,
        "largest_floor": 1e-7,
        "bound": 1e-3,
        "size": 10.0,
    }
    assert weights["points"][1]["bound"] is None


def test_json_without_a_trajectory_says_so(verdict):
    assert json.loads(RENDERERS["json"](Report("p", (0,), (verdict(),))))["trajectory"] is None


def test_json_has_numbers_only_where_there_are(sound):
    endless = Departure(0, "dense", "z", math.inf)
    lost = replace(points(1)[0], drift=math.inf)
    series = (Series("W1", False, (lost,)),)
    report = replace(sound, trajectory=replace(trajectory(endless), series=series, most=math.inf))
    document = json.loads(RENDERERS["json"](report))["trajectory"]
    assert document["departure"]["ratio"] == document["most"] == "inf"
    assert document["series"][0]["points"][0]["drift"] == "inf"


def test_junit_has_a_case_for_it_that_fares_as_the_program_does(sound, departed, wrong):
    outcomes = []
    for report in (sound, departed, wrong):
        root = ET.fromstring(RENDERERS["junit"](report))
        case = root.find("testsuite/testcase[@classname='trajectory']")
        assert case is not None
        assert sentences(report)[0] in (case.findtext("system-out") or "")
        outcomes.append([child.tag for child in case if child.tag != "system-out"])
    assert outcomes == [[], ["skipped"], ["failure"]]


def test_sarif_tells_it_of_the_run(departed):
    (run,) = json.loads(RENDERERS["sarif"](departed))["runs"]
    assert run["properties"]["trajectory"].startswith("Likely wrong, not unlucky")


def test_markdown_tells_it(departed):
    assert "### Trajectory\n\n- Likely wrong, not unlucky" in RENDERERS["markdown"](departed)


class Elements(HTMLParser):
    """Counts the elements of a page and keeps their text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)

    def handle_data(self, data) -> None:
        self.text.append(data)


def test_html_tells_and_draws_it(sound):
    page = RENDERERS["html"](sound)
    found = Elements(page)
    assert sentences(sound)[0] in found.text
    assert found.tags.count("svg") == 2
    for path in re.findall(r'class="line \w+" d="M([^"]+)"', page):
        for place in path.split("L"):
            x, y = map(float, place.split())
            assert 60 <= x <= 624
            assert 10 <= y <= 214


@pytest.mark.parametrize("form", RENDERERS)
def test_no_name_steers_a_terminal_or_a_page(form: str, sound):
    report = replace(sound, trajectory=trajectory(Departure(0, EVIL, EVIL, 20.0), name=EVIL))
    shown = RENDERERS[form](report)
    assert "\x1b" not in shown
    assert form not in ("html", "junit") or "<script>" not in shown
