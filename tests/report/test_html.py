"""The HTML report: whole in itself, escaped, and with all that a report has to say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest

from nndbg.compare import Mode, Status
from nndbg.report import Report
from nndbg.report.as_html import MOST_COLUMNS, render
from nndbg.report.words import MEANINGS, SIGNS, line
from nndbg.text import printable

VOID = {"meta", "br"}
TAGS = VOID | set(
    re.findall(
        r"\w+",
        "html head title style body main header span div h1 h2 p section strong code ul li dl dt"
        " dd table thead tbody tr th td details summary i",
    )
)
ATTRIBUTES = set(
    re.findall(
        r"[\w-]+",
        "lang charset name content http-equiv class style title role tabindex scope aria-hidden"
        " aria-label",
    )
)


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    children: list[Element | str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Element]:
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child

    @property
    def text(self) -> str:
        texts = (c if isinstance(c, str) else c.text for c in self.children)
        return "".join(texts)

    @property
    def classes(self) -> set[str]:
        return set((self.attributes.get("class") or "").split())

    def all(self, tag: str, name: str = "") -> list[Element]:
        return [e for e in self if e.tag == tag and (not name or name in e.classes)]


class Reader(HTMLParser):
    """Builds the tree; a tag that is not closed, or an attribute said twice, fails."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def parsed(report: Report) -> Element:
    """The page; it holds no tag and no attribute that could do anything."""
    page = render(report)
    assert page.encode()
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == [reader.root]
    for element in reader.root:
        assert element.tag in TAGS
        assert element.attributes.keys() <= ATTRIBUTES
        assert re.fullmatch(r"(width: \d+%)?", element.attributes.get("style") or "")
    (style,) = reader.root.all("style")
    assert not re.search(r"url\(|@import|expression|behavior", style.text)
    return reader.root


def section(page: Element, heading: str) -> Element | None:
    found = [s for s in page.all("section") if s.all("h2")[0].text == heading]
    assert len(found) <= 1
    return found[0] if found else None


def rows(page: Element) -> list[Element]:
    found = section(page, "Outputs by step")
    assert found is not None
    return found.all("tbody")[0].all("tr")


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_nothing_is_fetched_and_nothing_runs(mixed):
    page = parsed(mixed)
    policies = [m.attributes["content"] for m in page.all("meta") if "http-equiv" in m.attributes]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert not re.search(r"(?i)(src|href)=|https?:|//[a-z]", render(mixed))


def test_it_is_made_for_light_and_dark_and_for_narrow_screens(mixed):
    page = parsed(mixed)
    metas = {m.attributes.get("name"): m.attributes.get("content") for m in page.all("meta")}
    assert metas["color-scheme"] == "light dark"
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    (style,) = page.all("style")
    light, dark = re.findall(r":root \{(.*?)\}", style.text, re.DOTALL)
    names = re.compile(r"(--[\w-]+):")
    assert set(names.findall(light)) == set(names.findall(dark))
    assert set(re.findall(r"var\((--[\w-]+)\)", style.text)) <= set(names.findall(light))
    for table in page.all("table"):
        assert any(table in list(div) for div in page.all("div", "scroll")), "a table that is cut"


