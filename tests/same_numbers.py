"""Compare the numbers of two study folders: `python tests/same_numbers.py OLD NEW [--rename a=b] [--close 1e-12]`.

Every file of OLD must be in NEW with the same values. Added files, columns, rows of other tables and macros are fine,
and so is reworded text. Prints a line for each file and a total; the exit status is 1 where a value differs.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Callable, Mapping
from itertools import zip_longest
from pathlib import Path

TABLES = (
    "data/prompts.csv",
    "data/metrics/*.csv",
    "data/generations/**/*.csv",
    "data/labels/**/*.csv",
    "data/judge_report/*.csv",
    "reports/published/**/*.csv",
)
OTHERS = ("data/metrics/*.json", "reports/tables/*.tex", "reports/report.md", "reports/published.md")
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
MACRO = re.compile(r"^\\newcommand\{\\([A-Za-z]+)\}\{(.*)\} %", re.MULTILINE)
Rows = list[list[float]]


def same_number(old: float, new: float, close: float) -> bool:
    """Whether two numbers are equal, or differ by no more than `close`, relative to the larger of 1 and their size."""
    return old == new or abs(old - new) <= close * max(1.0, abs(old))


def same_value(old: str, new: str, close: float) -> bool:
    """Whether two cells hold the same text or the same number."""
    if old == new:
        return True
    try:
        return same_number(float(old), float(new), close)
    except ValueError:
        return False


def csv_difference(old: Path, new: Path, renamed: Mapping[str, str], close: float) -> str:
    """The first difference of two tables in the columns of the old one; empty where there is none."""
    csv.field_size_limit(sys.maxsize)
    with old.open(encoding="utf-8", newline="") as one, new.open(encoding="utf-8", newline="") as other:
        before, after = csv.DictReader(one), csv.DictReader(other)
        names = {name: renamed.get(name, name) for name in before.fieldnames or ()}
        absent = [name for name in names.values() if name not in (after.fieldnames or ())]
        if absent:
            return f"no column {', '.join(absent)}"
        for number, (row, theirs) in enumerate(zip_longest(before, after), 2):
            if row is None or theirs is None:
                return f"row {number} is in one of the two only"
            for name, new_name in names.items():
                if not same_value(row[name], theirs[new_name], close):
                    return f"row {number}, {name}: {row[name]!r} is now {theirs[new_name]!r}"
    return ""


def numbers_of(row: str) -> list[float]:
    """The numbers in a table's row, in order."""
    return [float(number.replace(",", "")) for number in NUMBER.findall(row.replace("\\", ""))]


def markdown_tables(text: str) -> list[Rows]:
    """The numbers of each table of a Markdown page, without its heading."""
    tables: list[Rows] = []
    inside = False
    for line in text.splitlines():
        if re.fullmatch(r"\|[-:|]+\|", line):
            tables.append([])
            inside = True
        elif inside and line.startswith("|"):
            tables[-1].append(numbers_of(line))
        else:
            inside = False
    return tables


def latex_rows(text: str) -> list[Rows]:
    """The numbers of a LaTeX table that may go over several pages."""
    bodies = re.findall(r"\\midrule\n(.*?)\\bottomrule", text, re.DOTALL)
    return [[numbers_of(line) for body in bodies for line in body.splitlines()]]


def holds(old: Rows, new: Rows, close: float) -> bool:
    """Whether a table has the rows of another, each with its numbers in order and perhaps more."""

    def within(row: list[float], theirs: list[float]) -> bool:
        rest = iter(theirs)
        return all(any(same_number(number, other, close) for other in rest) for number in row)

    return len(old) == len(new) and all(map(within, old, new))


def table_difference(tables: Callable[[str], list[Rows]], old: str, new: str, close: float) -> str:
    """The first table of `old` whose numbers no table of `new` has."""
    there = tables(new)
    for place, table in enumerate(tables(old), 1):
        if not any(holds(table, candidate, close) for candidate in there):
            return f"table {place} ({len(table)} rows, first {table[0] if table else []}) has other numbers"
    return ""


def json_difference(old: object, new: object, place: str = "") -> str:
    """The first value of one JSON file that another does not have."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = (
            json_difference(value, new[key], f"{place}.{key}") if key in new else f"{place}.{key} is absent"
            for key, value in old.items()
        )
        return next(filter(None, found), "")
    return "" if old == new else f"{place}: {old!r} is now {new!r}"


def difference(old: Path, new: Path, renamed: Mapping[str, str], close: float) -> str:
    """The first difference of two files; empty where their numbers are the same."""
    if not new.is_file():
        return "no such file"
    if old.suffix == ".csv":
        return csv_difference(old, new, renamed, close)
    before, after = (path.read_text(encoding="utf-8") for path in (old, new))
    if old.suffix == ".json":
        return json_difference(json.loads(before), json.loads(after))
    macros, theirs = dict(MACRO.findall(before)), dict(MACRO.findall(after))
    for name, value in macros.items():
        if theirs.get(name) != value:
            return f"{name}: {value!r} is now {theirs.get(name)!r}"
    if macros or old.name == "versions.tex":
        return ""
    return table_difference(latex_rows if old.suffix == ".tex" else markdown_tables, before, after, close)


def compared(old: Path, new: Path, renamed: Mapping[str, str], close: float) -> dict[str, str]:
    """Each file of `old` -> its first difference from `new`."""
    files = sorted({file for pattern in (*TABLES, *OTHERS) for file in old.glob(pattern)})
    names = (file.relative_to(old) for file in files)
    return {str(name): difference(old / name, new / name, renamed, close) for name in names}


def main(arguments: list[str] | None = None) -> int:
    """Print a line for each file and the total."""
    parser = argparse.ArgumentParser(description="Compare the numbers of two study folders.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--rename", action="append", default=[], metavar="OLD=NEW", help="a column's new name")
    parser.add_argument("--close", type=float, default=0.0, help="the largest difference that is none, e.g. 1e-12")
    chosen = parser.parse_args(arguments)
    found = compared(chosen.old, chosen.new, dict(one.split("=", 1) for one in chosen.rename), chosen.close)
    for name, told in found.items():
        print(f"{name}: {f'DIFFERS: {told}' if told else 'same'}")
    wrong = sum(map(bool, found.values()))
    print(f"{len(found)} files: {len(found) - wrong} same, {wrong} different")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main())
