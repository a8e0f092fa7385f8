"""A gate's outcome for a terminal, a pull request (Markdown), a machine (JSON) and a build server (JUnit XML)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from refusal_stability.plain_text import visible_line
from refusal_stability.report.markdown import escaped, verbatim
from refusal_stability.tables.columns import COLUMNS
from refusal_stability.tables.number_format import Row

FAIL, NOT_ENOUGH = "fail", "not enough data"
SHORT = 120
OUT_OF_REACH = "over 1,000,000: the change is too close to the margin"


@dataclass(frozen=True)
class GatePage:
    """What a gate has to say.

    Attributes
    ----------
    first, second : the sides as they were named.
    decision : `pass`, `fail` or `not enough data`.
    checks : a row for each rule and group: `group`, `rule`, `figure`, `decision`, `n_prompts`, `change`, `low`, `high`,
        `prompts_needed`, `samples_needed`.
    differences : rows with `parameter`, `first`, `second`.
    notes : what else a reader must know.
    changed : the prompts whose SSI changed most: `group`, `prompt`, `ssi_a`, `ssi_b`, `change`.
    alpha : the level of the tests.
    threshold : below which a prompt counts as unstable, on both sides.
    """

    first: str
    second: str
    decision: str
    checks: Sequence[Row]
    differences: Sequence[Row]
    notes: Sequence[str]
    changed: Sequence[Row]
    alpha: float
    threshold: float


def gate_text(page: GatePage) -> str:
    """The rules and their outcome, a line each, under what a reader must know first."""
    n = len(page.differences)
    differ = [f"{n} parameter{' differs' if n == 1 else 's differ'} between the sides"] if n else []
    checks = [f"{_group(row)}{row['rule']}: {_outcome(row, page.alpha)}" for row in page.checks]
    lines = [*differ, *page.notes, *checks]
    return "\n".join(visible_line(line) for line in [*lines, f"Gate: {page.decision}"])


def gate_markdown(page: GatePage) -> str:
    """A summary for a pull request; other people's text in code spans."""
    title = f"# Refusal stability: {page.decision}"
    parts = [title, f"{verbatim(page.first)} (A) against {verbatim(page.second)} (B), paired by prompt."]
    # Without groups the sides themselves are the title.
    grouped = any(row["group"] for row in page.checks)
    first = grouped * "| group "
    head = f"{first}| fails if | outcome | change | bounds | prompts | would decide |"
    head += f"\n{grouped * '|---'}|---|---|---:|---:|---:|---|"
    rows = [
        "| "
        + " | ".join(
            [
                *[escaped(row["group"], in_table=True)] * grouped,
                verbatim(row["rule"], in_table=True),
                f"**{row['decision']}**" if row["decision"] == FAIL else row["decision"],
                _number(row, "change"),
                f"{_number(row, 'low')} to {_number(row, 'high')}",
                f"{row['n_prompts']:,}",
                escaped(_needed(row), in_table=True),
            ]
        )
        + " |"
        for row in page.checks
    ]
    parts.append("\n".join([head, *rows]))
    parts.append(
        f"Change is B minus A. Each bound is one-sided, at {1 - page.alpha:.0%}. Both sides are counted at threshold "
        f"{page.threshold:g} and at equal numbers of samples."
    )
    if page.differences:
        cells = (
            " | ".join(verbatim(text, in_table=True) for text in (_short(row["parameter"]), *_apart(row)))
            for row in page.differences
        )
        table = "\n".join(["| parameter | A | B |\n|---|---|---|", *(f"| {line} |" for line in cells)])
        parts += ["## The sides were not run with the same parameters", table]
    if page.notes:
        parts += ["## Notes", "\n".join(f"- {escaped(note)}" for note in page.notes)]
    if page.changed:
        table = "\n".join(
            f"{grouped * ('| ' + escaped(row['group'], in_table=True) + ' ')}"
            f"| {verbatim(_short(row['prompt']), in_table=True)} "
            f"| {row['ssi_a']:.2f} | {row['ssi_b']:.2f} |"
            for row in page.changed
        )
        head = f"{first}| prompt | A | B |\n{grouped * '|---'}|---|---:|---:|"
        parts += ["## Prompts whose SSI changed most", f"{head}\n{table}"]
    return "\n\n".join(parts) + "\n"


