"""Judging: the judge model's calls for the published Llama responses, and the rule judge's speed.

The published data lie in the folder RS_SHARED, or in `shared` beside the checkout.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import ROOT, Finding, main, skipped

from refusal_stability.judging.rules.judge import RuleJudge
from refusal_stability.records import Completion, Condition, Prompt, Request, Response

PUBLISHED = Path(os.environ.get("RS_SHARED", ROOT.parent / "shared")) / "published-study"
CALLS_BAR, RATE_BAR, SECONDS_BAR = 9825.0, 4000.0, 20.0
RATE_BOUND = (
    "A response is judged once for each distinct (prompt, text) pair, so the rate is that of reading distinct texts "
    "with regular expressions, in one thread of Python. Long answers take longer."
)
LLAMA, QWEN = "meta_llama_Llama_3.1_8B_Instruct", "Qwen_Qwen2.5_7B_Instruct"


class CountingEngine:
    """Says REFUSE to everything and counts how often it was asked."""

    def __init__(self) -> None:
        self.identity = {"engine": "counting"}
        self.description: dict[str, str] = {}
        self.asked = 0

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """One verdict per request."""
        for position in range(len(requests)):
            self.asked += 1
            yield position, Completion('{"reasoning": "counted", "label": "REFUSE"}', "stop")

    def ready(self) -> int:
        """All answers are there at once."""
        return 1

    def close(self) -> None:
        """Nothing is held."""


def measure(quick: bool) -> list[Finding]:
    """Judge calls for the published responses; the rule judge's speed on them and on embedded text."""
    rounds = 1 if quick else 5
    embedded = embedded_responses(500 if quick else 17_520)
    speed = f"rule judge, {len(embedded):,} responses of the embedded corpus"
    embedded_speed = Finding(speed, [rate(embedded) for _ in range(rounds)], "responses/s a core", RATE_BAR, True)
    if not PUBLISHED.is_dir():
        why = "no published data; set RS_SHARED to the folder that holds them"
        return [
            skipped("judge calls for the published Llama responses", "", why, CALLS_BAR),
            skipped("rule judge, published Llama responses", "responses/s a core", why, RATE_BAR, True),
            skipped("rule judge, published Qwen responses", "responses/s a core", why, RATE_BAR, True),
            skipped("the same Qwen responses", "s of one core", why, SECONDS_BAR),
            embedded_speed,
        ]
    found = []
    for name, responses in {
        "Llama": published_responses(LLAMA, 40 if quick else None),
        "Qwen": published_responses(QWEN, 40 if quick else None),
    }.items():
        whole = f"{len(responses):,} published {name} responses"
        bar = CALLS_BAR if name == "Llama" and not quick else None
        distinct = len({(response.prompt.text, response.text) for response in responses})
        rates = [rate(responses) for _ in range(rounds)]
        found += [
            Finding(f"judge calls for {whole}", [float(calls(responses))], "", bar),
            Finding(f"rule judge, {whole}", rates, "responses/s a core", RATE_BAR, True, bound=RATE_BOUND),
            Finding(f"the same {name} responses", [len(responses) / r for r in rates], "s of one core", SECONDS_BAR),
            Finding(
                f"the {distinct:,} distinct of them, of a prompt and a text each",
                [r * distinct / len(responses) for r in rates],
                "distinct responses/s a core",
            ),
        ]
    return [*found, embedded_speed]


def rate(responses: Sequence[Response]) -> float:
    """Responses per second of CPU time; the rule judge runs in one thread."""
    start = time.process_time()
    RuleJudge(1).judge(responses)
    return len(responses) / (time.process_time() - start)


def calls(responses: Sequence[Response]) -> int:
    """How many requests the model judge sends for these responses."""
    from refusal_stability.judging.model.judge import ModelJudge
    from refusal_stability.judging.model.rubric import load_rubric
    from refusal_stability.params.judges import JudgeParams

    engine = CountingEngine()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store.sqlite"
        judge = ModelJudge("counted", engine, load_rubric("default"), JudgeParams(kind="model"), store)
        judged = judge.judge(responses)
    assert len(judged) == len(responses)
    return engine.asked


def published_responses(name: str, limit: int | None) -> list[Response]:
    """One model's recorded responses of the published study (of its first prompts, where there is a limit)."""
    import pandas as pd

    from refusal_stability.engines.open import open_engine
    from refusal_stability.params.engines import ModelParams
    from refusal_stability.params.study import InterventionParams, StudyParams

    model = ModelParams("recorded", str(PUBLISHED), settings={"layout": "published", "name": name})
    study = StudyParams("published", interventions={"none": InterventionParams()}, models={"recorded": model})
    texts = pd.read_csv(PUBLISHED / "data/processed/prompts.csv", keep_default_na=False)["prompt"].tolist()[:limit]
    prompts = [Prompt("", text, "", "") for text in texts]
    cells = list(study.requests("recorded", prompts))
    answers = dict(open_engine(model, "recorded").complete([request for _, request in cells]))
    responses = []
    for position, (condition, request) in enumerate(cells):
        prompt, answer = Prompt("", request.messages[-1].content, "", ""), answers[position]
        responses.append(Response(condition, prompt, answer.text, "stop", answer.missing_reason))
    return responses


def embedded_responses(count: int) -> list[Response]:
    """Responses drawn from the embedded models' corpus."""
    import random

    from refusal_stability.prompts.sources.builtin import builtin_prompts
    from refusal_stability.records import DECISIONS
    from refusal_stability.reference_model.grammar import respond

    place, prompts, rng = Condition("embedded", "none", 0.0, 0), builtin_prompts(), random.Random(0)
    asked = [prompts[i % len(prompts)] for i in range(count)]
    return [Response(place, prompt, respond(prompt.text, rng.choice(DECISIONS), rng), "stop") for prompt in asked]


if __name__ == "__main__":
    main("judging", __doc__, measure, ("pandas",))
