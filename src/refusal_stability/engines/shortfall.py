"""Whether enough requests were answered for a run to count as done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from refusal_stability.engines.protocol import Engine, EngineError
from refusal_stability.engines.rendering import TemplateRejection
from refusal_stability.records import Completion, Message, Outcome, Request

SHOWN = 5
# What stands for a response that the study never asked for.
NOT_ASKED = Completion("", "", missing_reason="not sampled", outcome=Outcome.NOT_SAMPLED)


def check_answered(
    model: str, completions: Sequence[Completion], allowed: float, blocks_count: bool = False
) -> str | None:
    """A warning where asking again could fill gaps, or None.

    Parameters
    ----------
    model : its name in params.yaml.
    completions : of the whole grid.
    allowed : the share of completions that may be missing for a reason that asking again could mend.
    blocks_count : whether a block counts as a refusal, so that a study of nothing else is one.

    Raises
    ------
    EngineError
        More are missing than that, or the server rejects or blocks every request. DVC then caches nothing, and the next
        run asks.
    """
    rejected = _reasons(completions, "rejected")
    if completions and rejected.total() == len(completions):
        raise EngineError(
            f"{model}: the server rejects every request ({most_common(rejected)}); correct sampling.max_tokens, the "
            "prompts, or the model's settings"
        )
    blocked = Counter(c.missing_reason or "" for c in completions if c.outcome is Outcome.BLOCKED)
    if blocked and (blocked + rejected).total() == len(completions):
        told = f"{model}: the server blocks every request ({most_common(blocked + rejected)})"
        if not blocks_count:
            raise EngineError(f"{told}, so nothing is measured; check the account's access and the server's filter")
        return f"{told}: each block counts as a refusal; check that the account is not what is blocked"
    passing = _reasons(completions, "passing")
    if not passing:
        return None
    counted = f"{model}: {passing.total()} of {len(completions)} requests went unanswered ({most_common(passing)})"
    if passing.total() > allowed * len(completions):
        raise EngineError(f"{counted}; what was answered is stored: check the server, then run it again")
    return f"{counted}; `dvc repro --force --single-item generate@{model}` asks again"


def check_system_role(model: str, engine: Engine, requests: Sequence[Request], allowed: float) -> str | None:
    """A warning where the chat template rejects system texts, or None; known before anything is generated.

    Parameters
    ----------
    model : its name in params.yaml.
    engine : only one that renders the template itself is checked.
    requests : of the whole grid.
    allowed : the share of decisions that may be missing.

    Raises
    ------
    EngineError
        More requests have a system text than that, so that the study could not be judged.
    """
    with_system = [request.messages for request in requests if any(m.role == "system" for m in request.messages)]
    rendered: Callable[[Sequence[Message]], str] | None = getattr(engine, "rendered", None)
    if rendered is None or not with_system:
        return None
    try:
        rendered(with_system[0])
    except TemplateRejection as error:
        counted = f"{model}: {len(with_system)} of {len(requests)} requests cannot be asked: {error}"
        if len(with_system) > allowed * len(requests):
            raise EngineError(f"{counted}; or allow that many missing decisions (judging.max_missing)") from error
        return counted
    return None


def most_common(reasons: Counter[str]) -> str:
    """The most common reasons with their counts, for one line of a message."""
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(SHOWN))


def _reasons(completions: Sequence[Completion], kind: str) -> Counter[str]:
    return Counter(c.missing_reason or "" for c in completions if c.details.get(kind))
