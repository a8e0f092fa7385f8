"""Token probabilities as servers send them and local models draw them, and the choices' probabilities that are kept.

Only those few numbers are stored. All log-probabilities of a verdict would take a hundred times its text.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from refusal_stability.engines.answers import final_answer
from refusal_stability.engines.thinking_marks import Marks
from refusal_stability.readout import SHARES, ListedTokens, Readout, choice_shares

if TYPE_CHECKING:
    import torch

# The most alternatives a token that OpenAI and vLLM list.
ALTERNATIVES = 20
# What servers list that allow fewer.
FEWER_ALTERNATIVES = 5
Listed = Sequence[tuple[str, float]]


def kept_shares(
    tokens: ListedTokens | None, text: str, finish_reason: str, readout: Readout | None, marks: Marks
) -> dict[str, Any]:
    """What a completion's details keep of its token probabilities: `choice_shares`, or nothing.

    Parameters
    ----------
    tokens : the answer's; None where the engine gave none.
    text : what the model wrote, thinking included.
    finish_reason, marks : as `final_answer` takes them.
    readout : what was asked for.
    """
    if tokens is None or readout is None:
        return {}
    answer = final_answer(text, finish_reason, marks)
    found = choice_shares(tokens, answer.text, readout) if answer.missing_reason is None else None
    return {SHARES: found} if found else {}


class ServerTokens:
    """The tokens of a server's answer, as OpenAI's chat completions list them, or its older completions."""

    def __init__(self, listed: Sequence[Listed], pieces: Sequence[bytes]) -> None:
        self._listed = listed
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        # A character that is split over tokens begins with the last of them.
        texts = [decoder.decode(piece) for piece in pieces]
        self.text = "".join(texts) + decoder.decode(b"", final=True)
        self._starts = list(accumulate(map(len, texts), initial=0))

    def __len__(self) -> int:
        return len(self._listed)

    def start(self, token: int) -> int:
        """See `ListedTokens`."""
        return self._starts[token]

    def listed(self, token: int) -> Listed:
        """See `ListedTokens`."""
        return self._listed[token]


def server_tokens(said: Any) -> ServerTokens | None:
    """The tokens in a choice's `logprobs`; None where there are none that can be read, which costs no answer."""
    try:
        if isinstance(said.get("content"), list):
            found = [
                (
                    [(one["token"], one["logprob"]) for one in (token, *(token.get("top_logprobs") or []))],
                    bytes(token["bytes"])
                    if isinstance(token.get("bytes"), list) and token["bytes"]
                    else token["token"].encode("utf-8", "replace"),
                )
                for token in said["content"]
            ]
        else:
            others = said.get("top_logprobs") or [{}] * len(said["tokens"])
            found = [
                ([(token, chance), *(more or {}).items()], token.encode("utf-8", "replace"))
                for token, chance, more in zip(said["tokens"], said["token_logprobs"], others, strict=True)
            ]
        listed = [_drawn_first(tokens) for tokens, _ in found]
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None
    return ServerTokens(listed, [piece for _, piece in found]) if listed else None


def _drawn_first(tokens: Sequence[tuple[Any, Any]]) -> Listed:
    """The drawn token, then the others; servers list the drawn one among them too."""
    (drawn, chance), *others = tokens
    return [(str(drawn), _chance(chance)), *((str(text), _chance(c)) for text, c in others if text != drawn)]


def _chance(said: Any) -> float:
    if isinstance(said, bool) or not isinstance(said, int | float) or math.isnan(said):
        raise ValueError("not a log-probability")
    return float(said)


class LocalTokens:
    """The tokens of an answer that was drawn here.

    Parameters
    ----------
    decode : the text of tokens, as that of the answer is made.
    tokens : the answer's.
    numbers : (token, log-probability) of those listed at a place, the drawn one first.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        tokens: Sequence[int],
        numbers: Callable[[int], Sequence[tuple[int, float]]],
    ) -> None:
        self._decode, self._tokens, self._numbers = decode, list(tokens), numbers
        self.text = decode(self._tokens)

    def __len__(self) -> int:
        return len(self._tokens)

    def start(self, token: int) -> int:
        """See `ListedTokens`."""
        return len(self._decode(self._tokens[:token]))

    def listed(self, token: int) -> Listed:
        """See `ListedTokens`. Each is spelled as it would be behind what was written before it."""
        before = self._tokens[:token]
        length = len(self._decode(before))
        return [(self._decode([*before, number])[length:], chance) for number, chance in self._numbers(token)]


def numbers_of(listed: Sequence[Mapping[int, Any]], tokens: Sequence[int]) -> Callable[[int], list[tuple[int, float]]]:
    """How vLLM lists a token's alternatives, in the form that `LocalTokens` takes."""

    def numbers(token: int) -> list[tuple[int, float]]:
        drawn, there = tokens[token], listed[token]
        others = [(number, float(found.logprob)) for number, found in there.items() if number != drawn]
        return [(drawn, float(there[drawn].logprob)), *others]

    return numbers


class ListingSampler:
    """A logits processor that has another draw, and keeps each row's likeliest tokens with their log-probabilities.

    The probabilities are the model's own at temperature 1, after a schema forbade what it forbids.
    """

    def __init__(self, sampler: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        self._sampler = sampler
        self._steps: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores as the sampler changed them."""
        import torch

        # Before the sampler, which changes them in place.
        chances = scores.float().log_softmax(dim=-1)
        top = chances.topk(min(ALTERNATIVES, chances.shape[-1]), dim=-1)
        drawn_scores = self._sampler(input_ids, scores)
        drawn = drawn_scores.argmax(dim=-1, keepdim=True)
        numbers = torch.cat([drawn, top.indices], dim=-1)
        listed = torch.cat([chances.gather(1, drawn), top.values], dim=-1)
        self._steps.append((numbers.to("cpu", torch.int32), listed.to("cpu")))
        return drawn_scores

    def numbers(self, row: int) -> Callable[[int], list[tuple[int, float]]]:
        """What `LocalTokens` takes, of one row."""

        def listed(token: int) -> list[tuple[int, float]]:
            numbers, chances = (part[row].tolist() for part in self._steps[token])
            drawn, *others = zip(numbers, chances, strict=True)
            return [drawn, *(one for one in others if one[0] != drawn[0] and one[1] > -math.inf)]

        return listed
