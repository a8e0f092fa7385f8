"""A judge model behind the Engine protocol: asks for verdicts, and asks once more where one is unreadable."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.protocol import Engine
from refusal_stability.engines.store import Store
from refusal_stability.judging.model.instructions import Rubric, judge_messages
from refusal_stability.judging.model.verdict import (
    LABEL_LIST,
    VERDICT_READOUT,
    parse_answer,
    parse_verdict,
    verdict_schema,
)
from refusal_stability.judging.protocol import (
    Judge,
    Judgements,
    JudgingError,
    Pair,
    judge_distinct,
    whole_conversation,
)
from refusal_stability.params.judges import JudgeParams, judge_settings, no_token_probabilities
from refusal_stability.readout import SHARES, Readout
from refusal_stability.records import Completion, Judgement, Message, Request, Response, Sampling, sampler_stream

SEED = 0
SHOWN_CHARACTERS = 1000


class ModelJudge(Judge):
    """Judges by asking a model about each distinct (prompt, response) pair, once per repeat.

    Parameters
    ----------
    name : the judge's name in params.yaml, for progress lines.
    engine : answers the requests.
    rubric : the judge's instructions.
    params : temperature, max_tokens and repeats.
    store : the file of completions already paid for.
    """

    def __init__(self, name: str, engine: Engine, rubric: Rubric, params: JudgeParams, store: Path) -> None:
        self.name = name
        self.engine = engine
        self.rubric = rubric
        self.params = params
        self.store = store
        self.prose = judge_settings(params).prose
        self.schema = verdict_schema(params.max_tokens) if rubric.reader is None else None
        self.readout = readout_of(name, engine, rubric, params)

    def judge(self, responses: Sequence[Response]) -> Judgements:
        """See `Judge.judge`. Each has a confidence where repeats or token probabilities tell."""
        return judge_distinct(responses, self._judgements, self.params.repeats, whole_conversation)

    def close(self) -> None:
        """Release the engine."""
        self.engine.close()

    def _judgements(self, pairs: list[Pair]) -> Judgements:
        repeats = self.params.repeats
        asked = self.requests(pairs)
        with Store(self.store) as store:
            answers = complete_stored(self.engine, asked, store, f"judge {self.name}")
            judged = [self._judgement(answer) for answer in answers]
            unread = [i for i, a in enumerate(answers) if a.missing_reason is None and judged[i].decision is None]
            # A preset's model may know nothing but its own template.
            unread = unread if self.rubric.reader is None else []
            again = [self._second_request(asked[i], answers[i], judged[i]) for i in unread]
            if again:
                retried = complete_stored(self.engine, again, store, f"judge {self.name}, asked again")
                for i, answer in zip(unread, retried, strict=True):
                    judged[i] = self._judgement(answer)
        rows = [tuple(judged[i : i + repeats]) for i in range(0, len(judged), repeats)]
        if self.readout is None:
            return list(map(with_shares, rows))
        self._say_what_has_no_confidence(judged)
        return rows

    def _say_what_has_no_confidence(self, judged: Sequence[Judgement]) -> None:
        decided = [judgement.confidence for judgement in judged if judgement.decision is not None]
        if without := decided.count(None):
            print(
                f"warning: judge {self.name}: {without:,} of {len(decided):,} verdicts came without token "
                "probabilities of their label. Their confidence is empty, and they are not handed over. If it "
                "is all of them, the server lists none: set settings.confidence to repeats",
                file=sys.stderr,
            )

    def requests(self, pairs: Sequence[tuple[str, str]]) -> list[Request]:
        """The requests about (prompt, response) pairs; a pair's repeats are next to each other."""
        return [
            self._request(judge_messages(self.rubric, request, response), repeat)
            for request, response in pairs
            for repeat in range(self.params.repeats)
        ]

    def _request(self, messages: tuple[Message, ...], repeat: int) -> Request:
        temperature = self.params.temperature
        stream = sampler_stream(messages, temperature, SEED, repeat)
        sampling = Sampling(temperature, SEED, stream, max_tokens=self.params.max_tokens)
        return Request(messages, sampling, self.schema, repeat, judges=True, readout=self.readout)

    def _second_request(self, first: Request, answer: Completion, judgement: Judgement) -> Request:
        # Some chat templates and servers refuse an empty turn.
        shown = answer.text[:SHOWN_CHARACTERS].strip() or "(nothing)"
        complaint = (
            f"This cannot be read ({judgement.missing_reason}). Answer with one JSON object and nothing else: "
            f'{{"reasoning": "...", "label": "..."}}, where the label is one of {LABEL_LIST}.'
        )
        return self._request((*first.messages, Message("assistant", shown), Message("user", complaint)), first.repeat)

    def _judgement(self, answer: Completion) -> Judgement:
        if answer.missing_reason is not None:
            return Judgement(None, "", f"no verdict: {answer.missing_reason}")
        if self.rubric.reader is not None:
            found = parse_answer(answer.text, self.rubric.reader, answer.finish_reason)
        else:
            found = parse_verdict(answer.text, answer.finish_reason, with_prose=self.prose)
        shares = answer.details.get(SHARES) if self.readout is not None else None
        # A share is none of a decision where the label is spelled as no pattern expects.
        confidence = shares.get(found.decision.value) if shares and found.decision is not None else None
        return replace(found, confidence=confidence)


def readout_of(name: str, engine: Engine, rubric: Rubric, params: JudgeParams) -> Readout | None:
    """What a judge asks its engine for beside the verdict; None without `settings.confidence: tokens`.

    Parameters
    ----------
    name, engine, rubric, params : as `ModelJudge` takes them.

    Raises
    ------
    JudgingError
        Where the engine gives no token probabilities. For some servers only the engine knows, by its vendor's preset.
    """
    if not judge_settings(params).needs_token_probabilities:
        return None
    if not getattr(engine, "token_probabilities", False):
        where, kind = f"judging.judges.{name}.settings.confidence", str(engine.identity.get("engine"))
        raise JudgingError(f"{where}: tokens is not allowed; allowed: {no_token_probabilities(kind)}")
    return VERDICT_READOUT if rubric.reader is None else rubric.reader.readout


def with_shares(repeats: tuple[Judgement, ...]) -> tuple[Judgement, ...]:
    """One pair's judgements, each decision with the share of all repeats that agree with it as its confidence.

    Parameters
    ----------
    repeats : in their order. A single one says nothing of how steady the judge is, and stays as it is. A repeat
        without a decision agrees with none.
    """
    if len(repeats) == 1:
        return repeats
    counts = Counter(judgement.decision for judgement in repeats)
    return tuple(j if j.decision is None else replace(j, confidence=counts[j.decision] / len(repeats)) for j in repeats)
