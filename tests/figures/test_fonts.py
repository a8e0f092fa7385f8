"""The figures' own fonts are parts of DejaVu Sans: their letters look the same, and all others come from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.font_manager import FontProperties, findfont, get_font

from refusal_stability.figures.style import STYLE, canvas, figure_bytes, house_style

WEIGHTS = ("regular", "bold")
FONTS = STYLE.with_name("fonts")
SENTENCES = ("fi fl ffi AVATAR Ta. To, 0.95 ± 1.2 % – “no” … → ≤ ≥ ≈ ≠ €", "Übergrößen œuvre Łódź Ça naïve señor")


def of_dejavu(weight: str) -> FontProperties:
    with house_style():
        return FontProperties(family=["DejaVu Sans"], weight=weight)


def of_figures(weight: str) -> FontProperties:
    with house_style():
        return FontProperties(weight=weight)


def picture(text: str, font: FontProperties) -> np.ndarray:
    with house_style():
        figure = canvas(1.0)
        figure.text(0.01, 0.5, text, fontproperties=font)
        figure.canvas.draw()
        return np.asarray(figure.canvas.buffer_rgba()).copy()


@pytest.mark.parametrize("weight", WEIGHTS)
def test_text_looks_as_in_dejavu_sans(weight: str) -> None:
    own, whole = of_figures(weight), of_dejavu(weight)
    assert Path(findfont(own)).parent == FONTS
    assert Path(findfont(whole)).parent != FONTS
    letters = sorted(get_font(findfont(own)).get_charmap())
    assert len(letters) > 300
    lines = ["".join(map(chr, letters[start : start + 60])) for start in range(0, len(letters), 60)]
    for text in (*lines, *SENTENCES):
        assert (picture(text, own) == picture(text, whole)).all(), text


@pytest.mark.parametrize("weight", WEIGHTS)
def test_letters_of_other_scripts_come_from_dejavu_sans(weight: str) -> None:
    own, whole = of_figures(weight), of_dejavu(weight)
    for text in ("отказ", "άρνηση", "♥"):
        assert not set(map(ord, text)) & set(get_font(findfont(own)).get_charmap())
        assert (picture(text, own) == picture(text, whole)).all(), text


def test_a_pdf_has_letters_of_both_fonts_as_text() -> None:
    with house_style():
        figure = canvas(1.0)
        figure.text(0.1, 0.5, "refusal отказ")
    page = figure_bytes(figure, "pdf")
    assert page.count(b"/FontFile2") == 2
    assert b"/Type3" not in page


def test_the_fonts_are_those_that_are_cut_from_this_matplotlib(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "docs/write_fonts.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, capture_output=True)
    cut = sorted(tmp_path.glob("*.ttf"))
    assert [font.name for font in cut] == sorted(font.name for font in FONTS.glob("*.ttf"))
    for font in cut:
        new, kept = get_font(font), get_font(FONTS / font.name)
        assert new.get_charmap() == kept.get_charmap()
        for code in kept.get_charmap():
            new.load_char(code)
            kept.load_char(code)
            for one, other in zip(new.get_path(), kept.get_path(), strict=True):
                assert np.array_equal(one, other), (font.name, chr(code))


def test_the_licence_of_the_fonts_is_beside_them() -> None:
    ours = (FONTS / "LICENSE_DEJAVU.txt").read_text(encoding="utf-8")
    theirs = Path(matplotlib.get_data_path(), "fonts/ttf/LICENSE_DEJAVU").read_text(encoding="utf-8")
    assert ours == theirs
