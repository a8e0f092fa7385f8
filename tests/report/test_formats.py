"""Other people's text is shown, never obeyed: by HTML, by Markdown, by LaTeX."""

from __future__ import annotations

import re
import string
from html.parser import HTMLParser

import hostile_pages
import pytest
from hostile_report import HOSTILE, PNG, layout_of, report_of
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from refusal_stability.plain_text import visible
from refusal_stability.report.content import Picture, Report, Section
from refusal_stability.report.html import html_report
from refusal_stability.report.latex import escaped, latex_macros, latex_table, macro_name
from refusal_stability.report.markdown import markdown_report
from refusal_stability.report.phrases import spelled


class Elements(HTMLParser):
    """Every tag and attribute of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Elements:
    elements = Elements()
    elements.feed(html)
    return elements


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(HOSTILE) | st.text(max_size=40), min_size=1, max_size=4))
def test_a_page_s_elements_do_not_depend_on_what_the_texts_say(texts) -> None:
    plain = parsed(html_report(report_of(*("x" for _ in texts))))
    hostile = parsed(html_report(report_of(*texts)))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attributes) for _, attributes in hostile.tags] == [
        sorted(attributes) for _, attributes in plain.tags
    ]


def test_a_page_shows_hostile_text_word_for_word() -> None:
    text = parsed(html_report(report_of(*HOSTILE))).text
    for hostile in HOSTILE:
        assert visible(hostile.replace("\r\n", "\n")) in text.replace("\r\n", "\n")


def test_no_character_of_a_page_steers_a_terminal_or_is_unseen() -> None:
    page = html_report(report_of(*hostile_pages.texts()))
    assert hostile_pages.RAW.findall(page) == []
    assert "a\\u{1b}b" in page
    assert "a\\u{200b}b" in page


def test_a_page_asks_for_nothing_and_allows_nothing() -> None:
    html = html_report(report_of("x"))
    elements = parsed(html)
    sources = [a[key] for _, a in elements.tags for key in ("src", "href") if key in a]
    assert all(str(source).startswith(("data:", "#")) for source in sources)
    assert not {"script", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in elements.tags}
    policy = next(a["content"] for t, a in elements.tags if t == "meta" and a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")


def test_a_page_gives_every_image_its_words_and_size_and_every_table_its_headers() -> None:
    tags = parsed(html_report(report_of("words"))).tags
    image = next(a for tag, a in tags if tag == "img")
    assert "words" in image["alt"]
    assert (image["width"], image["height"]) == ("2", "1")
    assert [a["scope"] for tag, a in tags if tag == "th"] == ["col", "col", "col", "row"]
    assert sum(tag == "figure" for tag, _ in tags) == 2  # the summary's, and the section's
    assert sum(tag == "caption" for tag, _ in tags) == 1
    assert next(a for tag, a in tags if tag == "html")["lang"] == "en"


def test_caption_and_image_hold_the_finding_and_the_numbers_are_folded() -> None:
    picture = Picture("f", "s", "Title", "How to read it.", "One finding.", "Every number: 1, 2, 3.", PNG)
    report = Report("r", "q", (Section("s", "S", pictures=(picture,)),))
    html = html_report(report)
    assert '<figcaption><strong>Title.</strong> One finding. <span class="how">How to read it.</span>' in html
    assert 'alt="Title. One finding."' in html
    assert '<details class="words"><summary>The figure in words</summary><p>Every number: 1, 2, 3.</p>' in html
    assert "\n\n**Title.** One finding. How to read it." in markdown_report(report)
    assert "![Title. One finding.](" in markdown_report(report)


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_renders_hostile_text_as_text(text: str) -> None:
    # Section.code is excluded here: it is fenced, and tested below.
    report = report_of(text)
    rendered = MarkdownIt("commonmark").enable("table").render(markdown_report(report))
    tags = {tag for tag, _ in parsed(rendered).tags}
    assert tags <= {
        "h1",
        "h2",
        "p",
        "ul",
        "li",
        "strong",
        "em",
        "img",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "code",
        "pre",
        "blockquote",
    }
    images = [a["src"] for tag, a in parsed(rendered).tags if tag == "img"]
    assert images == ["figures/f.png"] * 2
    rows = [tag for tag, _ in parsed(rendered).tags if tag in ("td", "th")]
    assert rows == ["th"] * 3 + ["td"] * 3


LINKS = (
    "www.evil.example",
    "see (www.evil.example/x|y), https://evil.example and HTTP://evil.example",
    "@everyone #1 owner/repo#12 gh-3 someone@evil.example",
    "`@a` ``` #2 |www.evil.example|",
    "a|@b `c|www.evil.example`",
)


@pytest.mark.parametrize("text", LINKS)
def test_no_word_that_github_makes_a_link_of_stands_in_markdown_but_as_code(text: str) -> None:
    # GitHub looks for these in the text nodes that are left after every escape, and never in code.
    rendered = MarkdownIt("commonmark").enable("table").render(markdown_report(report_of(text)))
    plain = parsed(re.sub(r"<code[ >].*?</code>", " ", rendered, flags=re.DOTALL)).text
    assert not re.search(r"@\w|#\d|gh-\d|www\.|://", plain, re.IGNORECASE)
    rows = [tag for tag, _ in parsed(rendered).tags if tag in ("td", "th")]
    assert rows == ["th"] * 3 + ["td"] * 3
    headings = re.findall(r"<h2>(.*?)</h2>", rendered)
    assert [" ".join(parsed(heading).text.split()) for heading in headings] == ["Summary", " ".join(text.split())]
    cells = re.findall(r"<td.*?>(.*?)</td>", rendered)
    assert [" ".join(parsed(cell).text.split()) for cell in cells] == [" ".join(text.split())] * 3


def test_markdown_code_cannot_close_its_own_fence() -> None:
    report = Report("t", "q", (Section("s", "S", code="a: ```\n````\n# not a heading"),))
    rendered = MarkdownIt("commonmark").render(markdown_report(report))
    assert [tag for tag, _ in parsed(rendered).tags if tag.startswith("h")] == ["h1", "h2"]


@given(st.text(max_size=60) | st.sampled_from(HOSTILE))
def test_latex_keeps_no_active_character(text: str) -> None:
    body = escaped(text)
    body = re.sub(r"\\ifdefined\\Umathcode ([^\\]*)\\else\[[U+0-9A-F ]+\]\\fi\{\}", "", body)
    for command in (r"\\textbackslash\{\}", r"\\text[a-z]+\{\}", r"\\[{}$&#%_]", r"^\{\}"):
        body = re.sub(command, "", body)
    assert not set(body) & set('\\{}$&#%_^~<>|"`')
    assert "\n" not in body


def test_a_latex_cell_that_starts_with_a_bracket_is_not_read_as_an_argument() -> None:
    assert escaped("[1, 2]") == "{}[1, 2]"


def test_a_latex_table_has_a_row_of_cells_for_each_row() -> None:
    table = layout_of("models", "50 % more", {"Model": "text", "SSI": "number"}, ("a_b", "0.9"), ("c&d", "–"))
    lines = latex_table(table).splitlines()
    assert r"\caption{50 \% more}" in lines
    assert r"\begin{tabular}{lr}" in lines
    assert lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")] == [r"a\_b & 0.9 \\", r"c\&d & -- \\"]


def test_a_macro_name_has_letters_only() -> None:
    assert macro_name("llama-3.1-8b", "t 0 point 7", "mean ssi") == "rsLlamaThreeOneEightBTZeroPointSevenMeanSsi"
    assert set(macro_name("x_9-y")) <= set(string.ascii_letters)


def test_two_numbers_never_share_a_macro() -> None:
    numbers = [("a-b", "ssi"), ("ab", "ssi"), ("a_b", "ssix"), ("a_b", "ssi"), ("a b", "ssi")]
    written = latex_macros((words, "1") for words in numbers)
    names = re.findall(r"^\\newcommand\{\\([A-Za-z]+)\}", written, re.MULTILINE)
    assert names == ["rsABSsi", "rsAbSsi", "rsABSsix", "rsABSsixx", "rsABSsixxx"]


def test_a_category_is_spelled_with_its_words_apart() -> None:
    assert (
        spelled("drug_abuse,weapons, banned_substance|self_harm") == "drug abuse, weapons, banned substance; self harm"
    )
