"""The settings at work: keys, themes, colours, animation; and eyes that see fewer of them."""

import importlib
import itertools
import pkgutil
from pathlib import Path

import numpy as np
import pytest
from rich.color import Color
from textual.binding import Binding
from textual.dom import DOMNode
from textual.theme import Theme

import nndbg.tui
from nndbg.errors import UsageError
from nndbg.session import Session
from nndbg.settings import read_settings
from nndbg.tui import PARTS, DebuggerApp, run
from nndbg.tui.palette import AMBER, GREY, TEAL, VERMILION
from nndbg.tui.preferences import known
from nndbg.tui.themes import THEMES, Colours

from .fake import FakeSource

DEFAULT = Colours(right=TEAL, wrong=VERMILION, unknown=AMBER, quiet=GREY)
# What an eye sees that lacks one kind of cone, in linear RGB. Source: Machado, Oliveira and
# Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009).
EYES = {
    "nndbg": np.eye(3),
    "red-blind": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "green-blind": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "blue-blind": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
MEANT_FOR = {"nndbg-red-green": ("red-blind", "green-blind"), "nndbg-blue-yellow": ("blue-blind",)}


def linear(color: str) -> np.ndarray:
    rgb = np.array(Color.parse(color).triplet) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB, white D65."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    t = np.clip(xyz @ np.clip(rgb, 0, 1) / np.array([0.9505, 1, 1.089]), 0, None)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one: str, other: str, eye: str) -> float:
    """How different two colours look, as CIE's delta E of 1976: 2.3 is just noticeable."""
    return float(np.linalg.norm(lab(EYES[eye] @ linear(one)) - lab(EYES[eye] @ linear(other))))


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminances. Source: WCAG 2.1, success criterion 1.4.3."""
    luminance = sorted(float(np.array([0.2126, 0.7152, 0.0722]) @ linear(c)) for c in (one, other))
    return (luminance[1] + 0.05) / (luminance[0] + 0.05)


@pytest.mark.parametrize(("name", "eye"), [(n, e) for n, eyes in MEANT_FOR.items() for e in eyes])
def test_a_theme_for_an_eye_tells_right_wrong_and_unknown_apart(name, eye):
    _, colours = THEMES[name]
    for one, other in itertools.combinations((colours.right, colours.wrong, colours.unknown), 2):
        assert distance(one, other, eye) > 30, (one, other)
    # It is worth having: it does better than the default for the pair that matters most.
    assert distance(colours.right, colours.wrong, eye) > distance(TEAL, VERMILION, eye)


@pytest.mark.parametrize("name", THEMES)
def test_every_theme_can_be_read(name):
    theme, colours = THEMES[name]
    colours = colours or DEFAULT
    assert isinstance(theme, Theme)
    for color in (colours.right, colours.wrong, colours.unknown):
        assert contrast(color, theme.background) >= 4.5, color
    assert contrast(theme.foreground, theme.background) >= 7


async def test_a_theme_changes_every_colour_of_the_palette(stage, monkeypatch):
    monkeypatch.setenv("NNDBG_THEME", "nndbg-red-green")
    async with stage() as s:
        await s.settle()
        await s.press("d")
        shown = s.app.export_screenshot().lower()
        assert "#56b4e9" in shown
        assert "#ff8c1a" in shown
        for color in (TEAL, VERMILION, AMBER, GREY):
            assert color not in shown
        s.app.theme = "nndbg"
        await s.pilot.pause()
        assert VERMILION in s.app.export_screenshot().lower()


async def test_without_colours_signs_say_all_and_the_cursor_is_seen(stage, monkeypatch):
    async with stage() as s:
        await s.settle()
        await s.press("d", "enter")
        coloured = s.text
    monkeypatch.setenv("NO_COLOR", "1")
    async with stage() as s:
        await s.settle()
        await s.press("d", "enter")
        assert s.text == coloured
        segments = [g for line in s.app.screen._compositor.render_strips() for g in line]
        for segment in segments:
            for color in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                assert color is None or color.is_default, segment
        assert any(segment.style and segment.style.reverse for segment in segments)


async def test_an_action_listens_to_the_keys_that_it_was_given(stage, tmp_path, monkeypatch):
    config = tmp_path / "config.toml"
    config.write_text('[keys]\nnext_op = "f6,N"\nquit = "n"\n"ops.down" = "t"\n')
    monkeypatch.setenv("NNDBG_CONFIG", str(config))
    async with stage() as s:
        await s.settle()
        await s.until(lambda: "f6 next op" in s.text, "the key in the footer")
        await s.press("f6")
        assert "after dense1 of step 0" in s.text
        await s.press("N")
        assert "after relu1 of step 0" in s.text
        await s.press("home", "j")
        assert s.app.query_one("#ops").at == 0
        await s.press("t")
        assert s.app.query_one("#ops").at == 1
        await s.press("?")
        assert "f6, N" in s.text
        await s.press("escape")
        await s.pilot.press("n")
        await s.until(lambda: not s.app.is_running, "the end")


async def test_animation_is_left_out_where_it_is_not_wanted(stage, monkeypatch):
    monkeypatch.setenv("NNDBG_ANIMATION", "0")
    async with stage() as s:
        await s.settle()
        assert s.app.animation_level == "none"


def test_every_binding_of_the_screen_can_be_given_another_key():
    for module in pkgutil.iter_modules(nndbg.tui.__path__):
        importlib.import_module(f"nndbg.tui.{module.name}")
    unnamed, named = [], known(PARTS).keys

    def walk(node: type) -> None:
        for child in node.__subclasses__():
            walk(child)
            if child.__module__.startswith("nndbg.tui"):
                bindings = child.__dict__.get("BINDINGS", ())
                unnamed.extend(
                    f"{child.__name__}: {b}"
                    for b in bindings
                    if not isinstance(b, Binding) or b.id not in named
                )

    walk(DOMNode)
    assert unnamed == []
    assert len(named) > 40


def test_the_settings_of_the_screen_are_read_from_a_file(tmp_path, monkeypatch):
    path: Path = tmp_path / "c.toml"
    path.write_text('theme = "nndbg-blue-yellow"\n')
    monkeypatch.setenv("NNDBG_CONFIG", str(path))
    assert read_settings(known(PARTS)).theme == "nndbg-blue-yellow"


def test_the_mouse_is_left_to_the_terminal_where_that_is_wanted(monkeypatch):
    taken = []
    monkeypatch.setattr(DebuggerApp, "run", lambda app, mouse: taken.append(mouse))
    for value in ("0", "1"):
        monkeypatch.setenv("NNDBG_MOUSE", value)
        run(Session(FakeSource()))
    assert taken == [False, True]


def test_wrong_settings_are_said_before_the_screen_opens_and_let_go_of_the_program(monkeypatch):
    monkeypatch.setenv("NNDBG_THEME", "x")
    source = FakeSource()
    with pytest.raises(UsageError, match="'x' is no theme"):
        run(Session(source))
    assert source.closed.is_set()
