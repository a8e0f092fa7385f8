"""What every engine offers: it takes requests and gives completions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from refusal_stability.records import Completion, Request, StudyError


class EngineError(StudyError):
    """An engine that cannot work. The message names the model or server, what was wrong, and the remedy."""


class Engine(Protocol):
    """What every engine offers.

    Attributes
    ----------
    identity : everything about the engine that decides a completion besides the request itself - engine kind, model
        with its revision or weight hash, dtype, settings that change output. Part of the store's key.
    description : what else is worth recording and does not decide a completion (library versions, device).

    Notes
    -----
    An engine yields texts as the model wrote them. `engines.complete` sets thinking apart, by `engines.answers`.

    An engine may also offer:

    - `ready() -> int`, how many completions `complete` yields next without waiting. The store commits these together.
      Without it each completion is committed by itself.
    - `thinking_marks`, the pairs of marks around its model's thinking; the known ones otherwise.
    - `opened_thinking(messages) -> str`, the opening mark that the prompt ends with, or nothing. It is put before a
      stored text when that is read.
    - `fold_system`. Where it is true, a system text is put at the start of the first user turn, before the store's key
      is made.
    - `kept_in(store)`, called with the store that `complete` works for, before anything is looked up or dropped there.
    - `keep_prompts()`, called where the same prompts will be asked again in later calls of `complete`.
    - `require_environment()`, which raises `OtherEnvironment` where the engine runs in another one. Whoever has it run
      in processes of their own calls this first: those begin in the caller's environment.
    - `token_probabilities`. Where it is true, a request's `readout` is answered by `choice_shares` in the details.
    - `rendered(messages) -> str`, the text that a chat template makes of a conversation.
    """

    @property
    def identity(self) -> Mapping[str, Any]: ...

    @property
    def description(self) -> Mapping[str, Any]: ...

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield (position in `requests`, completion) as each finishes, in any order, every position once.

        A request that fails for good yields a completion with a `missing_reason`. An error that concerns the whole
        run (no such model, no key, out of memory) raises `EngineError`.
        """
        ...

    def close(self) -> None:
        """Release the model's memory or the connections."""
        ...
