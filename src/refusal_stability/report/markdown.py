"""The report as Markdown, for a pull request: figures by path, other people's text in code spans."""

from __future__ import annotations

import re

from refusal_stability.report.content import Picture, Report, Section, Summary
from refusal_stability.tables.layout import Kind, Layout, plain_line

FIGURES_FOLDER = "figures"
# What GitHub makes links of in plain text, after escapes and entities are gone: mentions, issues, addresses.
LINKED = re.compile(r"@|#\d|\bgh-\d|www\.|://", re.IGNORECASE)
PUNCTUATION = re.compile(r"([\\`*_{}\[\]()<>#+!|~@&:$-])")


def markdown_report(report: Report) -> str:
    """The whole report as GitHub-flavoured Markdown."""
    summary = [_summary(report.summary)] if report.summary else []
    sections = (_section(section) for section in report.sections)
    parts = [f"# {escaped(report.title)}", escaped(report.question), *summary, *sections]
    return "\n\n".join(parts) + "\n"


def escaped(text: str, in_table: bool = False) -> str:
    """Text that Markdown shows as it is, on one line; a word that would become a link is set as code."""
    found = plain_line(text).split(" ")
    words = (verbatim(w, in_table) if LINKED.search(w) else PUNCTUATION.sub(r"\\\1", w) for w in found)
    return " ".join(words)


def verbatim(text: str, in_table: bool = False) -> str:
    """Other people's text in a code span: no link, image, mention or HTML in it takes effect."""
    # A pipe ends a table's cell even inside a code span, where its escape is the only one that is honoured.
    line = plain_line(text).replace("|", "\\|") if in_table else plain_line(text)
    fence = "`" * (1 + max((len(run) for run in re.findall(r"`+", line)), default=0))
    return f"{fence} {line} {fence}" if line else ""


def _cell(text: str, kind: Kind) -> str:
    return verbatim(text, in_table=True) if kind == "verbatim" else escaped(text, in_table=True)


def _summary(summary: Summary) -> str:
    parts = ["## Summary", *(f"> **{escaped(warning)}**" for warning in summary.banner), escaped(summary.asked)]
    for figure in summary.figures:
        values = (f"- {escaped(model)}: **{escaped(value)}**" for model, value in figure.values)
        parts.append("\n".join([f"{escaped(figure.name)}:", "", *values]))
    parts.append(f"**{escaped(summary.consequence)}**")
    parts += [line for picture in summary.pictures for line in _picture(picture)]
    parts.append("\n".join(f"- {escaped(caveat)}" for caveat in summary.caveats))
    return "\n\n".join(parts)


def _picture(picture: Picture) -> tuple[str, str]:
    alt = escaped(f"{picture.title}. {picture.finding}")
    return (
        f"![{alt}]({FIGURES_FOLDER}/{picture.name}.png)",
        f"**{escaped(picture.heading)}.** {escaped(picture.finding)} {escaped(picture.caption)}",
    )


def _section(section: Section) -> str:
    parts = [f"## {escaped(section.title)}", *(escaped(p) for p in section.paragraphs)]
    if section.terms:
        parts.append("\n".join(f"- **{escaped(term)}**: {escaped(meaning)}" for term, meaning in section.terms))
    parts += [line for picture in section.pictures for line in _picture(picture)]
    parts += [_table(table) for table in section.tables]
    if section.code:
        fence = "`" * (3 + max((len(run) for run in re.findall(r"`+", section.code)), default=0))
        parts.append(f"{fence}yaml\n{section.code.rstrip()}\n{fence}")
    return "\n\n".join(parts)


def _table(table: Layout) -> str:
    head = "| " + " | ".join(escaped(c.title, in_table=True) for c in table.columns) + " |"
    rule = "|" + "|".join("---:" if c.kind == "number" else "---" for c in table.columns) + "|"
    rows = (
        "| " + " | ".join(_cell(cell, c.kind) for cell, c in zip(row, table.columns, strict=True)) + " |"
        for row in table.cells
    )
    notes = ["", *(escaped(note) for note in table.notes)] if table.notes else []
    return "\n".join([f"*{escaped(table.title)}*", "", head, rule, *rows, *notes])
