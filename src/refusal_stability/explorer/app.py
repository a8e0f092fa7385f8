"""The explorer's page, which `refusal-stability explore` runs in Streamlit. Reads and computes nothing itself."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from refusal_stability.explorer import all_responses, labelling, links, marks, session, study, views
from refusal_stability.explorer.links import LOWEST, Known, View
from refusal_stability.explorer.list_columns import category_in_words
from refusal_stability.explorer.prompt_list import show_list
from refusal_stability.figures.series import Series, series_of
from refusal_stability.params.engines import engine_settings
from refusal_stability.params.load import PARAMS_FILE
from refusal_stability.params.study import StudyParams
from refusal_stability.plain_text import visible
from refusal_stability.records import NO_INTERVENTION, Condition, Prompt, StudyError

Decisions = Mapping[Condition, views.Decided]
HERE = Path(__file__).parent
# In pixels: the list fits beside it in a window 1,280 wide.
SIDEBAR_WIDTH = 260
CONTENT_NOTE = "Response (may hold harmful text; click to unfold)"
ALL_NOTE = "All responses to this prompt (may hold harmful text; click to unfold)"
THINKING_NOTE = "Thinking (may hold harmful text; click to unfold)"
REASONING_NOTE = "Reasoning of the judges (may quote the response; click to unfold)"
grids_of_decisions = st.components.v2.component(
    "refusal_stability_grids",
    html='<div class="grids"></div>',
    css=(HERE / "grid.css").read_text(encoding="utf-8"),
    js=session.script("grid.js"),
)


def main() -> None:
    """The whole page, or the error that a user can fix."""
    st.set_page_config(page_title="Explorer · refusal-stability", layout="wide", initial_sidebar_state=SIDEBAR_WIDTH)
    st.html(HERE / "page.css")
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PARAMS_FILE
    try:
        show(study.params_now(path), study.prompts_now(path), path)
    except StudyError as error:
        st.error("The study cannot be shown.")
        st.text(str(error))


def show(params: StudyParams, table: pd.DataFrame, path: Path) -> None:
    """Filters, the list, and what is open."""
    known = known_of(params, table)
    session.follow_link(params, known)
    st.title("Explorer")
    st.text(f"study: {params.study}")
    filters(params, known)
    view = session.current_view(params)
    if view.reviewer:
        labelling.label_responses(view.reviewer)
    else:
        browse(params, table, view, path)
    session.write_link(session.current_view(params))
    fold = st.sidebar.expander("Copy a link to this view", key="link", on_change="rerun")
    if fold.open:
        fold.code(links.address(st.context.url or "", session.current_view(params)), language=None, wrap_lines=True)


def browse(params: StudyParams, table: pd.DataFrame, view: View, path: Path) -> None:
    """The list, and the prompt that is open."""
    rows = views.filtered(of_marks(params, table, view), view)
    show_list(table, rows, view, path)
    if view.prompt:
        opened(params, table, view)
    else:
        st.text("Click a prompt in the list to see its decisions.")


def of_marks(params: StudyParams, table: pd.DataFrame, view: View) -> pd.DataFrame:
    """The rows that have what the view wants of labels and responses, whose files are read only if it wants some."""
    conditions = [c for model in params.models for c in params.conditions(model)]
    if view.marks:
        table = table[marks.rows_marked(table, marks.marked_by(view.marks, conditions))]
    if view.outcomes:
        table = table[marks.rows_marked(table, marks.with_outcomes(view.outcomes, conditions))]
    return table


def known_of(params: StudyParams, table: pd.DataFrame) -> Known:
    """What links and filters may name."""
    series = series_of(params).series
    options: dict[str, Sequence[str]] = {
        "models": list(params.models),
        "interventions": list(params.interventions),
        "categories": views.categories_in(table),
        "majorities": [*views.DECISION_NAMES, views.NO_MAJORITY],
        "ever": list(views.DECISION_NAMES),
        "harms": list(views.HARMS),
        "marks": list(marks.LABEL_MARKS),
        "outcomes": list(marks.OUTCOMES),
        "flip": links.FLIPS,
        "order": list(views.ORDERS),
        "prompt": list(dict.fromkeys(table["prompt_id"])),
        "judge": list(params.judging.judges),
        "compared": [links.series_key(one.model, one.intervention) for one in series],
        "reviewer": labelling.reviewers(),
    }
    return Known(options, [c for model in params.models for c in params.conditions(model)])


# --- the list ------------------------------------------------------------------------------------------------------
def filters(params: StudyParams, known: Known) -> None:
    """The side bar."""
    names = {name: model.label or name for name, model in params.models.items()}
    with st.sidebar:
        labelling.reviewer_chooser(known.options["reviewer"])
        if st.session_state["reviewer"]:
            return
        st.header("Filter")
        st.text_input("Words in the prompt", key="text", placeholder="words, or a prompt's id")
        st.multiselect(
            "Models", known.options["models"], format_func=lambda name: names[name], key="models", placeholder="all"
        )
        if len(params.interventions) > 1:
            st.multiselect("Interventions", known.options["interventions"], key="interventions", placeholder="all")
        st.multiselect("Categories", known.options["categories"], key="categories", placeholder="all")
        st.slider("SSI", LOWEST, 1.0, key="ssi", step=0.01)
        st.selectbox("Flip", known.options["flip"], key="flip")
        st.multiselect("Majority", known.options["majorities"], key="majorities", placeholder="all")
        st.multiselect("Ever decided", known.options["ever"], key="ever", placeholder="any")
        st.multiselect("Harm", known.options["harms"], key="harms", placeholder="all")
        st.multiselect("Labels", known.options["marks"], key="marks", placeholder="all")
        st.multiselect("A response's outcome", known.options["outcomes"], key="outcomes", placeholder="any")
        st.selectbox("Order", known.options["order"], format_func=lambda key: views.ORDERS[key][0], key="order")
        if not known.options["reviewer"]:
            st.text("To label responses here, first run: refusal-stability review export YOUR-NAME")
        st.text("The address of this page opens the same view again. Responses stay folded.")


# --- one prompt ----------------------------------------------------------------------------------------------------
def opened(params: StudyParams, table: pd.DataFrame, view: View) -> None:
    """The open prompt: its text, its grids, and the responses that were clicked."""
    mine = table[table["prompt_id"] == view.prompt]
    st.subheader("Prompt")
    for role, text in study.earlier_turns(mine["turns"].iloc[0]):
        st.text(f"Earlier turn, {role}:")
        st.code(visible(text), language=None, wrap_lines=True)
    st.code(visible(mine["prompt"].iloc[0]), language=None, wrap_lines=True)
    st.text(f"category: {category_in_words(mine['category'].iloc[0])}; id: {view.prompt}")
    chosen = compared(params)
    by_series = {links.series_key(row["model"], row["intervention"]): row for row in mine.to_dict("records")}
    conditions = [c for model in params.models for c in params.conditions(model)]
    labels = study.labels_now(conditions)
    st.session_state["cells"] = conditions
    grids, by_decision = [], {}
    for series in chosen:
        judge = view.judge or params.judging.of(series.model).primary
        own = [c for c in conditions if (c.model, c.intervention) == (series.model, series.intervention)]
        decisions = views.decided(labels, own, view.prompt, judge, study.unsampled_now)
        by_decision[series.label] = decisions
        row = by_series.get(links.series_key(series.model, series.intervention))
        grids.append(views.grid(series, decisions, row, view, notes_on(params, series, row, decisions, judge)))
    st.html(views.legend())
    st.text("Click a decision, or go to it with the arrow keys and press Enter, to open its response on the left.")
    st.text("Hold Shift, or choose above, to open it on the right.")
    grids_of_decisions(data={"grids": grids}, key="grids", on_opened_change=open_cell)
    responses_at_once(view, by_decision)
    alike, sides = st.container(), st.columns(2)
    texts = []
    for side, place in zip(("left", "right"), sides, strict=True):
        with place:
            texts.append(response_panel(params, labels, view, side))
    # What is folded is not read, so it is not compared.
    if texts[0] is not None and texts[0] == texts[1]:
        alike.text("The two open responses are the same, word for word.")


def responses_at_once(view: View, by_decision: Mapping[str, Decisions]) -> None:
    """Every response to the open prompt, the compared models and interventions side by side; read once unfolded."""
    fold = st.expander(ALL_NOTE, key=f"all-{view.prompt}", on_change="rerun")
    if not fold.open:
        return
    with fold:
        st.text("Grouped by decision. Marked: what a response does not share with the commonest one of its group.")
        for place, (label, decisions) in zip(st.columns(len(by_decision)), by_decision.items(), strict=True):
            with place:
                st.text(label)
                answers = {condition: study.read_answer(condition, view.prompt) for condition in decisions}
                st.html(all_responses.grouped_as_html(decisions, answers))


def compared(params: StudyParams) -> list[Series]:
    """The series to compare; beside it, the judge and the side that a click opens."""
    series = series_of(params).series
    names = {links.series_key(one.model, one.intervention): one for one in series}
    left, middle, right = st.columns([3, 1, 1])
    with left:
        chosen = st.multiselect(
            "Compare", list(names), format_func=lambda key: names[key].label, key="compared", placeholder="all"
        )
    with middle:
        st.selectbox("Decisions by", list(params.judging.judges), key="judge")
    with right:
        st.segmented_control("A click opens on the", ("left", "right"), default="left", required=True, key="side")
    return [names[key] for key in names if key in chosen] if chosen else list(series)


def notes_on(
    params: StudyParams, series: Series, row: Mapping[Any, Any] | None, decisions: Decisions, judge: str
) -> list[str]:
    """Notes above one grid."""
    notes = []
    if not engine_settings(params.models[series.model]).has_responses:
        notes.append("Labels only: the study has no responses from this model.")
    if series.intervention != NO_INTERVENTION:
        messages = params.intervention(series.intervention).messages(Prompt("", "the prompt", "", ""))
        notes.append("Asked as: " + " / ".join(f"{m.role}: {views.on_one_line(m.content)}" for m in messages))
    primary = params.judging.of(series.model).primary
    if judge != primary:
        notes.append(f"The SSI is by {primary}; these decisions are by {judge}.")
    elif row is None or views.disagrees(row, decisions):
        notes.append("The metric table was made from other labels: run `make repro`.")
    return notes


def open_cell() -> None:
    """Put the clicked cell's response on its side."""
    state = st.session_state
    clicked = state["grids"]["opened"]
    other = {"left": "right", "right": "left"}
    side = other[state["side"]] if clicked["other"] else state["side"]
    state[side] = next((c for c in state["cells"] if links.cell_key(c) == clicked["key"]), None)


