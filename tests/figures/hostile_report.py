"""A report that has hostile text wherever text can stand."""

from __future__ import annotations

from refusal_stability.report.content import Column, Picture, Report, Section, Table

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


def report_of(*texts: str) -> Report:
    """A report with each text wherever text can stand."""
    rows = tuple((text, text, text) for text in texts)
    table = Table("t", texts[0], (Column("a", "verbatim"), Column("b", "text"), Column(texts[0], "number")), rows)
    picture = Picture("f", texts[0], texts[0], texts[0], PNG)
    section = Section(
        "s", texts[0], texts, tuple((t, t) for t in texts), (table,), (picture,), "\n".join(("code", *texts))
    )
    return Report(texts[0], texts[0], (section,))
