"""The command line: exit codes, data on stdout, talk on stderr, and no traceback ever."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

NNDBG = Path(sys.executable).with_name("nndbg")
LIMIT = 60
Cli = Callable[..., subprocess.CompletedProcess[str]]

COMMANDS = [
    "run",
    "check",
    "bisect",
    "map",
    "map show",
    "map check",
    "map init",
    "map fit",
    "data",
    "doctor",
]


@pytest.fixture
def nndbg(tmp_path: Path) -> Cli:
    """Runs nndbg in an empty directory, as no terminal and with no colours asked for."""
    if not NNDBG.is_file():
        pytest.skip(f"nndbg is not installed beside {sys.executable}")
    away = tmp_path / "away"
    away.mkdir()

    def nndbg(*args: str | os.PathLike[str], **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [NNDBG, *args],
            cwd=away,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    return nndbg


@pytest.fixture
def trained(program: Path, tiny: Path, gdb: str) -> list[str]:
    """What follows the options of a check of the trainer: two epochs of three steps."""
    del gdb
    return [str(program), "--", "--data", str(tiny), "--epochs", "2"]


@pytest.fixture
def wrong(build, gdb: str, tmp_path: Path) -> list[str]:
    """What follows the options of a check of a program whose second step is wrong."""
    del gdb
    program = build("wrong", WRONG, "-g", "-O0")
    path = tmp_path / "wrong.toml"
    path.write_text(WRONG_MAP)
    return ["--map", str(path), str(program)]


WRONG = r"""
#include <stdlib.h>
#include <stdio.h>
float z[4] = {1, -2, 3, -4}, h[4];
__attribute__((noinline)) void step(void) { __asm__ volatile(""); }
__attribute__((noinline)) void done(void) { __asm__ volatile(""); }
int main(int argc, char **argv) {
    for (int s = 0; s < 3; s++) {
        step();
        for (int i = 0; i < 4; i++) h[i] = z[i] > 0 ? z[i] : 0;
        if (s == 1 && argc == 1) h[3] = z[3];
        done();
        if (s == 1 && argc == 2) { puts(argv[1]); exit(9); }
    }
    return 0;
}
"""
WRONG_MAP = """\
[program]
name = "wrong"
step = "enter:step"
[buffers]
z = { dtype = "f32", shape = [4] }
h = { dtype = "f32", shape = [4] }
[[ops]]
name = "relu"
kind = "relu"
in = "z"
out = "h"
done = "enter:done"
"""


def assert_refused(done: subprocess.CompletedProcess[str], says: str, code: int = 2) -> None:
    """One clear line on stderr, nothing on stdout."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("nndbg: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert says in done.stderr
    assert "a mistake of nndbg's own" not in done.stderr