def luminance(colour: str) -> float:
    """Relative luminance. Source: W3C, Web Content Accessibility Guidelines 2.2, definitions."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        ("text", "page"),
        ("text", "panel"),
        ("soft", "page"),
        ("soft", "panel"),
        ("wrong", "panel"),
        ("agree", "panel"),
        ("agree", "agree-tint"),
        ("open", "open-tint"),
        ("on-wrong", "wrong"),
    ],
)
def test_every_text_stands_out_from_what_it_is_on(mixed, scheme: int, ink: str, paper: str):
    (style,) = parsed(mixed).all("style")
    block = re.findall(r":root \{(.*?)\}", style.text, re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    lights = sorted((luminance(colours[ink]), luminance(colours[paper])), reverse=True)
    # WCAG 2.2, 1.4.3: 4.5 to 1 for text.
    assert (lights[0] + 0.05) / (lights[1] + 0.05) >= 4.5


def test_the_headline_says_what_came_of_it(mixed):
    page = parsed(mixed)
    assert page.all("h1")[0].text == "2 of 9 outputs are wrong, 1 unchecked"
    assert page.all("title")[0].text == "✗ 2 of 9 outputs are wrong, 1 unchecked - bin/prog"
    assert squeezed(page.all("header")[0].all("p")[0].text) == "bin/prog, steps 0-2"
    assert "diverged" in page.all("span", "sign")[0].classes


def test_the_first_divergence_is_told_with_its_diagnosis(mixed):
    found = section(parsed(mixed), "First divergence")
    assert found is not None
    told = squeezed(found.text)
    for said in (
        "dense2 (dense) in step 1",
        "z2[:, 63]: 64 of 4096 elements are wrong",
        "the term k=127 is missing explains 60 of 64",
        "worstz2[3, 63]",
        "program0.125",
        "reference0.25 ±1.1e-06",
        "apart4194304 ulps",
        "largest difference 0.125, mean 0.002, cosine 0.998",
        "complete atasm/forward.asm:60 in forward (0x4019a3)",
    ):
        assert said in told


def test_every_output_has_its_row_and_every_step_its_cell(mixed):
    found = [[squeezed(c.text) for c in row.all("span", "cell")] for row in rows(parsed(mixed))]
    assert found == [["✓", "✓", "✓"], ["✓", "✗", "✗"], ["✓", "?", "✓"]]
    titles = [td.attributes.get("title") for td in rows(parsed(mixed))[1].all("td")]
    assert "dense2 z2 (local), step 1: diverged" in titles


def test_the_first_wrong_cell_is_marked(mixed):
    page = parsed(mixed)
    (marked,) = page.all("span", "is-first")
    assert marked in list(rows(page)[1])
    assert rows(page)[1].all("span", "cell").index(marked) == 1


def test_what_could_not_be_checked_is_told_with_the_reason(mixed):
    found = section(parsed(mixed), "Could not be checked")
    assert found is not None
    assert squeezed(found.all("li")[0].text) == (
        "h after relu could not be checked in step 1: float32 overflows"
    )


def test_every_op_unfolds_to_its_outputs_and_their_evidence(mixed):
    dense1, dense2, relu = parsed(mixed).all("details")
    assert squeezed(dense1.all("summary")[0].text) == "✓dense1denseagree"
    assert squeezed(dense2.all("summary")[0].text) == "✗dense2densewrong in steps 1-2"
    assert squeezed(relu.all("summary")[0].text) == "?reludenseunchecked"
    assert "12288" in dense2.text
    assert "z2[:, 63]: 64 of 4096 elements are wrong" in squeezed(dense2.text)
    assert "float32 overflows" in relu.text


def test_agreement_is_told_alone(verdict):
    page = parsed(Report("p", (0,), (verdict(0),)))
    assert page.all("h1")[0].text == "1 output agrees"
    assert "agree" in page.all("span", "sign")[0].classes
    assert [s.all("h2")[0].text for s in page.all("section")] == ["Outputs by step", "Ops"]


def test_an_error_is_told_first(verdict):
    page = parsed(Report("p", (0,), (verdict(0),), "it crashed\nin main"))
    first = page.all("section")[0]
    assert first.attributes["role"] == "alert"
    assert squeezed(first.text) == "The run ended early it crashed in main"
    assert "nothing was wrong in 1 output before" in page.all("h1")[0].text
    assert "agree" not in page.all("span", "sign")[0].classes


@pytest.mark.parametrize(("error", "sign"), [(None, "unchecked"), ("it crashed", "diverged")])
def test_a_report_with_nothing_in_it_is_no_agreement(error: str | None, sign: str):
    page = parsed(Report("p", (), (), error))
    assert page.all("h1")[0].text == "Nothing was checked"
    assert sign in page.all("span", "sign")[0].classes
    assert not page.all("table")
    assert (error or "Nothing") in page.text


def test_what_is_not_known_is_no_agreement(verdict):
    page = parsed(Report("p", (0,), (verdict(0, status=Status.UNCHECKED),)))
    assert page.all("h1")[0].text == "1 of 1 outputs could not be checked"
    assert "unchecked" in page.all("span", "sign")[0].classes


def test_the_modes_are_told_apart_where_there_are_two(verdict):
    both = (verdict(0), verdict(0, mode=Mode.CHAIN))
    assert [squeezed(r.all("th")[0].text) for r in rows(parsed(Report("p", (0,), both)))] == [
        "dense2 z2 local",
        "dense2 z2 chain",
    ]
    (row,) = rows(parsed(Report("p", (0,), both[:1])))
    assert squeezed(row.all("th")[0].text) == "dense2 z2"


def test_a_buffer_named_as_its_op_is_named_once(verdict):
    (row,) = rows(parsed(Report("p", (0,), (verdict(0, "dW1", buffer="dW1"),))))
    assert squeezed(row.all("th")[0].text) == "dW1"


@pytest.mark.parametrize("count", [13, 40, 41, 937, 9380])
def test_many_steps_share_columns_and_a_wrong_one_shows(verdict, count: int):
    wrong = count // 2
    report = Report(
        "p",
        tuple(range(count)),
        tuple(
            verdict(s, status=Status.DIVERGED if s == wrong else Status.AGREE) for s in range(count)
        ),
    )
    page = parsed(report)
    (row,) = rows(page)
    cells = [squeezed(c.text) for c in row.all("span", "cell")]
    assert min(count, 10) <= len(cells) <= MOST_COLUMNS
    assert cells.count("✗") == 1
    assert cells.index("✗") == row.all("span", "cell").index(page.all("span", "is-first")[0])
    assert len(render(report)) < 40_000


def test_a_step_that_was_not_judged_whole_has_its_column(verdict):
    report = Report("p", (0,), (verdict(0), verdict(1, "dense1")), "it crashed")
    cells = [[c.text for c in row.all("span", "cell")] for row in rows(parsed(report))]
    assert cells == [["✓", "·"], ["·", "✓"]]


def test_every_sign_is_explained(mixed):
    (legend,) = parsed(mixed).all("ul", "legend")
    assert [item.text for item in legend.all("li")] == [f"{SIGNS[s]}{s}" for s in Status]
    assert [item.attributes["title"] for item in legend.all("li")] == list(MEANINGS.values())


def test_hostile_text_stays_text(infested, hostile: str):
    page = parsed(infested)
    assert page.all("p", "said")[0].text == printable(hostile)
    assert page.all("title")[0].text.endswith(f" - {line(hostile)}")
    assert page.all("details")[0].all("summary")[0].all("span", "code")[0].text == line(hostile)
    assert len(page.all("section")) == 5
