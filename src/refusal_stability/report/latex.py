"""Report tables as LaTeX (booktabs) and the study's numbers as macros, for a paper to \\input."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from refusal_stability.tables.layout import Layout
from refusal_stability.tables.number_format import UNKNOWN

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
ALIGNMENT = {"text": "l", "number": "r", "verbatim": "p{9cm}"}
LONGEST_CELL = 200
LETTERS_A_LINE = 55
LINES_A_PAGE = 40
# What every LaTeX can print; of the rest pdfTeX names the code points, and XeTeX and LuaTeX print the letters.
FOREIGN = re.compile(r"[^ -~\u00a0-\u0125\u0128-\u0137\u0139-\u013e\u0141-\u0148\u014a-\u0165\u0168-\u017e–—‘’“”…•€™]+")
NEEDS = (
    "% Written by the report stage. Needs \\usepackage{booktabs}, \\usepackage{graphicx} and \\usepackage[T1]{fontenc}."
)

MACROS = (
    "% Written by the report stage: \\input this file and use the numbers by name.",
    "% A name is rs and the words after the %, each with a capital; digits are spelt out, all but letters left out.",
    "% Where that makes two names alike, the later one has an x after it. Low and High are an interval's bounds.",
    "% Rates, shares and percentages are in per cent without the sign; SSI, kappa, alpha and correlations are not.",
)


def escaped(text: str) -> str:
    """Text as LaTeX prints it: every special character escaped, control characters dropped, one line."""
    folded = " ".join(unicodedata.normalize("NFC", text).split())
    printable = "".join(c for c in folded if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    body = "".join(_printed(part) for part in re.split(f"({FOREIGN.pattern})", printable))
    # A leading bracket would be read as an argument of the \\ or \midrule before it.
    return f"{{}}{body}" if body.startswith(("[", "*")) else body


def _printed(part: str) -> str:
    if not FOREIGN.fullmatch(part):
        return "".join(SPECIAL.get(c, c) for c in part)
    points = " ".join(f"U+{ord(c):04X}" for c in part)
    return rf"\ifdefined\Umathcode {part}\else[{points}]\fi{{}}"


def latex_table(table: Layout) -> str:
    """A booktabs tabular with its caption and label, made smaller where it is wider than the page.

    A table too long for a page is several, one after the other.
    """
    pages = list(_pages(table.cells))
    lines = [NEEDS]
    for place, rows in enumerate(pages):
        lines += _float(table, rows, first=place == 0, last=place == len(pages) - 1)
    return "\n".join(lines) + "\n"


def _float(table: Layout, rows: Sequence[Sequence[str]], first: bool, last: bool) -> list[str]:
    return [
        "\\begin{table}",
        f"\\caption{{{escaped(table.title)}{'' if first else ' (continued)'}}}",
        *([f"\\label{{tab:{table.name}}}"] if first else []),
        "\\centering",
        "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%",
        f"\\begin{{tabular}}{{{''.join(ALIGNMENT[c.kind] for c in table.columns)}}}",
        "\\toprule",
        _line(c.title for c in table.columns),
        "\\midrule",
        *(_line(row) for row in rows),
        "\\bottomrule",
        "\\end{tabular}}",
        *([f"\\par\\smallskip{{\\footnotesize {escaped(' '.join(table.notes))}}}"] if last and table.notes else []),
        "\\end{table}",
    ]


def _pages(rows: Sequence[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    """The rows in as many parts as it takes for each to fit a page."""
    page: list[Sequence[str]] = []
    lines = 0
    for row in rows:
        tall = math.ceil(max(min(len(cell), LONGEST_CELL) for cell in row) / LETTERS_A_LINE)
        if page and lines + tall > LINES_A_PAGE:
            yield page
            page, lines = [], 0
        page.append(row)
        lines += tall
    yield page


def _line(cells: Iterable[str]) -> str:
    short = (cell if len(cell) <= LONGEST_CELL else f"{cell[: LONGEST_CELL - 1]}…" for cell in cells)
    return " & ".join(map(escaped, short)) + r" \\"


def macro_name(*words: str) -> str:
    """A macro's name from words: letters only, because TeX takes nothing else; digits are spelt out."""
    parts = re.findall(r"[A-Za-z]+|[0-9]", " ".join(words))
    return "rs" + "".join(DIGITS[int(p)] if p.isdigit() else p[0].upper() + p[1:] for p in parts)


def latex_macros(numbers: Iterable[tuple[tuple[str, ...], str]]) -> str:
    """One macro a number, `(words of its name, value)`; a name that is taken gets an `x` after it."""
    lines = list(MACROS)
    seen: set[str] = set()
    for words, value in numbers:
        name = macro_name(*words)
        while name in seen:
            name += "x"
        seen.add(name)
        lines.append(f"\\newcommand{{\\{name}}}{{{escaped(value)}}} % {escaped(' / '.join(words))}")
    return "\n".join(lines) + "\n"
