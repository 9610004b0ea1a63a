"""The Markdown report, read with the rules of CommonMark and GitHub's tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from nndbg.compare import Mode, Status
from nndbg.report import Report
from nndbg.report.as_markdown import code, prose, render
from nndbg.report.words import line
from nndbg.text import printable

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
# The HTML that the renderer writes itself.
OWN_HTML = {
    "<details>\n<summary>All 1 output</summary>\n",
    "<details>\n<summary>All 2 outputs</summary>\n",
    "<details>\n<summary>All 3 outputs</summary>\n",
    "</details>\n",
    "<br>",
}


@dataclass(frozen=True)
class Page:
    """A comment as a reader sees it."""

    tables: list[list[list[str]]]
    text: str
    tokens: list[Token]


def seen(token: Token) -> str:
    return "".join(
        "\n" if child.content == "<br>" else child.content for child in token.children or ()
    )


def parsed(report: Report) -> Page:
    tokens = PARSER.parse(render(report))
    tables: list[list[list[str]]] = []
    for before, token in pairwise(tokens):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type == "inline" and before.type in ("td_open", "th_open"):
            tables[-1][-1].append(seen(token))
    text = "\n".join(seen(token) for token in tokens if token.type == "inline")
    return Page(tables, text.replace("\u200b", ""), tokens)


def test_the_first_line_says_what_came_of_it(mixed):
    assert render(mixed).startswith(
        "❌ **2 of 9 outputs are wrong, 1 unchecked** · `bin/prog`, steps 0\\-2\n"
    )


def test_the_first_divergence_is_told_with_its_diagnosis(mixed):
    text = parsed(mixed).text
    assert "First divergence: dense2 (dense) in step 1\n" in text
    for said in (
        "z2[:, 63]: 64 of 4096 elements are wrong",
        "the term k=127 is missing (explains 60 of 64)",
        "worst: z2[3, 63]: program 0.125, reference 0.25  ±1.1e-06, apart 4194304 ulps",
        "dense2 is complete at asm/forward.asm:60 in forward (0x4019a3)",
    ):
        assert said in text


def test_what_is_wrong_is_in_a_table_and_all_outputs_in_another(mixed):
    wrong, every = parsed(mixed).tables
    assert wrong[1:] == [["✗", "dense2", "z2", "local", "128 of 12288", "1e+05 x", "wrong in 1-2"]]
    assert [row[1] for row in every] == ["op", "dense1", "dense2", "relu"]
    assert [row[-1] for row in every[1:]] == ["agree", "wrong in 1-2", "unchecked"]


def test_what_could_not_be_checked_is_told_with_the_reason(mixed):
    assert "h after relu could not be checked in step 1: float32 overflows" in parsed(mixed).text


def test_of_many_reasons_only_a_few_are_told(verdict):
    verdicts = tuple(verdict(0, f"op{n}", Status.UNCHECKED, says="why") for n in range(30))
    text = parsed(Report("p", (0,), verdicts)).text
    assert text.count("could not be checked in") == 5
    assert "and 25 more" in text


def test_agreement_needs_no_more_than_its_table(verdict):
    report = Report("p", (0,), (verdict(0), verdict(0, status=Status.UNCHECKED, mode=Mode.CHAIN)))
    assert render(report).startswith("✅ **1 output agrees, 1 unchecked** · `p`, step 0\n")
    assert len(parsed(report).tables) == 1


def test_an_error_is_told_line_by_line(verdict):
    report = Report("p", (0,), (verdict(0),), "it crashed\nin main")
    assert render(report).startswith("❌ **The run ended early; nothing was wrong in 1 output")
    assert "The run ended early: it crashed\nin main" in parsed(report).text


@pytest.mark.parametrize("error", [None, "it crashed"])
def test_a_report_with_nothing_in_it_is_no_agreement(error: str | None):
    page = render(Report("p", (), (), error))
    assert "**Nothing was checked**" in page
    assert "✅" not in page
    assert "|" not in page


def test_what_is_not_known_is_no_agreement(verdict):
    page = render(Report("p", (0,), (verdict(0, status=Status.UNCHECKED),)))
    assert page.startswith("⚠️ **1 of 1 outputs could not be checked**")


def test_hostile_text_stays_text(infested, hostile: str):
    page = parsed(infested)
    for token in page.tokens:
        for one in (token, *(token.children or ())):
            assert one.type not in (
                "link_open",
                "image",
                "em_open",
                "s_open",
                "fence",
                "code_block",
            )
            assert one.type not in ("html_block", "html_inline") or one.content in OWN_HTML
    assert [row[0] for row in page.tables[1]] == ["", "∞", "?"]
    assert {len(row) for table in page.tables for row in table} == {7, 9}
    headings = [token for token in page.tokens if token.type == "heading_open"]
    assert [token.tag for token in headings] == ["h3"]
    shown = line(hostile)
    if shown.strip() and len(shown) < 500:
        # GitHub takes the spaces around a code span's text for part of the fence.
        assert page.tables[0][1][1].strip() == shown.strip()
        assert f"The run ended early: {printable(hostile)}".strip().splitlines()[0] in page.text
    assert len(render(infested)) < 65536


@pytest.mark.parametrize("text", ["a", "`", "``a`", " a ", "\\", "a\\", "|", "\\|", "a|b"])
def test_a_code_span_holds_its_text(text: str):
    (token,) = [t for t in PARSER.parse(code(text)) if t.type == "inline"]
    assert [(c.type, c.content) for c in token.children or ()] == [("code_inline", text)]


@pytest.mark.parametrize("text", ["@root", "#1", "org/repo#7", "www.x.y", "http://x.y", ":+1:"])
def test_a_sentence_tells_nobody_and_links_nothing(text: str):
    shown = prose(text)
    # What GitHub turns into a link looks so in the text that is shown, or in the source.
    assert not re.search(r"[@#]\w|www\.|(?<!\\)://|:\+1:", re.sub(r"\\(?=[@#])", "", shown))


def test_a_report_as_large_as_it_can_be_fits_into_a_comment(verdict):
    verdicts = tuple(
        verdict(0, f"{n:*>300}", Status.DIVERGED, buffer="|" * 300, says="*" * 9999)
        for n in range(200)
    ) + tuple(
        verdict(0, f"{n:_>300}", Status.UNCHECKED, buffer="|" * 300, says="*" * 9999)
        for n in range(200)
    )
    page = render(Report("*" * 9999, (0,), verdicts, "\n".join(["*" * 99] * 999)))
    assert len(page) < 65536
    assert "| and " in page
