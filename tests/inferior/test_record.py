"""Lines of GDB's machine interface: those it writes are read, damaged ones are refused at once."""

from __future__ import annotations

import random

import pytest

from nndbg.errors import GdbError
from nndbg.inferior.record import parse_record

STOPPED = (
    '*stopped,reason="breakpoint-hit",disp="keep",bkptno="1",frame={addr="0x401000",func="f",'
    'args=[{name="argc",value="1"}],file="a \\"b\\".c",line="3",arch="i386:x86-64"},'
    'thread-id="1",stopped-threads="all",core="0"'
)
TABLE = (
    '7^done,BreakpointTable={nr_rows="1",hdr=[{width="7",col_name="number"}],'
    'body=[bkpt={number="1",addr="<MULTIPLE>"},{number="1.1",addr="0x401000"}]}'
)

GOOD = {
    "a result alone": ("7^done", "result", "done", None),
    "a result": ('7^done,value="5"', "result", "done", {"value": "5"}),
    "no token": ("^running", "result", "running", None),
    "an error": ('1^error,msg="No {such [\\"x"', "result", "error", {"msg": 'No {such ["x'}),
    "an empty text": ('1^done,value=""', "result", "done", {"value": ""}),
    "an empty list": ("1^done,stack=[]", "result", "done", {"stack": []}),
    "an empty tuple": ("1^done,frame={}", "result", "done", {"frame": {}}),
    "a list of texts": ('1^done,names=["a","b"]', "result", "done", {"names": ["a", "b"]}),
    "a list of lists": ('1^done,a=[["b"],[]]', "result", "done", {"a": [["b"], []]}),
    "a named list": (
        '1^done,stack=[frame={level="0"}]',
        "result",
        "done",
        {"stack": [{"level": "0"}]},
    ),
    "octal escapes": ('=msg,m="\\303\\244\\n"', "notify", "msg", {"m": "ä\n"}),
    "brackets in a text": ('1^done,value="{[\\\\"', "result", "done", {"value": "{[\\"}),
}


@pytest.mark.parametrize(("line", "kind", "message", "payload"), GOOD.values(), ids=GOOD)
def test_a_whole_record_is_read(line: str, kind: str, message: str, payload: object):
    record = parse_record(line)
    assert (record["type"], record["message"], record["payload"]) == (kind, message, payload)


def test_a_stop_is_read():
    record = parse_record(STOPPED)
    frame = record["payload"]["frame"]
    assert (frame["args"], frame["file"]) == ([{"name": "argc", "value": "1"}], 'a "b".c')
    assert record["payload"]["core"] == "0"


def test_a_breakpoint_of_several_places_is_read():
    body = parse_record(TABLE)["payload"]["BreakpointTable"]["body"]
    assert [row["number"] for row in body] == ["1", "1.1"]


@pytest.mark.parametrize(
    "line", ["", "(gdb) ", "what the program said", "*", "12", "[{", "^", "=a b"]
)
def test_what_is_no_record_is_output_or_refused(line: str):
    try:
        kind = parse_record(line)["type"]
    except GdbError:
        return
    assert kind in ("output", "done")


BAD = {
    "a list without end": '1^done,stack=[frame={level="0"}',
    "a tuple without end": '*stopped,frame={addr="0x1"',
    "a text without end": '1^done,value="5',
    "a text that ends in its escape": '1^done,value="5\\"',
    "a name without a value": "1^done,value=",
    "a name alone": "1^done,value",
    "a value without quotes": "1^done,value=5",
    "brackets that cross": '1^done,a=[{b="1"]}',
    "a bracket too many": '1^done,a=["1"]]',
    "a tuple that swallows its list": '1^done,a=[{b},c="1"]',
    "texts in a tuple": '1^done,script={"silent","next"}',
    "two commas": '1^done,a="1",,b="2"',
    "a comma at the end": '1^done,a="1",',
    "text behind a value": '1^done,a="1"x',
    "no name of a result": '1^,a="1"',
    "a zero byte": '1^done,a="\0"',
    "an octal escape that is cut": '1^done,a="\\30"',
    "an escape that is none": '1^done,a="\\q"',
    "too deep": f"1^done,a={'[' * 5000}{']' * 5000}",
    "open without end": f"1^done,a={'[' * 100_000}",
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("line", BAD.values(), ids=BAD)
def test_a_damaged_record_is_refused_and_quoted(line: str):
    with pytest.raises(GdbError, match="GDB sent a damaged record: ") as error:
        parse_record(line)
    message = str(error.value)
    assert len(message) < 400
    assert message.isprintable()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("line", [STOPPED, TABLE], ids=["a stop", "a table"])
def test_a_record_cut_anywhere_is_read_or_refused(line: str):
    whole = parse_record(line)
    for cut in range(len(line)):
        try:
            assert parse_record(line[:cut]) != whole
        except GdbError as error:
            assert "damaged" in str(error)


@pytest.mark.timeout(60)
def test_a_record_damaged_anyhow_is_read_or_refused():
    chance = random.Random(1)
    for _ in range(3000):
        text = list(chance.choice((STOPPED, TABLE)))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(text))
            text[at : at + chance.randint(0, 3)] = chance.choice([*'{}[]",=\\', "", "x"])
        try:
            parse_record("".join(text))
        except GdbError as error:
            assert "damaged" in str(error)