# Help


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself(nndbg: Cli, command: str):
    done = nndbg(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: nndbg{' ' if command else ''}{command}" in done.stdout
    assert "\x1b" not in done.stdout


def test_help_has_a_short_form(nndbg: Cli):
    assert nndbg("check", "-h").stdout == nndbg("check", "--help").stdout


def test_the_help_names_every_command(nndbg: Cli):
    shown = nndbg("--help").stdout
    for command in {c.split()[0] for c in COMMANDS}:
        assert re.search(rf"\b{command}\b", shown)


def test_the_version_is_the_package_s(nndbg: Cli):
    from nndbg import __version__

    done = nndbg("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert __version__ in done.stdout


# Bad usage

REFUSED = {
    "an unknown command": (["chekc"], "chekc"),
    "an unknown option": (["check", "--stepps", "0:1"], "--stepps"),
    "a second program": (["check", "a", "b"], "b"),
    "an unknown mode": (["check", "--mode", "globl"], "globl"),
    "an unknown format": (["check", "--format", "yaml"], "yaml"),
    "a time limit of nothing": (["check", "--timeout", "0"], "--timeout"),
    "a time limit that is no number": (["check", "--timeout", "soon"], "soon"),
    "an option without its value": (["check", "--steps"], "--steps"),
    "no program for map show": (["map", "show"], "PROGRAM"),
    "an output that is a directory": (["check", "-o", "/"], "directory"),
    "a program that is not there": (["check", "./gone"], "gone: no such program. Build it with"),
    "no program where it is looked for": (["check"], "mnist: no such program"),
    "a directory for a program": (["check", "/"], "/: cannot be read: Is a directory"),
    "a script for a program": (["check", __file__], "not an ELF executable"),
    "a program without a map": (["check", sys.executable], "no layer map inside"),
    "run without a terminal": (["run"], "`nndbg run` needs a terminal. Without one: nndbg check."),
    "a first step below zero": (["run", "--step", "-1"], "--step"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_usage_is_one_line_and_exit_code_2(nndbg: Cli, case: str):
    arguments, says = REFUSED[case]
    assert_refused(nndbg(*arguments), says)


@pytest.mark.parametrize("steps", ["3", ":3", "3:3", "5:2", "-1:3", "0:3:0", "a:b", f"0:{10**20}"])
def test_steps_of_another_form_are_refused(nndbg: Cli, steps: str):
    assert_refused(nndbg("check", "--steps", steps), "0:3 is steps 0, 1 and 2.")


def test_nothing_at_all_shows_the_help(nndbg: Cli):
    done = nndbg()
    assert done.returncode in (0, 2)
    assert "Usage: nndbg" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "map.toml:1: "),
        ("[program\n", "map.toml:1: not TOML"),
        (WRONG_MAP, "map.toml:5: mnist has no symbol z."),
        (WRONG_MAP.replace('"relu"', '"rule"'), "map.toml:9: op"),
        (None, "map.toml: the layer map cannot be read: No such file or directory."),
    ],
    ids=["empty", "not TOML", "of another program", "an unknown kind", "not there"],
)
def test_a_wrong_map_is_one_line_and_exit_code_2(
    nndbg: Cli, program: Path, tmp_path: Path, text: str | None, says: str
):
    path = tmp_path / "map.toml"
    if text is not None:
        path.write_text(text)
    # `check` and `map check` look at it in the same way; one of the cases shows both.
    for command in (["map", "check"], ["check"])[: 2 if text == "" else 1]:
        assert_refused(nndbg(*command, "--map", path, program), says)


# Checks


def test_a_correct_program_is_exit_code_0(nndbg: Cli, trained: list[str]):
    done = nndbg("check", "--steps", "0:6", "--mode", "both", *trained)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"steps 0-5: all \d+ outputs agree(, \d+ unchecked)?\n$", done.stdout)
    assert "\x1b" not in done.stdout


def test_a_sound_trajectory_is_exit_code_0(nndbg: Cli, trained: list[str]):
    done = nndbg("check", "--steps", "0:4", "--mode", "trajectory", *trained)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Float32 noise explains the drift over 4 steps" in done.stdout
    assert "loss, difference" in done.stdout


def test_a_wrong_trajectory_is_exit_code_1(nndbg: Cli, wrong: list[str]):
    done = nndbg("check", "--mode", "trajectory", *wrong)
    assert (done.returncode, done.stderr) == (1, "")
    assert "Wrong, not unlucky: relu is proved wrong in step 1" in done.stdout


def test_healing_tells_what_has_to_be_repaired(nndbg: Cli, wrong: list[str]):
    done = nndbg("check", "--heal", "auto", "--no-culprit", "--format", "json", *wrong)
    assert done.returncode == 1
    healed = json.loads(done.stdout)["healed"]
    assert healed["agrees"] is True
    assert healed["found"] is True
    assert len(healed["ops"]) == 1


@pytest.mark.parametrize("other", [("--until-first",), ("--mode", "trajectory")], ids=" ".join)
def test_what_ends_where_a_repair_begins_is_refused(
    nndbg: Cli, wrong: list[str], other: tuple[str, ...]
):
    done = nndbg("check", "--heal", "auto", *other, *wrong)
    assert done.returncode == 2
    assert "--heal goes on behind what is wrong" in done.stderr


def test_an_op_to_heal_that_is_not_there_is_refused(nndbg: Cli, wrong: list[str]):
    done = nndbg("check", "--heal", "nosuch", *wrong)
    assert done.returncode == 2
    assert "has no op nosuch to heal" in done.stderr


def test_a_trajectory_is_not_ended_by_what_is_wrong(nndbg: Cli, wrong: list[str]):
    done = nndbg("check", "--mode", "trajectory", "--until-first", *wrong)
    assert_refused(done, "a trajectory goes on")


