"""Every figure, drawn from tables of the real measures: what is in it, and that nothing overlaps or is cut off."""

from __future__ import annotations

import hashlib
import itertools
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING

import pytest
from synthetic_study import SyntheticStudy, synthetic_study

from refusal_stability import figures
from refusal_stability.figures.finding import NO_FINDING
from refusal_stability.figures.gallery import GALLERY
from refusal_stability.figures.series import SeriesSet
from refusal_stability.figures.study_figure import StudyFigure
from refusal_stability.figures.style import figure_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables

EIGHT = {
    "a": "Llama 3.1 8B",
    "b": "Mistral 7B v0.3",
    "c": "Qwen 2.5 7B",
    "d": "a model with $dollars$ and_under^scores",
    "e": "meta-llama/Llama-3.1-70B-Instruct-awq-int4-of-somebody",
    "f": "Gemma\n3 12B",
    "g": None,
    "h": "Phi 4",
}
STUDIES = {
    "two models": {},
    "one model": {"labels": {"only": None}},
    "eight models": {"labels": EIGHT, "n_prompts": 25},
    "one temperature": {"temperatures": (0.7,)},
    "one seed": {"n_seeds": 1},
    "one prompt": {"n_prompts": 1},
    "three interventions": {
        "interventions": ("none", "safety-prompt", "few-shot"),
        "harms": ("harmful", "harmful", "benign", ""),
        "rounds": True,
    },
    "much missing": {"missing_share": 0.6, "n_seeds": 2},
    "all missing": {"missing_share": 1.0},
}
FIGURES = pytest.mark.parametrize("figure", GALLERY, ids=lambda figure: figure.name)


@pytest.fixture(scope="session")
def studies() -> dict[str, SyntheticStudy]:
    return {name: synthetic_study(**options) for name, options in STUDIES.items()}


@pytest.fixture(scope="session")
def pages(studies, drawn_alone) -> dict[str, dict[str, bytes]]:
    """The files of each figure of the study of two models, by figure and format."""
    study = studies["two models"]
    files = {}
    for figure in GALLERY:
        kinds = {kind: f"{figure.name}.{kind}" for kind in ("png", "pdf")}
        if set(kinds.values()) <= drawn_alone.keys():
            files[figure.name] = {kind: drawn_alone[name] for kind, name in kinds.items()}
        else:
            drawing = figure.draw(study.tables, study.series_set)
            files[figure.name] = {kind: figure_bytes(drawing, kind) for kind in kinds}
    return files


