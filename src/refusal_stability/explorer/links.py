"""The current view, as one value and as the query of a link that opens it again.

A link can come from another study. What it names and this study does not have is left out, with a note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import quote, unquote

from refusal_stability.records import Condition

LOWEST = 0.33
ANY, FLIPPED, STEADY = "any", "flipped", "not flipped"
FLIPS = (ANY, FLIPPED, STEADY)
SEPARATOR = "/"
LISTS = ("models", "interventions", "categories", "majorities", "ever", "harms", "marks", "outcomes", "compared")


@dataclass(frozen=True)
class View:
    """What the page shows. An empty list or text filters nothing.

    Attributes
    ----------
    text : words in the prompt's text, or its id.
    models, interventions, categories, majorities : what the list shows.
    ever : decisions each of which a prompt got at least once.
    harms, marks, outcomes : of the prompt, of its labels (`marks.LABEL_MARKS`), of one of its responses.
    lowest, highest : the listed SSI, LOWEST to 1.
    flip : one of `FLIPS`.
    order : a key of `views.ORDERS`.
    prompt : the open prompt's id.
    judge : whose decisions the grid shows; empty for the primary.
    compared : the series shown (`series_key`); empty for all.
    left, right : the cells whose responses are open.
    reviewer : who labels responses here; empty for nobody, then the page shows the list.
    """

    text: str = ""
    models: tuple[str, ...] = ()
    interventions: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    majorities: tuple[str, ...] = ()
    ever: tuple[str, ...] = ()
    harms: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    lowest: float = LOWEST
    highest: float = 1.0
    flip: str = ANY
    order: str = "ssi"
    prompt: str = ""
    judge: str = ""
    compared: tuple[str, ...] = ()
    left: Condition | None = None
    right: Condition | None = None
    reviewer: str = ""


@dataclass(frozen=True)
class Known:
    """The names that a link may use: option lists by field of `View`, and the study's configurations."""

    options: Mapping[str, Sequence[str]]
    conditions: Sequence[Condition]


def series_key(model: str, intervention: str) -> str:
    """A series' name in links; names of models and interventions hold no slash."""
    return f"{model}{SEPARATOR}{intervention}"


def cell_key(condition: Condition) -> str:
    """A cell's name in links and in the grid."""
    parts = (condition.model, condition.intervention, repr(float(condition.temperature)), str(condition.seed))
    return SEPARATOR.join(parts)


def to_query(view: View) -> dict[str, str]:
    """A view as query parameters, without those at their start value."""
    start, query = View(), {}
    for field in fields(View):
        value = getattr(view, field.name)
        if value == getattr(start, field.name):
            continue
        if isinstance(value, Condition):
            query[field.name] = cell_key(value)
        elif isinstance(value, tuple):
            query[field.name] = ",".join(quote(item, safe=SEPARATOR) for item in value)
        else:
            query[field.name] = f"{value:.2f}" if isinstance(value, float) else value
    return query


def address(page: str, view: View) -> str:
    """The whole address that opens a view of a page."""
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in to_query(view).items())
    return page.partition("?")[0] + (f"?{query}" if query else "")


def from_query(query: Mapping[str, str], known: Known) -> tuple[View, list[str]]:
    """The view that a query names, and a note on each thing in it that this study does not have."""
    taken: dict[str, Any] = {}
    notes: list[str] = []
    cells = {cell_key(condition): condition for condition in known.conditions}
    for field in fields(View):
        name, value = field.name, query.get(field.name, "")
        if not value:
            continue
        wanted = [unquote(item) for item in value.split(",")] if name in LISTS else [value]
        meant = {item: _meant(name, item, known, cells) for item in wanted}
        notes += [_absent(name, item) for item in meant if meant[item] is None]
        found = [one for one in meant.values() if one is not None]
        if found:
            taken[name] = tuple(found) if name in LISTS else found[0]
    view = View(**taken)
    if view.lowest > view.highest:
        notes.append(_absent("lowest", f"{view.lowest:g}"))
        view = replace(view, lowest=LOWEST)
    return view, notes


def _meant(name: str, item: str, known: Known, cells: Mapping[str, Condition]) -> Any:
    """The value of a word in a query; None where the study has no such thing."""
    if name == "text":
        return item
    if name in ("left", "right"):
        return cells.get(item)
    if name in known.options:
        return item if item in known.options[name] else None
    try:
        number = float(item)
    except ValueError:
        return None
    return number if LOWEST <= number <= 1 else None


def _absent(name: str, value: str) -> str:
    return f"The link names {name} {value!r}, which this study does not have. It is left out."