def test_a_wrong_program_is_exit_code_1(nndbg: Cli, wrong: list[str]):
    done = nndbg("check", *wrong)
    assert (done.returncode, done.stderr) == (1, "")
    assert "First divergence: relu (relu) in step 1" in done.stdout
    assert "h[3]" in done.stdout
    assert "1 of 3 outputs are wrong" in done.stdout


def test_what_is_to_be_audited_is_named(nndbg: Cli, trained: list[str]):
    for audits in ("none", "all", "stack,poison"):
        done = nndbg("check", "--steps", "0:1", "--audits", audits, *trained)
        assert (done.returncode, done.stderr) == (0, "")
    refused = nndbg("check", "--audits", "stack,smell")
    assert refused.returncode == 2
    assert "'smell' is no audit. There are: registers, stack, " in refused.stderr


def test_a_wrong_step_that_is_not_checked_is_not_found(nndbg: Cli, wrong: list[str]):
    assert nndbg("check", "--steps", "2:3", *wrong).returncode == 0
    assert nndbg("check", "--steps", "1:2", *wrong).returncode == 1


def test_every_nth_step_is_checked(nndbg: Cli, trained: list[str]):
    done = nndbg("check", "--steps", "1:6:2", "--format", "json", *trained)
    assert done.returncode == 0
    assert json.loads(done.stdout)["steps"] == [1, 3, 5]


def test_a_check_until_the_first_divergence_stops_there(nndbg: Cli, wrong: list[str]):
    done = nndbg("check", "--until-first", *wrong)
    assert done.returncode == 1
    assert "The rest of step 1 was not checked." in done.stdout
    assert "step 0: 1 of 2 outputs are wrong" in done.stdout


def test_bisecting_a_program_that_cannot_seek_sweeps_it(nndbg: Cli, wrong: list[str]):
    done = nndbg("bisect", "--steps", "0:3", "--format", "json", *wrong)
    assert (done.returncode, done.stderr) == (1, "")
    report = json.loads(done.stdout)
    assert report["first"]["step"] == 1
    assert "no `seek`" in report["says"]


def test_bisecting_a_sound_program_is_exit_code_0(nndbg: Cli, trained: list[str]):
    done = nndbg("bisect", "--steps", "0:6", *trained)
    assert (done.returncode, done.stderr) == (0, "")
    assert "6 of 6 steps were checked, and none of them is wrong." in done.stdout


def test_bisecting_a_program_that_fails_is_exit_code_3(nndbg: Cli, wrong: list[str]):
    done = nndbg("bisect", "--steps", "0:3", *wrong, "--", "because")
    assert done.returncode == 3
    assert "exit code 9" in done.stderr


def test_bisecting_asks_where(nndbg: Cli):
    assert_refused(nndbg("bisect"), "--steps")


def test_a_program_that_fails_is_exit_code_3(nndbg: Cli, wrong: list[str]):
    done = nndbg("check", *wrong, "--", "because")
    assert done.returncode == 3
    assert done.stderr.startswith("nndbg: the program ended with exit code 9")
    assert "It said: because" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_program_printed_cannot_steer_the_terminal(nndbg: Cli, wrong: list[str]):
    done = nndbg("check", *wrong, "--", "\x1bcgone")
    assert done.returncode == 3
    assert "\x1b" not in done.stdout + done.stderr


def test_a_program_that_does_not_reach_its_first_step_is_exit_code_3(nndbg: Cli, program, gdb):
    del gdb
    done = nndbg("check", program, "--", "--help")
    assert done.returncode == 3
    assert done.stderr.startswith("nndbg: the program ended before step 0.")


def test_steps_beyond_the_end_are_exit_code_3(nndbg: Cli, trained: list[str]):
    done = nndbg("check", "--steps", "5:9", *trained)
    assert done.returncode == 3
    assert done.stderr == ("nndbg: the program ended after step 5: there is no step 6 to check.\n")
    assert "step 5: " in done.stdout
    assert nndbg("check", "--steps", "100:103", *trained).returncode == 3


