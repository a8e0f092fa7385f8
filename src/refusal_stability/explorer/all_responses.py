"""Every response to a prompt at once: grouped by decision, equal texts once, what differs within a group marked."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from difflib import SequenceMatcher

from refusal_stability.explorer.study import Answer
from refusal_stability.explorer.views import LETTERS, Decided, badge
from refusal_stability.plain_text import visible
from refusal_stability.records import Condition

# Word by word, with the space after each, so that the pieces put together are the text again.
WORD = re.compile(r"\s*\S+\s*|\s+")
MOST_COMPARED = 400  # words; a comparison takes their square


def grouped_as_html(decisions: Mapping[Condition, Decided], answers: Mapping[Condition, Answer]) -> str:
    """One series' responses to a prompt, as HTML in which every text is escaped."""
    parts = []
    for label in LETTERS:
        mine = [c for c, one in decisions.items() if one.label == label and one.sampled]
        if mine:
            parts.append(f"<h5>{badge(label)} {len(mine)} of {len(decisions)}</h5>{_group(mine, answers)}")
    return "".join(parts)


def _group(conditions: list[Condition], answers: Mapping[Condition, Answer]) -> str:
    """The responses with one decision, the commonest text first; what the others do not share with it is marked."""
    places: dict[str | None, list[Condition]] = {}
    for condition in conditions:
        places.setdefault(answers[condition].text, []).append(condition)
    ordered = sorted(places, key=lambda text: -len(places[text]))
    first = next((text for text in ordered if text is not None), "")
    lines = []
    for text in ordered:
        where = "; ".join(f"T={c.temperature:g} seed {c.seed}" for c in places[text])
        times = f"{len(places[text])} times the same text: " if len(places[text]) > 1 else ""
        reason = answers[places[text][0]].missing_reason
        shown = f"(no response: {html.escape(visible(reason))})" if text is None else marked(first, text)
        lines.append(f'<li><span class="why">{times}{where}</span><span class="reasoning">{shown}</span></li>')
    return f'<ul class="verdicts">{"".join(lines)}</ul>'


def marked(first: str, text: str) -> str:
    """A text, escaped, with the words that it does not share with the first one in `<mark>`."""
    old, new = WORD.findall(first)[:MOST_COMPARED], WORD.findall(text)
    compared = new[:MOST_COMPARED]
    parts = []
    for kind, _, _, start, end in SequenceMatcher(None, old, compared, autojunk=False).get_opcodes():
        piece = html.escape(visible("".join(compared[start:end])))
        parts.append(piece if kind == "equal" or not piece else f"<mark>{piece}</mark>")
    return "".join(parts) + html.escape(visible("".join(new[MOST_COMPARED:])))
