"""How figures become files: each is laid out once and drawn once for each file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from refusal_stability.figures.style import KINDS, canvas, figure_bytes, house_style


@pytest.mark.parametrize("panels", [0, 2])
def test_a_figure_is_drawn_once_for_each_file(panels: int) -> None:
    from matplotlib.artist import Artist

    drawn = []

    class Counted(Artist):
        def draw(self, renderer) -> None:
            drawn.append(type(renderer).__name__)

    with house_style():
        figure = canvas(2.0)
        for number in range(panels):
            figure.add_subplot(1, panels, number + 1).set_title("a panel")
        figure.add_artist(Counted())
        # The settings that the figure was made with must not matter when it is saved.
        first = [figure_bytes(figure, kind) for kind in KINDS]
    assert len(drawn) == len(KINDS)
    assert [figure_bytes(figure, kind) for kind in KINDS] == first
    assert len(drawn) == 2 * len(KINDS)


def test_the_layout_does_not_depend_on_which_file_is_written_first() -> None:
    def made() -> object:
        with house_style():
            figure = canvas(2.0)
            axes = figure.add_subplot()
            axes.set_title("a title")
            axes.set_ylabel("a label\non two lines")
        return figure

    one, other = made(), made()
    forwards = {kind: figure_bytes(one, kind) for kind in KINDS}
    backwards = {kind: figure_bytes(other, kind) for kind in reversed(KINDS)}
    assert forwards == backwards


def test_a_png_has_the_pixels_that_matplotlib_saves() -> None:
    with house_style():
        # A height of no whole number of pixels.
        figure = canvas(2.0031)
        axes = figure.add_subplot()
        axes.set_title("a title")
        axes.fill_between([0, 1], [0, 1], alpha=0.3, color="C1")
        written = Image.open(io.BytesIO(figure_bytes(figure, "png")))
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
    saved = Image.open(buffer)
    assert (written.mode, saved.mode) == ("RGB", "RGBA")
    assert np.array_equal(np.asarray(written.convert("RGBA")), np.asarray(saved))
    assert written.info["dpi"] == saved.info["dpi"]
