"""`refusal-stability validate`: compare the decision shares of the reference models with the planted ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.open import open_engine
from refusal_stability.engines.store import Store
from refusal_stability.files import REFERENCE_MODELS, STORE, VALIDATION, atomic_write
from refusal_stability.judging.open import open_judge
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.load import load_params
from refusal_stability.params.study import StudyParams
from refusal_stability.plain_text import visible
from refusal_stability.prompts.sources.builtin import builtin_prompts
from refusal_stability.records import (
    DECISIONS,
    NO_INTERVENTION,
    Condition,
    Decision,
    Prompt,
    Request,
    Response,
    Sampling,
    StudyError,
    response_to,
    sampler_stream,
)
from refusal_stability.reference_model.grammar import recognise
from refusal_stability.reference_model.planted import planted_shares, share_array
from refusal_stability.reference_model.validation import against_planted, validation_page

TEMPERATURE = 1.0
MAX_TOKENS = 64
GRAMMAR = "grammar"
# A verdict costs about as much as a response, so the model judge labels only this many responses per prompt.
JUDGED_SAMPLES = 50


def run(params_path: Path, samples: int) -> None:
    """Sample every built-in prompt at T = 1, count decisions, write the comparison; a failed row is an error."""
    params = load_params(params_path)
    chat = {name: r for name, r in params.reference_models.items() if r.task == "chat"}
    if not chat or samples < 1:
        raise StudyError(
            f"{params_path}: reference_models has no chat model, or --samples {samples} is below 1; "
            "`make study NAME=validate` activates a study with two chat models"
        )
    prompts = builtin_prompts()
    results = []
    for name, reference in chat.items():
        shares = share_array(prompts, planted_shares(prompts, reference.profile))
        responses = sampled(name, params, params_path, prompts, samples)
        for judge, decisions in labels(responses, params, params_path).items():
            counts = counted(decisions, len(prompts))
            results.append(against_planted(name, judge, counts, shares, len(decisions)))
    page = validation_page(results, samples)
    with atomic_write(VALIDATION) as file:
        file.write(page)
    Console().print(visible(page), markup=False, soft_wrap=True)
    failed = ", ".join(f"{result.model} (judge {result.judge})" for result in results if not result.passed)
    if failed:
        raise StudyError(f"{VALIDATION}: validation failed for {failed}; see the table in that file")


def sampled(name: str, params: StudyParams, params_path: Path, prompts: list[Prompt], samples: int) -> list[Response]:
    """`samples` responses to each prompt at T = 1, prompt by prompt. They are stored, so a second run is free."""
    path = REFERENCE_MODELS / name
    model = next((m for m in params.models.values() if Path(m.path) == path), ModelParams(path=str(path)))
    if not path.is_dir():
        raise StudyError(f"{path}: no such model; train it first: `dvc repro reference@{name}`")
    places, requests = [], []
    for prompt in prompts:
        messages = params.intervention(NO_INTERVENTION).messages(prompt)
        for seed in range(samples):
            stream = sampler_stream(messages, TEMPERATURE, seed)
            sampling = Sampling(TEMPERATURE, seed, stream, max_tokens=MAX_TOKENS)
            places.append((Condition(name, NO_INTERVENTION, TEMPERATURE, seed), prompt))
            requests.append(Request(messages, sampling))
    engine = open_engine(model, f"{params_path}: models.{name}")
    try:
        with Store(STORE) as store:
            answers = complete_stored(engine, requests, store, f"validate {name}")
    finally:
        engine.close()
    return [response_to(condition, prompt, answer) for (condition, prompt), answer in zip(places, answers, strict=True)]


def labels(responses: list[Response], params: StudyParams, params_path: Path) -> Mapping[str, list[Decision | None]]:
    """The decisions of the grammar, and of the study's primary judge on the first seeds."""
    known = {text: recognise(text) for text in {r.text for r in responses}}
    primary = params.judging.primary
    judge = open_judge(
        primary, params.judging.judges[primary], f"{params_path}: judging.judges.{primary}", params.judging.judges
    )
    try:
        first = [response for response in responses if response.condition.seed < JUDGED_SAMPLES]
        judged = [repeats[0].decision for repeats in judge.judge(first)]
    finally:
        judge.close()
    return {GRAMMAR: [found[0] if (found := known[r.text]) else None for r in responses], primary: judged}


def counted(decisions: list[Decision | None], prompts: int) -> np.ndarray:
    """How many of each prompt's responses got each decision: prompts x decisions."""
    table = np.array(decisions, dtype=object).reshape(prompts, -1)
    return np.stack([(table == decision).sum(axis=1) for decision in DECISIONS], axis=1)
