"""A report that has hostile text wherever text can stand."""

from __future__ import annotations

from refusal_stability.report.content import KeyFigure, Picture, Report, Section, Summary
from refusal_stability.tables.layout import Kind, Layout, words

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "![x](https://example.invalid/x.png)",
    "[a](javascript:alert(3))",
    "=1+1",
    "`` code ``` | pipe | `",
    "two\nlines\r\nand a tab\t",
    r"\input{/etc/passwd} \write18{ls} $x_1$ 100% & # ~ ^",
    "{{ 7 * 7 }} {% raw %}",
    "@everyone #1 https://example.invalid www.example.invalid",
    "\u202egnirts desrever",
    "</style></code></pre><h1>broken out</h1>",
    "---\n# heading",
)
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\rIHDR" + (4).to_bytes(4, "big") + (2).to_bytes(4, "big") + b"rest"


def layout_of(
    name: str, title: str, kinds: dict[str, Kind], *rows: tuple[str, ...], notes: tuple[str, ...] = ()
) -> Layout:
    """A table of ready texts: `kinds` has its headings, `rows` its cells."""
    columns = tuple(words(heading, str(place), kind) for place, (heading, kind) in enumerate(kinds.items()))
    named = tuple({str(place): cell for place, cell in enumerate(row)} for row in rows)
    return Layout(name, title, columns, named, notes)


def report_of(*texts: str) -> Report:
    """A report with each text wherever text can stand."""
    kinds: dict[str, Kind] = {"a": "verbatim", "b": "text", texts[0]: "number"}
    table = layout_of("t", texts[0], kinds, *((text, text, text) for text in texts), notes=texts)
    picture = Picture("f", "s", *texts[:1] * 4, PNG)
    section = Section(
        "s", texts[0], texts, tuple((t, t) for t in texts), (table,), (picture,), "\n".join(("code", *texts))
    )
    figures = (KeyFigure(texts[0], tuple((text, text) for text in texts)),)
    summary = Summary(texts, texts[0], figures, texts[0], (picture,), texts)
    return Report(texts[0], texts[0], (section,), summary)
