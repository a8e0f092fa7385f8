"""What every judge offers: responses in, judgements out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from refusal_stability.records import Judgement, Prompt, Response, StudyError

Pair = tuple[str, str]
Judgements = list[tuple[Judgement, ...]]


class JudgingError(StudyError):
    """A judge that cannot work, or labels that a study cannot use: says why, and the remedy."""


class Judge(Protocol):
    """What every judge offers; subclasses state only what differs from the defaults here."""

    def judge(self, responses: Sequence[Response]) -> Judgements:
        """Judge responses.

        Parameters
        ----------
        responses : of one model, in any order.

        Returns
        -------
        list of tuple of Judgement
            For each response, in order, one judgement per repeat. A missing response is never judged: its judgements
            are missing and carry its reason. (A recorded judge is the exception: labels may outlive their responses.)
        """
        ...

    def knows(self, model: str) -> bool:
        """Whether the judge can judge this model's responses; recorded labels may cover some models only."""
        return True

    def close(self) -> None:
        """Release the judge's model or files."""
        return


def last_turn(prompt: Prompt) -> str:
    """The request that a response answers: in a conversation, its last user turn."""
    return prompt.text


def whole_conversation(prompt: Prompt) -> str:
    """The request with the earlier turns of its conversation, each behind its role; a single turn stays as it is."""
    if not prompt.earlier_turns:
        return prompt.text
    return "\n\n".join(f"{turn.role.capitalize()}: {turn.content}" for turn in prompt.conversation)


def judge_distinct(
    responses: Sequence[Response],
    judge_pairs: Callable[[list[Pair]], Judgements],
    repeats: int,
    request_of: Callable[[Prompt], str] = last_turn,
) -> Judgements:
    """Judge each distinct (prompt, response) pair once, and give its judgements to every equal pair.

    Parameters
    ----------
    responses : those to be judged; missing ones are left out and keep their reason.
    judge_pairs : the judgements of distinct pairs, in their order. Line ends are `\\n` in what it is shown.
    repeats : how many judgements a missing response gets.
    request_of : what the judge is shown as the request.
    """
    pairs = [_pair(r, request_of) if r.missing_reason is None else None for r in responses]
    distinct = distinct_pairs(responses, request_of)
    judged = dict(zip(distinct, judge_pairs(distinct), strict=True))
    return [
        (Judgement(None, "", f"no response: {response.missing_reason}"),) * repeats if pair is None else judged[pair]
        for response, pair in zip(responses, pairs, strict=True)
    ]


def distinct_pairs(responses: Sequence[Response], request_of: Callable[[Prompt], str] = last_turn) -> list[Pair]:
    """The pairs that `judge_distinct` shows a judge.

    Parameters
    ----------
    responses, request_of : as `judge_distinct` takes them.
    """
    return list(dict.fromkeys(_pair(r, request_of) for r in responses if r.missing_reason is None))


def _pair(response: Response, request_of: Callable[[Prompt], str]) -> Pair:
    # Two texts that differ only in how their lines end are one.
    return request_of(response.prompt), response.text.replace("\r\n", "\n")
