"""Labelling in the explorer: a reviewer's form, one response at a time, by keys or clicks.

What is shown is what the form holds: neither the model nor any judge's decision, which would sway a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from refusal_stability.explorer import session
from refusal_stability.files import REVIEW_FORMS, REVIEW_GUIDE
from refusal_stability.plain_text import visible
from refusal_stability.records import DECISION_NAMES, StudyError
from refusal_stability.review.forms import read_cells, write_label

HERE = Path(__file__).parent
NOTE = "Responses to label (may hold harmful text; click to unfold)"
form_item = st.components.v2.component(
    "refusal_stability_form_item",
    html='<div class="item"></div>',
    css=(HERE / "labelling.css").read_text(encoding="utf-8"),
    js=session.script("labelling.js"),
)


def reviewers() -> list[str]:
    """Who has a form."""
    return sorted(path.stem for path in REVIEW_FORMS.glob("*.csv"))


def reviewer_chooser(names: Sequence[str]) -> None:
    """Whose form is filled in, where anybody has one."""
    if st.session_state["reviewer"] not in names:
        st.session_state["reviewer"] = ""
    if names:
        st.selectbox("Label as", ["", *names], format_func=lambda name: name or "nobody", key="reviewer")


def label_responses(reviewer: str) -> None:
    """The reviewer's form: how far it is, and the response at hand."""
    path = REVIEW_FORMS / f"{reviewer}.csv"
    form = read_cells(path).reset_index(drop=True)
    labelled = form["label"].str.strip() != ""
    st.subheader(f"Label responses as {reviewer}")
    st.text(f"{labelled.sum()} of {len(form)} are labelled. Each label is written into {path} at once.")
    st.text(f"When you are done, run: refusal-stability review import {path}")
    if REVIEW_GUIDE.is_file():
        with st.expander("What the labels mean"):
            st.code(REVIEW_GUIDE.read_text(encoding="utf-8"), language=None, wrap_lines=True)
    fold = st.expander(NOTE, key=f"label-{reviewer}", on_change="rerun")
    if fold.open and len(form):
        with fold:
            show_item(path, form, labelled)


def show_item(path: Path, form: pd.DataFrame, labelled: pd.Series[bool]) -> None:
    """One response with its prompt; a label leads on to the next."""
    place, last = f"item-{path.stem}", len(form) - 1
    # At first, and where the form has become shorter: the first without a label.
    at = st.session_state.get(place, len(form))
    if at > last:
        at = 0 if labelled.all() else int((~labelled).idxmax())
    item = form.loc[at]

    def take_key() -> None:
        given: dict[str, Any] = st.session_state["labelling"]["given"]
        st.session_state["keys_taken"] = st.session_state.get("keys_taken", 0) + 1
        shown = form["item_id"].tolist().index(given["item"])
        try:
            if "label" in given:
                write_label(path, given["item"].strip(), given["label"], given["shown"])
        except (StudyError, OSError) as error:
            st.session_state["notes"] = [f"The label was not written: {error}"]
            return
        st.session_state["notes"] = []
        st.session_state[place] = min(shown + given["step"], last)

    data = {
        "item": item["item_id"],
        # The page takes the next key once it is drawn again, which it is not where nothing changes.
        "keys_taken": st.session_state.get("keys_taken", 0),
        "said": f"Response {at + 1} of {len(form)}: {item['label'].strip().upper() or 'no label yet'}",
        "prompt": visible(item["prompt"]),
        "response": visible(item["response"]),
        "label": item["label"].strip().upper(),
        "labels": list(DECISION_NAMES),
        "first": at == 0,
        "last": at == last,
    }
    form_item(data=data, key="labelling", on_given_change=take_key)