def drawn_texts(figure):
    """Every text that the figure shows, with its box in pixels."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    shown = []
    hidden = {id(text) for axes in figure.axes for text in undrawn_texts(axes)}
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and id(text) not in hidden:
            box = text.get_window_extent(renderer)
            if box.width and box.height:
                shown.append((text.get_text(), box))
    return shown


def undrawn_texts(axes):
    """Texts of invisible axes, and tick labels that matplotlib keeps for places outside the axes."""
    from matplotlib.text import Text

    if not axes.get_visible():
        return axes.findobj(Text)
    kept = []
    for axis in (axes.xaxis, axes.yaxis):
        drawn = {id(tick) for tick in axis._update_ticks()}
        spare = [tick for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()] if id(tick) not in drawn]
        kept += [label for tick in spare for label in (tick.label1, tick.label2)]
    return kept


@pytest.mark.parametrize(
    ("figure", "name"),
    [*itertools.product(GALLERY, STUDIES)],
    ids=lambda value: getattr(value, "name", value),
)
def test_no_text_is_cut_off_and_no_two_texts_overlap(studies, figure: StudyFigure, name: str) -> None:
    study = studies[name]
    drawing = figure.draw(study.tables, study.series_set)
    texts = drawn_texts(drawing)
    assert texts
    page = drawing.bbox
    for text, box in texts:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= page.width + 1 and box.y1 <= page.height + 1
        assert inside, f"{text!r} is cut off: {box} on {page.width} x {page.height}"
    for (one, a), (two, b) in itertools.combinations(texts, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(across, down) <= 1.5, f"{one!r} and {two!r} overlap by {across:.1f} x {down:.1f} pixels"


def test_the_same_tables_give_the_same_bytes_in_another_process_which_imports_seaborn_only_for_figures_that_say_so(
    studies, pages, tmp_path: Path
) -> None:
    script = (
        "import sys, hashlib, pickle, pathlib; sys.path.insert(0, sys.argv[1])\n"
        "from refusal_stability.figures.gallery import GALLERY\n"
        "from refusal_stability.figures.pages import study_pages\n"
        "from refusal_stability.figures.style import figure_bytes\n"
        "tables, series_set = pickle.loads(pathlib.Path('study').read_bytes())\n"
        "drawn = study_pages(tables, series_set, 2)\n"  # by processes that import seaborn without scipy
        "assert not {'seaborn', 'scipy'} & set(sys.modules)\n"
        "for figure in sorted(GALLERY, key=lambda figure: figure.by_seaborn):\n"
        "    if figure.by_seaborn:\n"
        "        sys.modules.pop('seaborn', None)\n"
        "    drawing = figure.draw(tables, series_set)\n"
        "    assert ('seaborn' in sys.modules) == figure.by_seaborn, figure.name\n"
        "    assert figure.by_seaborn or 'scipy' not in sys.modules, figure.name\n"
        "    files = [figure_bytes(drawing, kind) for kind in ('png', 'pdf')]\n"
        "    of_study = figure.belongs_to(tables)\n"
        "    assert not of_study or files == [drawn[f'{figure.name}.{kind}'] for kind in ('png', 'pdf')], figure.name\n"
        "    print(figure.name, *(hashlib.sha256(file).hexdigest() for file in files))\n"
    )
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: 30\n")
    study = studies["two models"]
    (tmp_path / "study").write_bytes(pickle.dumps((study.tables, study.series_set)))
    done = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parent)],
        env={
            **{"PYTHONHASHSEED": "1", "PATH": "/usr/bin", "MPLCONFIGDIR": str(tmp_path), "HOME": str(tmp_path)},
            **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(
        " ".join([name, *(hashlib.sha256(files[kind]).hexdigest() for kind in ("png", "pdf"))])
        for name, files in pages.items()
    )


@FIGURES
def test_a_pdf_holds_true_text_and_neither_dates_nor_versions(pages, figure: StudyFigure) -> None:
    page = pages[figure.name]["pdf"]
    assert b"/Type3" not in page
    assert b"/CIDFontType2" in page or b"/TrueType" in page
    assert b"CreationDate" not in page
    assert b"Matplotlib" not in page


@FIGURES
def test_a_png_is_300_dots_an_inch_and_carries_no_metadata(pages, figure: StudyFigure) -> None:
    page = pages[figure.name]["png"]
    chunks = re.findall(rb"(IHDR|pHYs|tEXt|iTXt|zTXt|tIME)", page[:400])
    assert b"pHYs" in chunks
    assert not {b"tEXt", b"iTXt", b"tIME"} & set(chunks)
    dots_a_metre = int.from_bytes(page[page.index(b"pHYs") + 4 :][:4], "big")
    assert dots_a_metre == round(300 / 0.0254)


@FIGURES
def test_a_figure_says_in_words_what_it_shows(studies, figure: StudyFigure) -> None:
    study = studies["three interventions" if figure.optional else "two models"]
    words = figure.alt_text(study.tables, study.series_set)
    named = ("model-judge", "rules") if figure.name == "judge_confusion" else ("steady", "Wavering 2.0")
    assert all(name in words for name in named)
    assert re.search(r"\d", words)
    assert "nan" not in words


@pytest.mark.parametrize("name", ["two models", "eight models", "three interventions", "one temperature", "one prompt"])
@FIGURES
def test_a_caption_states_one_finding_in_one_sentence(studies, figure: StudyFigure, name: str) -> None:
    study = studies[name]
    if not figure.belongs_to(study.tables):
        return
    if figure.name == "decomposition" and name == "one prompt":
        assert figure.finding(study.tables, study.series_set) == NO_FINDING
        return
    words = figure.finding(study.tables, study.series_set)
    for label in (one.label for one in study.series_set.series):
        words = words.replace(f"({label})", "(NAME)").replace(f" {label}:", " NAME:").replace(f" {label},", " NAME,")
    assert re.fullmatch(r"[A-Z].+\.", words)
    assert ". " not in words
    assert "nan" not in words
    # Two estimates with their intervals, and what they are about: a threshold, a temperature, a number of prompts.
    assert 1 <= len(re.findall(r"\d[\d.,]*", words)) <= 9, words


@FIGURES
def test_a_study_without_a_single_decision_gives_a_page_that_says_why(studies, figure: StudyFigure) -> None:
    study = studies["all missing"]
    assert "nan" not in figure.alt_text(study.tables, study.series_set)
    assert figure.finding(study.tables, study.series_set) == NO_FINDING
    drawing = figure.draw(study.tables, study.series_set)
    assert drawing.axes == []
    (words,) = drawing.texts
    assert re.match("No .*(decision|decided|variance)", words.get_text())


def without(tables: Tables, *estimates: tuple[str, str]) -> Tables:
    """The tables without some estimates and their intervals, each named by table and column."""
    dropped = dict(tables)
    for name, column in estimates:
        dropped[name] = dropped[name].drop(columns=[column, f"{column}_low", f"{column}_high"])
    return dropped


def narrowed(tables: Tables, name: str, column: str) -> Tables:
    """The tables with one column's intervals as narrow as can be, and all else the same."""
    same = {f"{column}_{end}": tables[name][column] for end in ("low", "high")}
    return {**tables, name: tables[name].assign(**same)}