def gate_json(page: GatePage) -> dict[str, Any]:
    """The whole outcome as plain data; a number that is not defined is null."""
    return {
        "a": page.first,
        "b": page.second,
        "decision": page.decision,
        "alpha": page.alpha,
        "threshold": page.threshold,
        "checks": [_plain(row) for row in page.checks],
        "parameters_that_differ": [_plain(row) for row in page.differences],
        "notes": list(page.notes),
        "prompts_that_changed_most": [_plain(row) for row in page.changed],
    }


def gate_junit(page: GatePage, written: datetime) -> str:
    """A test case for each rule; one without enough data is an error, so that no build server shows it as passed.

    Valid by the schema of Ant's JUnit reports and by that of Jenkins, which is looser.
    """
    decisions = [row["decision"] for row in page.checks]
    suite = Element(
        "testsuite",
        name="refusal-stability",
        timestamp=written.strftime("%Y-%m-%dT%H:%M:%S"),
        hostname="localhost",  # what Ant writes where it does not know the machine
        tests=str(len(decisions)),
        failures=str(decisions.count(FAIL)),
        errors=str(decisions.count(NOT_ENOUGH)),
        skipped="0",
        time="0",
    )
    about = {"a": page.first, "b": page.second, "decision": page.decision, "alpha": f"{page.alpha:g}"}
    properties = SubElement(suite, "properties")
    for name, value in (about | {"threshold": f"{page.threshold:g}"}).items():
        SubElement(properties, "property", name=name, value=_xml(value))
    for row in page.checks:
        group = row["group"] or "compare"
        case = SubElement(suite, "testcase", classname=_xml(group), name=_xml(row["rule"]), time="0")
        if row["decision"] in (FAIL, NOT_ENOUGH):
            kind = "failure" if row["decision"] == FAIL else "error"
            SubElement(case, kind, message=_xml(_outcome(row, page.alpha)), type=_xml(row["decision"]))
    said = [f"{row['parameter']}: A {row['first']}, B {row['second']}" for row in page.differences]
    SubElement(suite, "system-out").text = _xml("\n".join([*said, *page.notes]))
    SubElement(suite, "system-err")
    indent(suite)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suite, encoding="unicode")}\n'


def _group(row: Row) -> str:
    return f"{row['group']}: " if row["group"] else ""


def _outcome(row: Row, alpha: float) -> str:
    bounds = f"{_number(row, 'low')} to {_number(row, 'high')} at {1 - alpha:.0%} a side"
    text = f"{row['decision']}; changed by {_number(row, 'change')} ({bounds}) over {row['n_prompts']:,} prompts"
    needed = _needed(row)
    return f"{text}; would decide: {needed}" if needed else text


def _needed(row: Row) -> str:
    if row["decision"] != NOT_ENOUGH:
        return ""
    if row["n_prompts"] < 2:
        if row["samples_needed"] is not None:
            return f"at least {row['samples_needed']} samples a prompt and side"
        return "at least 2 prompts" if row["n_prompts"] else "prompts that have this figure, of which there are none"
    if row["prompts_needed"] is None and row["samples_needed"] is None:
        return f"{OUT_OF_REACH} (prompts)"
    ways = [f"{row['prompts_needed']:,} prompts"] if row["prompts_needed"] is not None else []
    if row["samples_needed"] is not None:
        ways.append(f"{row['samples_needed']:,} samples a prompt and side")
    return " or ".join(ways)


def _number(row: Row, name: str) -> str:
    value = row[name]
    return "-" if value is None or math.isnan(value) else f"{value:+.{COLUMNS[row['figure']].decimals + 1}f}"


def _plain(row: Row) -> Row:
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}


def _apart(row: Row) -> tuple[str, str]:
    """Both values of a parameter, cut so that what differs is seen."""
    first, second = row["first"], row["second"]
    alike = min(len(first), len(second))
    start = next((i for i in range(alike) if first[i] != second[i]), alike) - SHORT // 2
    if start > 0:
        first, second = f"…{first[start:]}", f"…{second[start:]}"
    return _short(first), _short(second)


def _short(text: str) -> str:
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"


def _xml(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return "\n".join(visible_line(line) for line in text.split("\n"))
