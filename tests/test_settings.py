"""The settings: what holds, where it comes from, and what is refused."""

import tomllib

import pytest

from nndbg.cli import commands
from nndbg.errors import UsageError
from nndbg.settings import Known, read_settings, settings_path

KNOWN = Known(("plain", "dark"), {"next": "n", "quit": "q", "list.up": "up,k", "list.down": "down"})


@pytest.fixture
def config(tmp_path, monkeypatch):
    path = tmp_path / "config.toml"
    monkeypatch.setenv("NNDBG_CONFIG", str(path))
    return path


def test_without_a_file_the_defaults_hold(config):
    found = read_settings(KNOWN, {})
    assert (found.theme, found.mouse, found.animation, found.keys) == ("plain", True, True, {})
    assert found.origin("theme") == "default"


def test_the_file_is_the_users_own_unless_another_is_named(monkeypatch):
    monkeypatch.delenv("NNDBG_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/some/where")
    assert str(settings_path()) == "/some/where/nndbg/config.toml"


def test_a_variable_goes_before_the_file_and_each_value_knows_where_it_comes_from(config):
    config.write_text('theme = "dark"\nmouse = false\n[keys]\nnext = "f10, N"\nlist.up = "w"\n')
    found = read_settings(KNOWN, {"NNDBG_MOUSE": "yes", "NNDBG_ANIMATION": "0"})
    assert (found.theme, found.mouse, found.animation) == ("dark", True, False)
    assert found.keys == {"next": "f10,N", "list.up": "w"}
    names = ("theme", "mouse", "animation", "keys.next", "keys.list.up", "keys.quit")
    assert [found.origin(name).replace(str(config), "FILE") for name in names] == [
        *("FILE:1", "NNDBG_MOUSE", "NNDBG_ANIMATION", "FILE:4", "FILE:5", "default")
    ]


@pytest.mark.parametrize(
    ("text", "environment", "says"),
    [
        ("theme = ", {}, "not TOML"),
        ('theme = "drak"', {}, r"toml:1: 'drak' is no theme. There are: plain, dark."),
        ("theme = 3", {}, "3 is no theme"),
        ("", {"NNDBG_THEME": "x"}, r"NNDBG_THEME: 'x' is no theme"),
        ("\nmouse = 1", {}, r"toml:2: mouse is 1. Make it true or false."),
        ("", {"NNDBG_MOUSE": "maybe"}, "NNDBG_MOUSE: mouse is 'maybe'"),
        ('mouse = "yes"', {}, "mouse is 'yes'"),
        ("muose = true", {}, r"there is no setting muose. Did you mean mouse\?"),
        ("keys = 3", {}, "keys must be a table"),
        ('[keys]\nnxt = "n"', {}, r"toml:2: there is no action nxt. Did you mean next\?"),
        ("[keys]\nnext = 3", {}, "next is 3. Name keys"),
        ('[keys]\nnext = "n,,m"', {}, "Name keys"),
        ('[keys]\nnext = "q"', {}, "q would be the key of both next and quit"),
        ('[keys]\n"list.down" = "k"', {}, r"toml:2: k would be the key of both list.up and"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(config, text, environment, says):
    config.write_text(text)
    with pytest.raises(UsageError, match=says) as refusal:
        read_settings(KNOWN, environment)
    assert "\n" not in str(refusal.value)


def test_a_file_that_cannot_be_read_is_refused(config):
    config.mkdir()
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_settings(KNOWN, {})
    config.rmdir()
    config.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_settings(KNOWN, {})


def test_two_parts_of_the_screen_may_have_the_same_key(config):
    config.write_text('[keys]\nlist.down = "n"\n')
    assert read_settings(KNOWN, {}).keys == {"list.down": "n"}


def test_keys_may_be_swapped(config):
    config.write_text('[keys]\nnext = "q"\nquit = "n"\n')
    assert read_settings(KNOWN, {}).keys == {"next": "q", "quit": "n"}


def test_the_command_prints_a_settings_file_that_says_where_values_come_from(
    config, capsys, monkeypatch
):
    monkeypatch.setenv("NNDBG_MOUSE", "0")
    config.write_text('theme = "nndbg-light"\n[keys]\nnext_op = "f10"\n')
    commands.main(["config"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert f"# {config}:1" in shown
    assert "# NNDBG_MOUSE" in shown
    again = tomllib.loads(shown)
    assert (again["theme"], again["mouse"], again["animation"]) == ("nndbg-light", False, True)
    assert again["keys"]["next_op"] == "f10"
    assert again["keys"]["matrix.up"] == "up,k"
    # What is printed can be read as settings.
    config.write_text(shown)
    monkeypatch.delenv("NNDBG_MOUSE")
    commands.main(["config"], standalone_mode=False)
    assert tomllib.loads(capsys.readouterr().out) == again
