"""`refusal-stability prompts --show N`: print what each model really sees, and write nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from refusal_stability.engines.conversation import folded
from refusal_stability.engines.open import open_engine
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.rendering import TemplateRejection
from refusal_stability.params.load import load_params
from refusal_stability.params.study import StudyParams
from refusal_stability.plain_text import visible, visible_line
from refusal_stability.prompts.load import load_prompts
from refusal_stability.records import Message, Prompt, StudyError

UNRENDERED = "(the messages as they are sent; {why})"


def run(params_path: Path, count: int) -> None:
    """Print the first `count` prompts as each model gets them under each intervention."""
    if count < 1:
        raise StudyError(f"--show {count} is not allowed; allowed: a number of prompts, at least 1")
    params = load_params(params_path)
    prompts = load_prompts(params.prompts)[:count]
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    for model in params.models:
        for title, text in shown(model, params, prompts, f"{params_path}: models.{model}"):
            console.rule(visible_line(title), align="left")
            console.print(visible(text))


def shown(model: str, params: StudyParams, prompts: Sequence[Prompt], where: str) -> Iterator[tuple[str, str]]:
    """A title and a text for every prompt and intervention of one model."""
    try:
        engine: Any = open_engine(params.models[model], where)
    except EngineError as error:
        engine = None
        why = f"the engine cannot be opened: {error}"
    else:
        why = "the server's own chat template is not known here"
    try:
        for number, prompt in enumerate(prompts, start=1):
            for name in params.interventions:
                messages = params.intervention(name).messages(prompt)
                yield f"{model}, intervention {name}, prompt {number}", _text(engine, messages, why)
    finally:
        if engine is not None:
            engine.close()


def _text(engine: Any, messages: Sequence[Message], why: str) -> str:
    if hasattr(engine, "rendered"):
        try:
            return str(engine.rendered(messages))
        except TemplateRejection as error:
            return f"(not asked: {error})"
    asked = folded(messages) if getattr(engine, "fold_system", False) else messages
    return "\n".join([UNRENDERED.format(why=why), *(f"[{message.role}]\n{message.content}" for message in asked)])