def test_where_both_streams_are_one_an_error_is_said_once(trained: list[str], gdb: str):
    del gdb
    done = subprocess.run(
        [NNDBG, "check", "--steps", "5:9", *trained],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.stdout.count("the program ended after step 5") == 1


def test_a_program_s_own_refusal_is_quoted(nndbg: Cli, program: Path, gdb: str):
    del gdb
    done = nndbg("check", program, "--", "--epochs", "many")
    assert done.returncode == 3
    assert "with exit code 2" in done.stderr
    assert "epochs" in done.stderr


def test_a_program_that_hangs_is_exit_code_3_at_its_time(nndbg: Cli, build, tmp_path: Path, gdb):
    del gdb
    program = build("hang", WRONG.replace("done();", "for (;;) ;"), "-g", "-O0")
    path = tmp_path / "hang.toml"
    path.write_text(WRONG_MAP)
    done = nndbg("check", "--timeout", "0.5", "--map", path, program)
    assert done.returncode == 3
    assert "within 0.5 s. It was in main (" in done.stderr


def test_without_gdb_it_is_exit_code_3_and_says_what_to_install(
    nndbg: Cli, trained: list[str], tmp_path: Path
):
    empty = tmp_path / "empty"
    empty.mkdir()
    done = nndbg("check", *trained, PATH=str(empty))
    assert done.returncode == 3
    assert "no gdb on this machine. Install it: apt-get install gdb" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_set_that_is_not_there_is_told_by_the_program(nndbg: Cli, program: Path, gdb: str):
    del gdb
    done = nndbg("check", program, "--", "--data", "/nowhere")
    assert done.returncode == 3
    assert "/nowhere" in done.stderr


def test_arguments_after_the_dashes_are_the_program_s(nndbg: Cli, wrong: list[str]):
    assert "It said: --steps" in nndbg("check", *wrong, "--", "--steps").stderr


# JSON

VERDICT = {"step", "op", "kind", "buffer", "mode", "status", "checked", "bad", "where", "worst"}


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_the_json_report_of_a_correct_program(nndbg: Cli, trained: list[str], program: Path):
    done = nndbg("check", "--steps", "0:2", "--format", "json", *trained)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout, parse_constant=refuse)
    assert report["schema"] == "nndbg-report/1"
    assert report["program"] == str(program.resolve())
    assert (report["agrees"], report["steps"], report["first"]) == (True, [0, 1], None)
    assert {v["status"] for v in report["verdicts"]} == {"agree"}
    assert {v["mode"] for v in report["verdicts"]} == {"local"}
    assert all(v.keys() >= VERDICT for v in report["verdicts"])
    assert {v["op"] for v in report["verdicts"]} >= {"dense1", "softmax", "loss", "update_W2"}


def test_the_json_report_of_a_wrong_program(nndbg: Cli, wrong: list[str]):
    done = nndbg("check", "--format", "json", "--mode", "both", *wrong)
    assert (done.returncode, done.stderr) == (1, "")
    report = json.loads(done.stdout, parse_constant=refuse)
    assert report["agrees"] is False
    assert {v["mode"] for v in report["verdicts"]} == {"local", "chain"}
    first = report["first"]
    assert first.keys() >= {"step", "op", "buffer", "diagnosis", "culprit"}
    assert (first["step"], first["op"], first["buffer"]) == (1, "relu", "h")
    assert first["boundary"]["function"] == "done"
    assert (first["boundary"]["file"][-7:], first["boundary"]["line"]) == ("wrong.c", 6)
    (bad,) = (v for v in report["verdicts"] if v["bad"] and v["mode"] == "local")
    assert (bad["status"], bad["bad"], bad["checked"], bad["where"]) == ("diverged", 1, 4, "h[3]")
    assert bad["worst"]["index"] == [3]
    assert (bad["worst"]["actual"], bad["worst"]["expected"]) == (-4.0, 0.0)
    assert bad["worst"].keys() >= {"index", "actual", "expected", "bound", "ulps"}


def test_the_json_report_of_a_program_that_fails(nndbg: Cli, wrong: list[str]):
    done = nndbg("check", "--format", "json", *wrong, "--", "because")
    report = json.loads(done.stdout, parse_constant=refuse)
    assert done.returncode == 3
    assert report["agrees"] is False
    assert report["steps"] == [0]
    assert "exit code 9" in report["error"]


# Where it is written


def test_a_report_in_a_file_leaves_stdout_empty(nndbg: Cli, wrong: list[str], tmp_path: Path):
    path = tmp_path / "report.json"
    done = nndbg("check", "--format", "json", "-o", path, *wrong)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert json.loads(path.read_text())["agrees"] is False


def test_a_report_that_cannot_be_written_is_refused(nndbg: Cli, wrong: list[str], tmp_path: Path):
    done = nndbg("check", "-o", tmp_path / "gone" / "report", *wrong)
    assert_refused(done, "gone/report: the output cannot be written: No such file or directory.")


