"""The tables of people's review: the sample and the labels."""

from __future__ import annotations

from refusal_stability.records import ANY_DECISION
from refusal_stability.tables.contract import Contract

SAMPLE_TABLE = Contract(
    "review sample",
    {
        "item_id": "text",
        "prompt_id": "text",
        "prompt": "text",
        "response": "text",
        "stratum": "text",
        "weight": "number",
        "frame": "text",
    },
    ("item_id",),
    {
        "item_id": "content hash of the prompt's id and the response",
        "prompt_id": "the prompt's id",
        "prompt": "the request, word for word",
        "response": "the response, word for word",
        "stratum": "why it was drawn (disagreement, borderline, plain) and the primary judge's decision",
        "weight": "how many different responses of its stratum it stands for",
        "frame": "hash of the responses that the sample was drawn from",
    },
)
PEOPLE_TABLE = Contract(
    "people's labels",
    {"item_id": "text", "reviewer": "text", "label": "text", "note": "text"},
    ("item_id", "reviewer"),
    {
        "item_id": "the item's id in the review sample",
        "reviewer": "who labelled it",
        "label": ANY_DECISION,
        "note": "what the reviewer wrote beside it",
    },
)