def response_panel(params: StudyParams, labels: study.Labels, view: View, side: str) -> str | None:
    """One open response: each judge's decision and, folded, its text, its thinking and the judges' reasoning.

    Returns the text if it is unfolded and not missing.
    """
    condition: Condition | None = getattr(view, side)
    if condition is None:
        st.text(f"{side.capitalize()}: no response is open.")
        return None
    names = {(one.model, one.intervention): one.label for one in series_of(params).series}
    label = names[condition.model, condition.intervention]
    st.text(f"{side.capitalize()}: {label}, temperature {condition.temperature:g}, seed {condition.seed}")
    primary, text = params.judging.of(condition.model).primary, None
    st.html(views.verdicts_as_html(study.verdicts_of(labels, condition, view.prompt), primary))
    fold = st.expander(CONTENT_NOTE, key=f"fold-{side}-{view.prompt}", on_change="rerun")
    if fold.open:
        with fold:
            answer = study.read_answer(condition, view.prompt)
            text = answer.text
            if text is None:
                st.text(f"No response ({answer.outcome or 'unknown'}): {visible(answer.missing_reason)}")
            else:
                st.code(visible(text), language=None, wrap_lines=True)
                seeding = "; unseeded" if answer.unseeded else ""
                ending = visible(answer.finish_reason)
                st.text(f"{len(text):,} characters; {answer.outcome}, ended by: {ending}{seeding}")
    fold = st.expander(THINKING_NOTE, key=f"thinking-{side}-{view.prompt}", on_change="rerun")
    if fold.open:
        with fold:
            show_thinking(study.read_answer(condition, view.prompt).thinking)
    fold = st.expander(REASONING_NOTE, key=f"why-{side}-{view.prompt}", on_change="rerun")
    if fold.open:
        fold.html(views.verdicts_as_html(study.read_verdicts(condition, view.prompt), primary, reasoning=True))
    st.button(f"Close the {side}", key=f"close-{side}", on_click=st.session_state.update, kwargs={side: None})
    return text


def show_thinking(thinking: str) -> None:
    """What the model wrote before its final answer."""
    if thinking:
        st.code(visible(thinking), language=None, wrap_lines=True)
    else:
        st.text("No thinking was recorded for this response.")


if __name__ == "__main__":
    main()
