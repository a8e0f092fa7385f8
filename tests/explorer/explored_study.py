"""A study whose every text is hostile: two models, one of them with labels only, under two interventions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from refusal_stability.files import PROMPTS, generation_file, label_file
from refusal_stability.params.load import load_params
from refusal_stability.records import Condition
from refusal_stability.stages import metrics
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE

PARAMS = Path("params.yaml")
N_PROMPTS = 12
SCRIPT = "<script>window.harmed = 1</script>"
IMAGE = "<img src=x onerror='window.harmed = 1'>"
MARKDOWN = "![x](http://127.0.0.1:9/leak.png) [go](javascript:window.harmed=1) :red[red] $x^2$"
FORMULA = '=HYPERLINK("http://127.0.0.1:9/leak")'
TEXTS = {
    "REFUSE": f"No. {SCRIPT} {{}}",
    "PARTIAL": f"{FORMULA} {IMAGE} {{}}",
    "COMPLY": f"{MARKDOWN} \u202edesrever\u202c {{}}",
}
CATEGORIES = ("violence", "privacy|fraud", MARKDOWN.replace("|", ""), "plain")
PROMPT_TEXTS = (f"{FORMULA} first", f"{SCRIPT} second", f"{IMAGE} third", f"{MARKDOWN} fourth", "two\nlines fifth")
EARLIER_TURNS = [{"role": "system", "content": IMAGE}, {"role": "user", "content": f"{SCRIPT}\n{FORMULA}"}]
REASONING = f"{IMAGE} {MARKDOWN}\n{SCRIPT}"
NO_ANSWER = f"the server said {IMAGE}"
MISSING_AT = Condition("answering", "none", 0.7, 44)
MISSING_PROMPT = "0005"
UNSAMPLED_AT = Condition("answering", "cautious", 0.7, 44)
UNSAMPLED_PROMPT = "0006"
THINKING = f"First, {SCRIPT} {MARKDOWN}"
CONFIDENCE = 0.875
STUDY = f"""
study: explored
prompts: {{source: builtin}}
interventions:
  none: {{}}
  cautious: {{system: "Decline harm. {MARKDOWN}"}}
sampling: {{temperatures: [0.0, 0.7], seeds: [42, 43, 44], max_tokens: 64}}
models:
  answering: {{engine: transformers, path: nowhere, label: "Answering {MARKDOWN}"}}
  labelled: {{engine: recorded, path: nowhere, settings: {{layout: published, labels_only: true}}}}
judging:
  primary: rules
  judges:
    rules: {{kind: rules}}
    other: {{kind: recorded, path: nowhere, settings: {{models: {{answering: a, labelled: b}}}}}}
metrics: {{n_resamples: 100}}
"""


def write_explored_study(write_study: Callable[..., None]) -> None:
    """Write the study into the working directory, with one response that neither model nor judge gave."""
    PARAMS.write_text(STUDY, encoding="utf-8")
    write_study(PARAMS, TEXTS, CATEGORIES, N_PROMPTS, measure=False)
    params = load_params(PARAMS)
    prompts = read_table(PROMPTS, PROMPT_TABLE)
    prompts.loc[: len(PROMPT_TEXTS) - 1, "prompt"] = list(PROMPT_TEXTS)
    prompts.loc[1, "turns"] = json.dumps(EARLIER_TURNS)
    write_table(prompts, PROMPTS, PROMPT_TABLE)
    for model in params.models:
        for condition in params.conditions(model):
            _make_hostile(condition)
    metrics.run(PARAMS)


def _make_hostile(condition: Condition) -> None:
    labels = read_table(label_file(condition), LABEL_TABLE)
    labels["reasoning"] = REASONING
    labels.loc[labels["judge"] == "other", "confidence"] = CONFIDENCE
    answers = read_table(generation_file(condition), GENERATION_TABLE).assign(thinking=THINKING)
    if condition.model == "labelled":
        answers = answers.assign(response="", finish_reason="", missing_reason="labels only: the source has none")
        answers = answers.assign(outcome="unanswered", thinking="")
    if condition == UNSAMPLED_AT:
        labels = labels[labels["prompt_id"] != UNSAMPLED_PROMPT]
        here = answers["prompt_id"] == UNSAMPLED_PROMPT
        columns = ["response", "finish_reason", "missing_reason", "outcome", "thinking"]
        answers.loc[here, columns] = ["", "", "not sampled", "not_sampled", ""]
    if condition == MISSING_AT:
        here = labels["prompt_id"] == MISSING_PROMPT
        labels.loc[here, ["label", "reasoning", "missing_reason"]] = ["", "", NO_ANSWER]
        here = answers["prompt_id"] == MISSING_PROMPT
        answers.loc[here, ["response", "finish_reason", "missing_reason", "outcome"]] = [
            "",
            "",
            NO_ANSWER,
            "unanswered",
        ]
    write_table(labels, label_file(condition), LABEL_TABLE)
    write_table(answers, generation_file(condition), GENERATION_TABLE)