def needed(
    show: Callable[[Tables, SeriesSet], object], study: SyntheticStudy, estimates: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """The estimates each of which cannot be taken away."""

    def missed(*taken: tuple[str, str]) -> str:
        try:
            show(without(study.tables, *taken), study.series_set)
        except KeyError as error:
            return str(error)
        return ""

    # To take one after the other away would draw the figure for each; so all go, until none is missed.
    asked: set[tuple[str, str]] = set()
    while error := missed(*(where for where in estimates if where not in asked)):
        names = set(re.findall(r"\w+", error))
        more = {(name, column) for name, column in estimates if {column, f"{column}_low", f"{column}_high"} & names}
        assert more - asked, error
        asked |= more
    return [where for where in estimates if where in asked and missed(where)]


def picture(figure: Figure) -> bytes:
    figure.set_dpi(60)
    figure.canvas.draw()
    return bytes(figure.canvas.buffer_rgba())


@FIGURES
def test_every_estimate_that_a_figure_draws_or_tells_has_its_interval_there(figure: StudyFigure) -> None:
    study = synthetic_study(n_prompts=30, interventions=("none", "careful"), harms=("harmful", "benign"))
    bounded = [
        (name, column)
        for name in figure.tables
        for column in study.tables[name].columns
        if f"{column}_low" in study.tables[name].columns
    ]
    assert bounded or figure.name in ("decision_heatmap", "stability_vs_compliance", "adaptive_samples")
    drawn = needed(figure.draw, study, bounded)
    told = needed(figure.alt_text, study, bounded)
    assert drawn or figure.name in (
        *("decision_heatmap", "judge_confusion", "stability_vs_compliance"),
        # Counts of prompts and samples, which are no estimates.
        "adaptive_samples",
    )
    before = picture(figure.draw(study.tables, study.series_set))
    for where in drawn:
        assert picture(figure.draw(narrowed(study.tables, *where), study.series_set)) != before, where
    words = figure.alt_text(study.tables, study.series_set)
    for where in told:
        assert figure.alt_text(narrowed(study.tables, *where), study.series_set) != words, where


def test_only_a_study_of_several_interventions_has_the_figure_of_their_effects(studies) -> None:
    figure, rounds = [figure for figure in GALLERY if figure.optional]
    assert (figure.name, rounds.name) == ("intervention_effect", "adaptive_samples")
    assert not rounds.belongs_to(studies["two models"].tables)
    assert not figure.belongs_to(studies["two models"].tables)
    assert figure.belongs_to(studies["three interventions"].tables)
    assert rounds.belongs_to(studies["three interventions"].tables)


def test_every_file_that_makes_a_figure_is_listed() -> None:
    modules = [import_module(f"{figures.__name__}.{module.name}") for module in iter_modules(figures.__path__)]
    made = [module.FIGURE for module in modules if hasattr(module, "FIGURE")]
    assert sorted(figure.name for figure in made) == sorted(figure.name for figure in GALLERY)


def test_every_figure_has_its_own_name_and_words() -> None:
    assert len({figure.name for figure in GALLERY}) == len(GALLERY)
    assert len({figure.caption for figure in GALLERY}) == len(GALLERY)
