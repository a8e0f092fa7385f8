"""Every LaTeX table and macro of a report, compiled by a real pdfTeX: no error, nothing wider than the page."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hostile_report import HOSTILE, layout_of, report_of

from refusal_stability.report.latex import escaped, latex_table

pytestmark = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="no pdflatex: apt-get install texlive-latex-base"
)

PACKAGES = r"\usepackage[T1]{fontenc}\usepackage{booktabs}\usepackage{graphicx}\usepackage{longtable,array,lscape}"
ALPHABETS = (
    "日本語のモデル",
    "модель",
    "نموذج",
    "ε-greedy ≤ 1 → 2",
    "Ünïcödé",
    "e\u0301",
    "🙂",
    "\u0149",
    "a\u200bb\u202ec",
)


def compiled(folder: Path, body: str) -> str:
    """The log of a document of this body; an error of LaTeX fails the test with its text."""
    (folder / "paper.tex").write_text(
        f"\\documentclass{{article}}{PACKAGES}\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", "paper.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    log = done.stdout.decode("latin-1")
    assert done.returncode == 0, log[-2000:]
    return log


def text_of(folder: Path) -> str:
    """What a reader of the page sees, where pdftotext is there to say."""
    if shutil.which("pdftotext") is None:
        return ""
    return subprocess.run(
        ["pdftotext", "paper.pdf", "-"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def test_the_tables_and_macros_of_a_study_compile_and_fit_the_page(reported: Path, tmp_path: Path) -> None:
    tables = sorted((reported / "reports/tables").glob("*.tex"))
    assert len(tables) > 10
    macros = re.findall(r"\\newcommand\{(\\\w+)\}", (reported / "reports/tables/numbers.tex").read_text())
    body = [path.read_text() for path in tables if path.stem != "numbers"]
    body = [(reported / "reports/tables/numbers.tex").read_text(), *body, " ".join(f"{name}{{}}" for name in macros)]
    log = compiled(tmp_path, "\\sloppy\n" + "\n\\clearpage\n".join(body))
    assert "Overfull \\hbox" not in log
    assert "Float too large" not in log


def test_a_table_of_hostile_texts_compiles_and_reads_no_file(tmp_path: Path) -> None:
    table = report_of(*HOSTILE, *ALPHABETS).tables[0]
    compiled(tmp_path, latex_table(table))
    assert "root:" not in text_of(tmp_path)


def test_a_table_longer_than_a_page_goes_on_with_its_head_on_each(tmp_path: Path) -> None:
    long = (
        "a_quantity_with_a_name_as_long_as_this",
        "a sentence of a remark " * 8,
        "claude-3.5-haiku or llama-judge",
        "B" * 60,
    )
    table = report_of(*(f"row {i}" for i in range(150)), *long).tables[0]
    written = latex_table(table)
    assert written.count("\\begin{longtable}") == 1
    assert "\\begin{table}" not in written
    assert written.count("\\label{") == 1
    assert all(f"row {i} & row {i} & row {i} \\\\" in written for i in range(150))
    log = compiled(tmp_path, written)
    assert "Overfull \\hbox" not in log
    pages = int(re.findall(r"\((\d+) pages?", log)[0])
    assert pages > 2
    assert text_of(tmp_path).count("(continued)") in (0, pages - 1)


def test_a_long_table_of_many_columns_is_turned_and_no_word_leaves_its_column(tmp_path: Path) -> None:
    kinds = {f"Column {i}": "number" if i > 7 else "text" for i in range(10)} | {"Remark": "text"}
    row = (*("mean_ssi_of_a_long_name",) * 8, "[0.9098, 0.9384]", "0.924281", "a remark of many words " * 12)
    table = layout_of("t", "T", kinds, *[row] * 60)
    written = latex_table(table)
    assert written.count("\\begin{landscape}") == written.count("\\end{landscape}") == 1
    assert written.count("many words") == 60 * 12
    assert "Overfull \\hbox" not in compiled(tmp_path, written)


def test_a_long_remark_in_a_short_table_wraps(tmp_path: Path) -> None:
    table = layout_of("t", "T", {"figure": "text", "remark": "text"}, ("ssi", "a remark of many words " * 5))
    assert "\\begin{tabular}{lp{9cm}}" in latex_table(table)
    compiled(tmp_path, latex_table(table))


@pytest.mark.parametrize("text", ALPHABETS)
def test_a_name_in_any_alphabet_can_stand_in_a_heading_and_a_macro(text: str, tmp_path: Path) -> None:
    name = escaped(text)
    compiled(
        tmp_path,
        f"\\newcommand{{\\rsName}}{{{name}}}\\section{{{name}}}\n\\begin{{table}}\\caption{{\\rsName}}\\end{{table}}",
    )
