"""The view in a browser session: widgets and clicks, in step with the page's address."""

from __future__ import annotations

import time
from pathlib import Path

import streamlit as st

from refusal_stability.explorer import links
from refusal_stability.explorer.links import Known, View
from refusal_stability.params.study import StudyParams
from refusal_stability.plain_text import visible

WIDGETS = ("text", *links.LISTS, "flip", "order", "judge", "reviewer")
ECHO_SECONDS = 1.5
HERE = Path(__file__).parent


def script(name: str) -> str:
    """A script of the page, after what every one of them uses."""
    return "".join((HERE / one).read_text(encoding="utf-8") for one in ("elements.js", name))


def follow_link(params: StudyParams, known: Known) -> None:
    """Apply the address's query if the page did not write it: a link was opened, or the back button was pressed.

    A click that arrives while the page writes a new query still carries the former one. That is ignored.
    """
    query, state = st.query_params.to_dict(), st.session_state
    former, until = state.get("former", (None, 0.0))
    if query != state.get("written") and not (query == former and time.monotonic() < until):
        view, notes = links.from_query(query, known)
        for name in WIDGETS:
            value = getattr(view, name)
            state[name] = list(value) if isinstance(value, tuple) else value
        state.update(ssi=(view.lowest, view.highest), prompt=view.prompt, left=view.left, right=view.right)
        state.update(judge=view.judge or params.judging.primary, written=query, notes=notes)
    # Streamlit forgets what a widget holds that is not on the page, as most are while somebody labels.
    for name in ("compared", "judge", "side", *([*WIDGETS, "ssi"] if state["reviewer"] else ())):
        if name in state:
            state[name] = state[name]
    # The notes have a place of their own, so that nothing below moves, and loses the focus, where there is one.
    with st.container():
        for note in state["notes"]:
            st.text(visible(note))


def current_view(params: StudyParams) -> View:
    """The view that the widgets and clicks now stand for."""
    state = st.session_state
    values = {name: state.get(name) or getattr(View(), name) for name in WIDGETS}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    values["judge"] = "" if values["judge"] == params.judging.primary else values["judge"]
    lowest, highest = state["ssi"]
    return View(
        **values, lowest=lowest, highest=highest, prompt=state["prompt"], left=state["left"], right=state["right"]
    )


def write_link(view: View) -> None:
    """Write the view into the address."""
    query, state = links.to_query(view), st.session_state
    if query != state["written"]:
        state.update(former=(state["written"], time.monotonic() + ECHO_SECONDS), written=query, notes=[])
    if st.query_params.to_dict() != query:
        st.query_params.from_dict(query)
