"""The recorded engine: responses that exist already become a model of a study like any other.

Nothing is guessed: a cell without a row, a row that stands twice, two texts for one cell, or a file that holds another
model or configuration than its name says is an error that names the file and the rows.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refusal_stability.engines.finish_reasons import Ending, ending_of
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.shortfall import NOT_ASKED
from refusal_stability.files import PARQUET, form_there
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.recorded import RecordedSettings
from refusal_stability.records import WITHOUT_TEXT, Completion, Message, Outcome, Request, outcome_of
from refusal_stability.tables.user_files import read_frame

if TYPE_CHECKING:
    import pandas as pd

# Where a source keeps one configuration's responses, under the folder that `path` names.
LAYOUTS = {
    "project": "data/generations/{name}/{name}_temp{temperature!r}_seed{seed}_generations.csv",
    "published": "data/results/generations/{name}_temp{temperature!r}_seed{seed}.csv",
}
NEEDED = ("prompt", "response", "model", "temperature", "seed")
OPTIONAL = ("finish_reason", "missing_reason", "outcome", "thinking", "unseeded", "turns")
YES = "true"
SHOWN = 5
Conversation = tuple[Message, ...]


@dataclass(frozen=True)
class RecordedResponse:
    """One recorded response and the line of its file that it stands in (the header is row 1)."""

    number: int
    response: str
    finish_reason: str
    missing_reason: str
    outcome: str
    thinking: str
    unseeded: str


class RecordedEngine:
    """Look completions up in files written by an earlier study.

    Parameters
    ----------
    model : `path` is the folder of the source: a checkout of this project, or a clone of the published study.
    settings : the layout, the model's names at the source, its columns, and which texts are no responses.
    where : the model's key in params.yaml, for error messages.

    Raises
    ------
    EngineError
        The folder is not there. From `complete`: a file or column is missing, a cell has no row or several, a row
        belongs to another model or configuration, or a request cannot have been recorded (an intervention, a schema).

    Notes
    -----
    A cell is (prompt, temperature, seed); the study's seed is the recorded one, and no two cells share a row. A file
    with a column `turns` knows a prompt by its whole conversation, any other by its last user turn. With
    `whole_conversations` every file does, so that interventions tell responses apart.
    With `labels_only` nothing is read and every completion is missing: such a model has labels by recorded judges.
    """

    def __init__(self, model: ModelParams, settings: RecordedSettings, where: str = "model") -> None:
        self._where = where
        self._root = Path(model.path)
        self._settings = settings
        self._missing = [re.compile(pattern) for pattern in settings.missing]
        if not self._root.is_dir():
            raise EngineError(
                f"{where}.path: {model.path!r} is no folder; give the study whose responses are taken over"
            )
        self.identity: Mapping[str, Any] = {
            "engine": "recorded",
            "sha256": self._digest(),
            "columns": settings.columns,
            "missing": settings.missing,
        }
        self.description: Mapping[str, Any] = {
            "engine": "recorded",
            "source": settings.name,
            "layout": settings.layout,
            "device": "none",
        }

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield each request's recorded completion, a file at a time; see `Engine.complete`."""
        if self._settings.labels_only:
            for position in range(len(requests)):
                yield position, Completion("", "", missing_reason="labels only: the source has no response")
            return
        files: dict[tuple[float, int], list[int]] = defaultdict(list)
        whole = self._settings.whole_conversations
        for position, request in enumerate(requests):
            if request.schema is not None:
                raise EngineError(f"{self._where}: recorded responses cannot judge; use a judge of `kind: recorded`")
            files[request.sampling.temperature, request.sampling.seed].append(position)
        for (temperature, seed), positions in files.items():
            file = self._file(temperature, seed)
            table = self._table(file)
            rows = self._read(file, table, temperature, seed)
            asked = [requests[position].messages for position in positions]
            prompts = asked if whole or table["turns"].any() else self._last_turns(file, asked)
            absent = [prompt[-1].content for prompt in prompts if prompt not in rows]
            if absent and not self._settings.unequal:
                raise EngineError(
                    f"{file}: {len(absent)} of the study's {len(prompts)} prompts have no row: {_shown(absent)}; ask "
                    f"only prompts that {self._settings.name} answered, or correct the prompts' text; if prompts have "
                    f"unequal numbers of responses, set {self._where}.settings.unequal: true"
                )
            for position, prompt in zip(positions, prompts, strict=True):
                yield position, self._completion(rows[prompt]) if prompt in rows else NOT_ASKED

    def close(self) -> None:
        """Nothing stays open."""

    def _completion(self, row: RecordedResponse) -> Completion:
        completion = self._answer(row)
        return replace(completion, details={"unseeded": True}) if row.unseeded.lower() == YES else completion

    def _answer(self, row: RecordedResponse) -> Completion:
        reason = row.missing_reason or next(
            (f"the source recorded {match.group()!r}" for p in self._missing if (match := p.match(row.response))), ""
        )
        known = row.outcome in Outcome.__members__.values()
        ending = None if known or reason else ending_of(row.finish_reason)
        if not (known or reason or row.response.strip() or row.thinking) and ending in (None, Ending.TOOL):
            reason = f"the answer has no content (finish reason: {row.finish_reason})"
        if ending in (Ending.FILTER, Ending.FAILED, Ending.GAVE_UP):
            outcome = Outcome.BLOCKED if ending is Ending.FILTER else Outcome.UNANSWERED
            reason = f"{ending.value} (finish reason of the source: {row.finish_reason})"
            return Completion("", "", missing_reason=reason, thinking=row.thinking, outcome=outcome)
        if ending is Ending.REFUSAL:
            return Completion("", row.finish_reason, thinking=row.thinking, outcome=Outcome.REFUSED)
        finish_reason = "length" if ending is Ending.LENGTH else row.finish_reason
        outcome = Outcome(row.outcome) if known else outcome_of(finish_reason, reason)
        if reason:
            outcome = outcome if outcome in WITHOUT_TEXT else Outcome.UNANSWERED
            return Completion("", "", missing_reason=reason, thinking=row.thinking, outcome=outcome)
        if outcome in WITHOUT_TEXT:
            raise EngineError(
                f"{self._where}: row {row.number}: outcome {row.outcome} without a missing_reason; correct the row"
            )
        return Completion(row.response, finish_reason, thinking=row.thinking, outcome=outcome)

    def _last_turns(self, file: Path, asked: Sequence[Conversation]) -> list[Conversation]:
        """What a file without `turns` knows the conversations by; two that it cannot tell apart are an error."""
        if any(messages[0].role == "system" for messages in asked):
            raise EngineError(
                f"{self._where}: recorded responses stand for bare prompts; remove every intervention but `none`, or "
                f"keep this model in a study of its own (system turns of the prompts need a column `turns` in {file})"
            )
        ends = Counter(messages[-1] for messages in set(asked))
        shared = [turn.content for turn in dict.fromkeys(messages[-1] for messages in asked) if ends[turn] > 1]
        if shared:
            raise EngineError(
                f"{file}: no column `turns`, and {len(shared)} of the study's prompts have a last turn that another "
                f"conversation ends in too: {_shown(shared)}; add the column (the turns before the last, as in the "
                "study's prompt table), or leave all but one of these conversations and every intervention out"
            )
        return [messages[-1:] for messages in asked]

    def _file(self, temperature: float, seed: int) -> Path:
        relative = LAYOUTS[self._settings.layout].format(
            name=self._settings.name, temperature=float(temperature), seed=int(seed)
        )
        return form_there(self._root / relative)

    def _digest(self) -> str:
        digest = hashlib.sha256()
        if not self._settings.labels_only:
            name = escape(self._settings.name)
            pattern = re.sub(r"\{(temperature!r|seed)\}", "*", LAYOUTS[self._settings.layout]).replace("{name}", name)
            forms = (pattern, pattern.removesuffix(".csv") + PARQUET)
            for file in sorted(file for form in forms for file in self._root.glob(form)):
                digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
                digest.update(file.read_bytes())
        return digest.hexdigest()

    def _read(
        self, file: Path, table: pd.DataFrame, temperature: float, seed: int
    ) -> dict[Conversation, RecordedResponse]:
        self._check_model(file, table["model"])
        _check_column(file, table["temperature"], temperature, "temperature")
        _check_column(file, table["seed"], seed, "seed")
        rows: dict[Conversation, RecordedResponse] = {}
        columns = (table[name].tolist() for name in ("prompt", "response", *OPTIONAL))
        for number, prompt, response, *about, turns in zip(table.index.tolist(), *columns, strict=True):
            conversation = (*_turns(file, number, turns), Message("user", prompt))
            first = rows.setdefault(conversation, RecordedResponse(number, response, *about))
            if first.number != number:
                kind = "the same text" if first.response == response else "two texts"
                raise EngineError(
                    f"{file}: rows {first.number} and {number} hold {kind} for one prompt, {_shown([prompt])}; keep "
                    "the row that is right"
                )
        return rows

    def _table(self, file: Path) -> pd.DataFrame:
        import pandas as pd

        if not file.is_file():
            raise EngineError(
                f"{file}: no such file; correct {self._where}.settings (layout, name), or take its temperature and "
                "seed out of `sampling`"
            )
        columns = {name: self._settings.columns.get(name, name) for name in (*NEEDED, *OPTIONAL)}
        found = read_frame(file)
        absent = [columns[name] for name in NEEDED if columns[name] not in found.columns]
        if absent:
            raise EngineError(
                f"{file}: no column {', '.join(absent)}; found {', '.join(map(str, found.columns))}; name them in "
                f"{self._where}.settings.columns"
            )
        blank = {"finish_reason": "unknown"} | dict.fromkeys(OPTIONAL[1:], "")
        return pd.DataFrame(
            {name: found[at] if at in found.columns else blank[name] for name, at in columns.items()},
            index=found.index,
            copy=False,
        )

    def _check_model(self, file: Path, column: pd.Series[Any]) -> None:
        names = list(dict.fromkeys(column))
        wanted = self._settings.model
        if (wanted is None and len(names) > 1) or (wanted is not None and names not in ([], [wanted])):
            other = column != (names[0] if wanted is None else wanted)
            row = int(other.idxmax())
            raise EngineError(
                f"{file}: row {row}: model {column[row]!r}, expected {wanted or names[0]!r}; correct "
                f"{self._where}.settings.model (the file holds {', '.join(map(repr, names[:SHOWN]))})"
            )


def _turns(file: Path, number: int, text: str) -> list[Message]:
    """The turns before a recorded prompt; none for an empty cell."""
    if not text:
        return []
    try:
        return [Message(str(turn["role"]), str(turn["content"])) for turn in json.loads(text)]
    except (ValueError, RecursionError, TypeError, KeyError) as error:
        raise EngineError(
            f"{file}: row {number}, column turns: not a JSON list of turns, each with a `role` and a `content`; "
            "correct the row"
        ) from error


def _check_column(file: Path, column: pd.Series[Any], expected: float, name: str) -> None:
    import pandas as pd

    wrong = pd.to_numeric(column, errors="coerce") != expected
    if wrong.any():
        row = int(wrong.idxmax())
        raise EngineError(
            f"{file}: row {row}: {name} {column[row]!r} in a file of {name} {expected!r}; correct the row or "
            "the file's name"
        )


def _shown(texts: Sequence[str]) -> str:
    """The first few texts, each cut to one line's worth, for an error message."""
    cut = [repr(text if len(text) <= 60 else text[:60] + "...") for text in texts[:SHOWN]]
    return ", ".join(cut) + (f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else "")
