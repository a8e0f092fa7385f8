"""The review queue in MLflow: a trace for each item and reviewer, with one question about the decision.

Each reviewer has traces of their own, because a server without logins does not know who answered. The queue has an
experiment of its own. A trace holds only the request and the response: the model and the judges' labels stay hidden.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from refusal_stability.records import DECISIONS
from refusal_stability.tracking.server import TrackingError, open_client, open_experiment, plain_errors

if TYPE_CHECKING:
    from mlflow.entities import Trace
    from mlflow.tracking import MlflowClient

QUESTION = "decision"
ITEM_TAG, REVIEWER_TAG = "review.item", "review.reviewer"
PAGE = 500


def offer(study: str, forms: dict[str, pd.DataFrame], guide: str, uri: str) -> int:
    """Put each reviewer's items into their queue, and return how many items are new.

    Parameters
    ----------
    study : names the experiment.
    forms : reviewer -> items in reading order (item_id, prompt, response).
    guide : what the labels mean, shown beside the question.
    uri : the tracking server or database.

    Raises
    ------
    TrackingError
        Where MLflow cannot be reached or written.
    """
    client = _review_client(uri)
    new = 0
    with plain_errors(uri):
        experiment = open_experiment(client, _experiment(study), uri)
        schema = _schema(experiment, guide)
        known = {
            (t.info.tags.get(ITEM_TAG), t.info.tags.get(REVIEWER_TAG)): t.info.trace_id
            for t in _traces(client, experiment)
        }
        for reviewer, form in forms.items():
            traces = []
            for item_id, prompt, response in form[["item_id", "prompt", "response"]].itertuples(index=False):
                trace = known.get((item_id, reviewer))
                if trace is None:
                    trace = _add_trace(client, experiment, item_id, reviewer, prompt, response)
                    new += 1
                traces.append(trace)
            _fill_queue(experiment, reviewer, schema, traces)
    return new


def collect(study: str, uri: str) -> pd.DataFrame:
    """The labels given in MLflow so far: item_id, reviewer, label, note.

    Raises
    ------
    TrackingError
        Where MLflow cannot be read, has no review of this study, or holds two different answers to one question.
    """
    client = _review_client(uri)
    rows = []
    with plain_errors(uri):
        found = client.get_experiment_by_name(_experiment(study))
        if found is None:
            raise TrackingError(
                f"MLflow has no review of study {study}; make one with `refusal-stability review export --mlflow`"
            )
        for trace in _traces(client, found.experiment_id):
            answers = [a for a in trace.info.assessments or [] if _is_answer(a)]
            if not answers:
                continue
            item_id, reviewer = trace.info.tags[ITEM_TAG], trace.info.tags[REVIEWER_TAG]
            values = {str(getattr(answer, "value", "")) for answer in answers}
            if len(values) > 1:
                both = " and ".join(sorted(values))
                raise TrackingError(
                    f"MLflow trace {trace.info.trace_id}: item {item_id} has the answers {both} by {reviewer}; delete "
                    "the wrong one"
                )
            rows.append((item_id, reviewer, values.pop(), answers[-1].rationale or ""))
    return pd.DataFrame(sorted(rows), columns=["item_id", "reviewer", "label", "note"])


def _experiment(study: str) -> str:
    return f"{study} review"


def _review_client(uri: str) -> MlflowClient:
    # A trace must be readable right after it was written.
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"
    client = open_client(uri)
    import mlflow

    # The queue functions take no client: they use the process's tracking server.
    mlflow.set_tracking_uri(uri)
    return client


def _schema(experiment: str, guide: str) -> str:
    from mlflow.genai.label_schemas import InputCategorical, create_label_schema, list_label_schemas

    for schema in list_label_schemas(experiment_id=experiment):
        if schema.name == QUESTION:
            return str(schema.schema_id)
    options = InputCategorical(options=[str(d) for d in DECISIONS])
    made = create_label_schema(
        QUESTION,
        type="feedback",
        input=options,
        instruction=guide,
        enable_comment=True,
        experiment_id=experiment,
    )
    return str(made.schema_id)


def _fill_queue(experiment: str, reviewer: str, schema: str, traces: Sequence[str]) -> None:
    from mlflow.genai.review_queues import add_items_to_review_queue, create_review_queue, list_review_queues

    name = f"review-{reviewer}"
    queues = {queue.name: queue.queue_id for queue in list_review_queues(experiment_id=experiment)}
    queue = queues.get(name)
    if queue is None:
        queue = create_review_queue(name, queue_type="custom", schema_ids=[schema], experiment_id=experiment).queue_id
    for start in range(0, len(traces), PAGE):
        add_items_to_review_queue(queue, item_ids=list(traces[start : start + PAGE]))


def _add_trace(client: MlflowClient, experiment: str, item_id: str, reviewer: str, prompt: str, response: str) -> str:
    span = client.start_trace(
        "review",
        inputs={"request": prompt},
        experiment_id=experiment,
        tags={ITEM_TAG: item_id, REVIEWER_TAG: reviewer},
    )
    client.end_trace(span.trace_id, outputs={"response": response})
    return str(span.trace_id)


def _traces(client: MlflowClient, experiment: str) -> Iterator[Trace]:
    token = None
    while True:
        page = client.search_traces(locations=[experiment], max_results=PAGE, page_token=token, include_spans=False)
        yield from (trace for trace in page if ITEM_TAG in trace.info.tags)
        token = page.token
        if not token:
            return


def _is_answer(assessment: Any) -> bool:
    source = assessment.source.source_type if assessment.source else ""
    return assessment.name == QUESTION and str(source) == "HUMAN" and getattr(assessment, "valid", True) is not False
