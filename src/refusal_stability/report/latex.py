"""Report tables as LaTeX (booktabs) and the study's numbers as macros, for a paper to \\input."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence

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
PARAGRAPH = "p{9cm}"
ALIGNMENT = {"text": "l", "number": "r", "verbatim": PARAGRAPH}
LONGEST_CELL = 200
LETTERS_A_LINE = 55
LINES_A_PAGE = 40
# What every LaTeX can print; of the rest pdfTeX names the code points, and XeTeX and LuaTeX print the letters.
FOREIGN = re.compile(r"[^ -~\u00a0-\u0125\u0128-\u0137\u0139-\u013e\u0141-\u0148\u014a-\u0165\u0168-\u017e–—‘’“”…•€™]+")
NEEDS = (
    "% Written by the report stage. Needs \\usepackage{{booktabs}}, \\usepackage{{{package}}} and "
    "\\usepackage[T1]{{fontenc}}."
)
LONG = " It goes on over pages, so it needs text in one column."
GAP = 2.0  # points; half the space between columns
# Sizes of type with a letter's width in points, on the text of an article, first upright and then turned.
UPRIGHT, TURNED = 345.0, 550.0
SETTINGS = (
    ("\\footnotesize", 4.6, UPRIGHT),
    ("\\scriptsize", 4.1, UPRIGHT),
    ("\\footnotesize", 4.6, TURNED),
    ("\\scriptsize", 4.1, TURNED),
    ("\\tiny", 3.4, TURNED),
)
ROOMY = 1.3  # times the room that the longest words need
PIECE = re.compile(r"[^\s_/-]{1,12}[_/-]*|[_/-]+")

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
    """A booktabs table with its caption and label: a float where it fits a page, otherwise a longtable."""
    lines = sum(math.ceil(max(min(len(cell), LONGEST_CELL) for cell in row) / LETTERS_A_LINE) for row in table.cells)
    return "\n".join(_longtable(table) if lines > LINES_A_PAGE else _float(table)) + "\n"


def _float(table: Layout) -> list[str]:
    """A floating table, made smaller where it is wider than the page."""
    wide = [max(map(len, column)) > LETTERS_A_LINE for column in zip(*table.cells, strict=True)]
    kinds = [PARAGRAPH if wraps else ALIGNMENT[c.kind] for c, wraps in zip(table.columns, wide, strict=True)]
    return [
        NEEDS.format(package="graphicx"),
        "\\begin{table}",
        f"\\caption{{{escaped(table.title)}}}",
        f"\\label{{tab:{table.name}}}",
        "\\centering",
        "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%",
        f"\\begin{{tabular}}{{{''.join(kinds)}}}",
        "\\toprule",
        _line(map(escaped, _titles(table))),
        "\\midrule",
        *(_line(map(escaped, map(_cut, row))) for row in table.cells),
        "\\bottomrule",
        "\\end{tabular}}",
        *([f"\\par\\smallskip{{\\footnotesize {escaped(' '.join(table.notes))}}}"] if table.notes else []),
        "\\end{table}",
    ]


def _titles(table: Layout) -> list[str]:
    return [column.title for column in table.columns]


def _cut(cell: str) -> str:
    return cell if len(cell) <= LONGEST_CELL else f"{cell[: LONGEST_CELL - 1]}…"


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _longtable(table: Layout) -> list[str]:
    """A table that goes on over pages, with its head on each: columns as wide as their words need, text wrapped."""
    own = [c.kind == "text" for c in table.columns]
    cut = ([c if whole else _cut(c) for c, whole in zip(row, own, strict=True)] for row in table.cells)
    rows = [_titles(table), *cut]
    size, turned, shares = _widths(rows)
    side = {"number": "\\raggedleft", "text": "\\raggedright", "verbatim": "\\raggedright"}
    columns = (
        f">{{{side[c.kind]}\\arraybackslash}}p{{\\dimexpr {share:.4f}\\linewidth-2\\tabcolsep\\relax}}"
        for c, share in zip(table.columns, shares, strict=True)
    )
    head = ["\\toprule", _line(map(_breakable, rows[0])), "\\midrule"]
    title = escaped(table.title)
    return [
        NEEDS.format(package="longtable,array,lscape") + LONG,
        *(["\\begin{landscape}"] if turned else []),
        f"{{{size}\\setlength{{\\tabcolsep}}{{{GAP:g}pt}}",
        f"\\begin{{longtable}}{{{''.join(columns)}}}",
        f"\\caption{{{title}}}\\label{{tab:{table.name}}}\\\\",
        *head,
        "\\endfirsthead",
        f"\\caption[]{{{title} (continued)}}\\\\",
        *head,
        "\\endhead",
        "\\bottomrule",
        "\\endfoot",
        *(_line(map(_breakable, row)) for row in rows[1:]),
        "\\end{longtable}",
        *([f"\\par{{\\footnotesize {_breakable(' '.join(table.notes))}}}"] if table.notes else []),
        "}",
        *(["\\end{landscape}"] if turned else []),
    ]


def _widths(rows: Sequence[Sequence[str]]) -> tuple[str, bool, list[float]]:
    """The first setting with room for each column's longest word, whether it is turned, and the columns' shares."""
    columns = list(zip(*rows, strict=True))
    needed = [max(max(map(_width, _pieces(cell)), default=0.0) for cell in column) + 1 for column in columns]
    wished = [max(*map(len, column), need) for column, need in zip(columns, needed, strict=True)]
    rooms = [(size, width, (width - 2 * GAP * len(columns)) / letter) for size, letter, width in SETTINGS]
    size, width, room = next((one for one in rooms if ROOMY * sum(needed) <= one[2]), rooms[-1])
    spare, more = max(0.0, room - sum(needed)), max(1.0, sum(wished) - sum(needed))
    letters = [need + spare * (wish - need) / more for need, wish in zip(needed, wished, strict=True)]
    gap = 2 * GAP / width
    scale = (1 - gap * len(columns)) / sum(letters)
    return size, width == TURNED, [letter * scale + gap for letter in letters]


def _width(piece: str) -> float:
    """A piece's width in letters; capitals are wider."""
    return len(piece) + 0.4 * sum(letter.isupper() for letter in piece)


def _pieces(text: str) -> list[str]:
    """The parts of a text between which a line may end: words, and parts of long ones."""
    return PIECE.findall(unicodedata.normalize("NFC", text))


def _breakable(text: str) -> str:
    words = unicodedata.normalize("NFC", text).split()
    return " ".join("\\allowbreak{}".join(map(escaped, _pieces(word))) for word in words)


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