def test_a_reader_that_has_seen_enough_is_no_error_and_no_agreement(wrong: list[str]):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [NNDBG, "check", *wrong],
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 1


def test_a_full_disk_is_an_error_and_no_agreement(trained: list[str]):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [NNDBG, "check", "--steps", "0:1", *trained],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    assert done.returncode in (2, 3)
    assert done.stderr.startswith("nndbg: ")
    assert "a mistake of nndbg's own" not in done.stderr
    assert "Exception ignored" not in done.stderr


# Colour


def on_a_terminal(arguments: list[str], **env: str) -> str:
    """What nndbg writes to a terminal of its own."""
    import pty
    import select

    usual = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        arguments,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**usual, "TERM": "xterm-256color", **env},
        start_new_session=True,
    )
    os.close(theirs)
    written = b""
    try:
        while select.select([ours], [], [], LIMIT)[0]:
            try:
                data = os.read(ours, 1 << 16)
            except OSError:
                break
            if not data:
                break
            written += data
    finally:
        child.kill()
        child.wait(LIMIT)
        os.close(ours)
    return written.decode(errors="replace")


def colours(text: str) -> list[str]:
    return re.findall(r"\x1b\[[0-9;]*[34][0-9](?:;[0-9]+)*m", text)


def test_a_terminal_is_coloured_unless_it_is_asked_not_to_be(wrong: list[str]):
    assert colours(on_a_terminal([str(NNDBG), "check", *wrong]))
    assert not colours(on_a_terminal([str(NNDBG), "check", *wrong], NO_COLOR="1"))


def test_what_is_no_terminal_gets_no_colour(nndbg: Cli, wrong: list[str]):
    for form in ("terminal", "json"):
        done = nndbg("check", "--format", form, *wrong, TERM="xterm-256color")
        assert "\x1b" not in done.stdout + done.stderr


# Other commands


def test_the_map_is_shown(nndbg: Cli, program: Path):
    done = nndbg("map", "show", program)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("mnist: layer map of mnist[.nndbg]")
    assert re.search(r"dense1 +dense .*0x4[0-9a-f]+ ", done.stdout)


def test_a_map_that_fits_is_said_to_fit(nndbg: Cli, program: Path):
    done = nndbg("map", "check", program)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"mnist\[\.nndbg\] fits {program}: .*\d+ buffers, \d+ ops\n", done.stdout)


def test_the_doctor_examines_this_machine(nndbg: Cli, gdb: str):
    del gdb
    done = nndbg("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    for subject in ("GDB", "ptrace", "debug registers", "CPU", "building", "terminal"):
        assert re.search(rf"^(good|limited) +{subject} ", done.stdout, re.MULTILINE)
    assert "GNU gdb" in done.stdout
    assert re.search(r"^limited +terminal +stdout is no terminal$", done.stdout, re.MULTILINE)


def test_the_doctor_says_what_to_install_where_there_is_no_gdb(nndbg: Cli, tmp_path: Path):
    empty = tmp_path / "empty"
    empty.mkdir()
    done = nndbg("doctor", PATH=str(empty))
    assert (done.returncode, done.stderr) == (3, "")
    assert re.search(r"^bad +GDB +no gdb on this machine$", done.stdout, re.MULTILINE)
    assert "apt-get install gdb" in done.stdout


def test_a_mistake_of_our_own_is_one_line_that_asks_for_a_report(tmp_path: Path):
    script = (
        "import nndbg.cli as cli\n"
        "def broken(*a, **k): raise RuntimeError('oh')\n"
        "cli.read_executable = broken\n"
        "cli.main(['map', 'check', 'x'])\n"
    )

    def run(**env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    done = run()
    assert done.returncode == 3
    assert done.stderr == (
        "nndbg: a mistake of nndbg's own: RuntimeError: oh. "
        "Please report it; NNDBG_TRACEBACK=1 shows where.\n"
    )
    assert "Traceback" in run(NNDBG_TRACEBACK="1").stderr


def test_the_program_may_be_named_in_any_way(nndbg: Cli, program: Path, tmp_path: Path):
    copy = tmp_path / "away" / "mnist"
    shutil.copy(program, copy)
    for name in ("mnist", "./mnist", copy):
        assert nndbg("map", "check", name).returncode == 0
