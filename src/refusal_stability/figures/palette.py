"""The colours of decisions and models, the same in every figure and in the report.

Decisions can be told apart in grey: their lightness (CIE L*) is 27, 82 and 50. Any two models differ by at least 20
(CIE76) for readers with protanopia, deuteranopia, tritanopia and normal sight, and are dark enough for text on white.
tests/figures/test_palette.py simulates this. Models also differ by marker, because eight colours cannot be told apart
in grey.
"""

from __future__ import annotations

from typing import Any

from refusal_stability.records import Decision

DECISION_COLOURS = {Decision.REFUSE: "#12436D", Decision.PARTIAL: "#F2C66D", Decision.COMPLY: "#C8501E"}
DECISION_INK = {Decision.REFUSE: "#FFFFFF", Decision.PARTIAL: "#222222", Decision.COMPLY: "#FFFFFF"}
DECISION_WORDS = {Decision.REFUSE: "refused", Decision.PARTIAL: "partly met", Decision.COMPLY: "complied"}


# As text on white.
DECISION_TEXT = {Decision.REFUSE: "#12436D", Decision.PARTIAL: "#7A5A10", Decision.COMPLY: "#A63F14"}
UNSTABLE_TEXT = "#4A4A4A"

MODEL_COLOURS = ("#332288", "#A66300", "#267F53", "#7F0000", "#6D62D9", "#875C99", "#3C174C", "#590D24")
MODEL_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")

INK = "#222222"
MUTED = "#595959"
RULE = "#767676"
FAINT = "#E3E3E3"
UNSTABLE_FILL = "#F4F1F4"


def model_look(position: int) -> tuple[str, str]:
    """Colour and marker of the model at a position in the study, from 0; no two of the first 64 share both."""
    turn = position // len(MODEL_COLOURS)
    return MODEL_COLOURS[position % len(MODEL_COLOURS)], MODEL_MARKERS[(position + turn) % len(MODEL_MARKERS)]


def intervention_line(position: int) -> Any:
    """The line style of the intervention at a position: solid, dashed, dotted, then dashes with more and more dots."""
    first: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)))
    return first[position] if position < len(first) else (0, (5, 1.2, *(1.2, 1.2) * (position - len(first) + 1)))
