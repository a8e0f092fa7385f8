"""Report tables as LaTeX (booktabs) and the study's numbers as macros, for a paper to \\input."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from refusal_stability.report.content import Table
from refusal_stability.report.wording import UNKNOWN

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    UNKNOWN: "--",
}
DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
ALIGNMENT = {"text": "l", "number": "r", "verbatim": "p{7cm}"}


def escaped(text: str) -> str:
    """Text as LaTeX prints it: every special character escaped, control characters dropped, one line."""
    folded = " ".join(text.split())
    printable = (c for c in folded if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    # A leading bracket would be read as an argument of the \\ or \midrule before it.
    body = "".join(SPECIAL.get(c, c) for c in printable)
    return f"{{}}{body}" if body.startswith(("[", "*")) else body


def latex_table(table: Table) -> str:
    """A booktabs tabular with its caption and label."""
    lines = [
        "% Written by the report stage. Needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}.",
        "\\begin{table}",
        f"\\caption{{{escaped(table.caption)}}}",
        f"\\label{{tab:{table.name}}}",
        "\\centering",
        f"\\begin{{tabular}}{{{''.join(ALIGNMENT[c.kind] for c in table.columns)}}}",
        "\\toprule",
        _line(c.heading for c in table.columns),
        "\\midrule",
        *(_line(row) for row in table.rows),
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return " & ".join(escaped(cell) for cell in cells) + r" \\"


def macro_name(*words: str) -> str:
    """A macro's name from words: letters only, because TeX takes nothing else; digits are spelt out."""
    parts = re.findall(r"[A-Za-z]+|[0-9]", " ".join(words))
    return "rs" + "".join(DIGITS[int(p)] if p.isdigit() else p[0].upper() + p[1:] for p in parts)


def latex_macros(numbers: Iterable[tuple[tuple[str, ...], str]]) -> str:
    """One macro a number, `(words of its name, value)`; two that would share a name get a letter after it."""
    lines = ["% Written by the report stage: \\input this file and use the numbers by name."]
    seen: dict[str, int] = {}
    for words, value in numbers:
        name = macro_name(*words)
        seen[name] = seen.get(name, 0) + 1
        suffix = "" if seen[name] == 1 else "x" * (seen[name] - 1)
        lines.append(f"\\newcommand{{\\{name}{suffix}}}{{{escaped(value)}}} % {escaped(' / '.join(words))}")
    return "\n".join(lines) + "\n"
