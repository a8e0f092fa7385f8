"""The responses of one or many logs, collected on disk: logs are large, and their repeats come in any order.

A response and its labels may come from different files. They meet where model, prompt, temperature and repeat are the
same.
"""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Collection as Group
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from refusal_stability.exchange.collected import CELL, CELL_INDEX, GROUP, SCHEMA, Collected, Grid
from refusal_stability.exchange.logged import (
    NO_TEXT,
    LogError,
    LoggedLabel,
    LoggedResponse,
    check_words,
    checked_temperature,
)
from refusal_stability.exchange.undecided import largest_undecided
from refusal_stability.exchange.unmet_labels import (
    drop_labels_of_failed,
    refuse_labels_of_others,
    refuse_unmet_labels,
    refuse_unnumbered_labels,
)
from refusal_stability.params.engines.recorded import FAILED_ANSWER
from refusal_stability.records import NO_INTERVENTION, Basis, Message, Prompt, storable_text

# More seeds than this many times the most responses to any prompt are no shared repeats: each response has its own.
SHARED = 2
MOST_ASKED = 1000
NO_ID = "leave the id out (of tables: --column prompt_id=none)"


class Collection:
    """Responses from any number of logs, kept in a temporary file.

    Attributes
    ----------
    labels : judge -> each label's count, in the source's words; a missing label counts under the empty text.
    said_again : the place of each record that says nothing new of its repeat.
    shared_seeds : how many responses were sent the seed of another response to their prompt.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + SCHEMA + CELL_INDEX + "BEGIN;")
        self._prompts: dict[str, tuple[int, Prompt]] = {}
        self._ids: dict[tuple[Message, ...], str] = {}
        self.labels: dict[str, Counter[str]] = {}
        self.said_again: list[str] = []
        self.shared_seeds = 0
        self._counted = self._seeds = False
        self._met: set[str] = set()

    def close(self) -> None:
        """Nothing is kept."""
        self._db.close()

    def add(self, logged: LoggedResponse, file: str = "", identity: int = 0) -> None:
        """Add a response, its labels, or both; two different texts or labels for one place are an error.

        Records of equal `identity` say the same, whatever the `file`.
        """
        temperature = checked_temperature(logged)
        check_words(logged)
        self._counted |= logged.counted
        self._seeds |= logged.repeat is not None and not logged.counter
        prompt = self._prompt(logged)
        cell = (logged.model, logged.intervention, prompt, temperature, logged.repeat)
        found = None
        if logged.repeat is not None:
            found = self._db.execute(
                f"SELECT n, response, place FROM answers WHERE ({CELL}) = (?, ?, ?, ?, ?)", cell
            ).fetchone()
        if found and logged.sent_seed and found[1] is not None and logged.text is not None:
            self.shared_seeds += 1
            found, cell = None, (*cell[:4], None)
        number = self._insert(cell, logged, file, identity) if found is None else self._join(found, logged)
        if found is not None and logged.labels and (found[1] is not None or logged.text is not None):
            self._met.add(file)
        new_labels = [self._label(number, judge, label, logged.place) for judge, label in logged.labels.items()]
        had_text = found is not None and (found[1] is not None or logged.text is None)
        if had_text and not any(new_labels):
            self.said_again.append(logged.place)

    def _prompt(self, logged: LoggedResponse) -> int:
        prompt = logged.prompt
        k, known = self._prompts.get(prompt.prompt_id, (len(self._prompts), None))
        if known is not None and (known.conversation == prompt.conversation or _is_an_id(prompt)):
            return k
        if known is not None and not _is_an_id(known):
            raise LogError(
                f"{logged.place}: the prompt id {prompt.prompt_id!r} has two texts, {known.text[:60]!r} and "
                f"{prompt.text[:60]!r}; import these logs as two studies, or {NO_ID}"
            )
        other = self._ids.setdefault(prompt.conversation, prompt.prompt_id)
        if other != prompt.prompt_id:
            raise LogError(
                f"{logged.place}: the prompts {other!r} and {prompt.prompt_id!r} have one text, {prompt.text[:60]!r}; "
                f"{NO_ID}, or correct the text"
            )
        self._prompts[prompt.prompt_id] = (k, prompt)
        return k

    def _insert(
        self, cell: tuple[str, str, int, float, int | None], logged: LoggedResponse, file: str, identity: int
    ) -> int:
        told = self._told(logged)
        cursor = self._db.execute(
            "INSERT INTO answers VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*cell, logged.order, logged.place, *told, file, identity),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    @staticmethod
    def _told(logged: LoggedResponse) -> tuple[str | bool | None, ...]:
        text = None if logged.text is None else storable_text(logged.text)
        reason = storable_text(logged.missing_reason) or (NO_TEXT if text is None else "")
        outcome = "" if logged.outcome is None else logged.outcome.value
        if text and not reason and not outcome and (failed := re.match(FAILED_ANSWER, text)):
            text, reason = "", f"the source recorded {failed.group()!r}"
        finish = storable_text(logged.finish_reason) or ("" if reason else "unknown")
        return text, finish, reason, outcome, storable_text(logged.thinking), logged.unseeded

    def _join(self, found: tuple[int, str | None, str], logged: LoggedResponse) -> int:
        number, response, place = found
        told = self._told(logged)
        if told[0] is None:
            return number
        if response and not str(told[0]).strip() and logged.labels:
            # A row for each judge, of which only the first holds the text.
            return number
        if response is not None and response != told[0]:
            remedy = "remove one, or say which column numbers the repeats: --column repeat=NAME, or repeat=none"
            if logged.counted:
                remedy = "remove one, or list the samples in the same order in each result of the log"
            raise LogError(
                f"{place} and {logged.place} hold two responses for one repeat (model {logged.model!r}, temperature "
                f"{logged.temperature}, repeat {logged.repeat}, prompt {logged.prompt.prompt_id!r}); {remedy}"
            )
        self._db.execute(
            "UPDATE answers SET response = ?, finish_reason = ?, missing_reason = ?, outcome = ?, thinking = ?, "
            "unseeded = ? WHERE n = ?",
            (*told, number),
        )
        return number

    def _label(self, number: int, judge: str, label: LoggedLabel, place: str) -> bool:
        """Add a label; whether it is new."""
        if not 0 <= label.repeat < MOST_ASKED:
            raise LogError(f"{place}: judge {judge!r} has a repeat {label.repeat}; at most {MOST_ASKED} are read")
        texts = map(storable_text, (label.label, label.reasoning, label.missing_reason))
        row = (*texts, label.confidence, label.basis.value)
        try:
            self._db.execute("INSERT INTO labels VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (number, judge, label.repeat, *row))
        except sqlite3.IntegrityError:
            known = self._db.execute(
                "SELECT label FROM labels WHERE (answer, judge, asked) = (?, ?, ?)", (number, judge, label.repeat)
            ).fetchone()
            if known[0] != row[0]:
                raise LogError(
                    f"{place}: judge {judge!r} labels one response as {known[0]!r} and as {row[0]!r}; keep the row "
                    "that is right, or name the column that tells its judges apart: --column judge=NAME"
                ) from None
            return False
        self.labels.setdefault(judge, Counter())[str(row[0])] += 1
        return True

    def drop(self, file: str) -> None:
        """Remove the responses of a file, with their labels."""
        self._db.execute("DELETE FROM labels WHERE answer IN (SELECT n FROM answers WHERE file = ?)", (file,))
        self._db.execute("DELETE FROM answers WHERE file = ?", (file,))
        self.said_again = [place for place in self.said_again if not place.startswith(f"{file}: ")]
        self._count_labels()

    def drop_labels_of_failed(self) -> Counter[str]:
        """Remove what judges said of responses that are missing, which is no decision; judge -> how many labels."""
        dropped = drop_labels_of_failed(self._db)
        if dropped:
            self._count_labels()
        return dropped

    def _count_labels(self) -> None:
        self.labels = {judge: Counter() for judge in self.labels}
        for judge, label, count in self._db.execute("SELECT judge, label, COUNT(*) FROM labels GROUP BY 1, 2"):
            self.labels[judge][label] = count

    def contained(self) -> list[tuple[str, int]]:
        """The files whose every response stands in another file too, and how many that are."""
        self._db.execute("CREATE INDEX IF NOT EXISTS same ON answers (identity, file)")
        return self._db.execute(
            "SELECT file, COUNT(*) FROM answers AS a WHERE response IS NOT NULL GROUP BY file "
            "HAVING MIN(EXISTS (SELECT 1 FROM answers AS b WHERE b.identity = a.identity AND b.file != a.file)) "
            "ORDER BY MIN(n)"
        ).fetchall()

    @property
    def prompts(self) -> list[Prompt]:
        """Every prompt, in the order in which the logs name them."""
        return [prompt for _, prompt in self._prompts.values()]

    def complete_prompts(self, ids: Sequence[str], unanswered: Sequence[Prompt]) -> None:
        """Add prompts without a response, and put all in the order of `ids`; those that it lacks come last."""
        found = {prompt.prompt_id: prompt for prompt in self.prompts}
        for prompt in unanswered:
            is_new = self._ids.setdefault(prompt.conversation, prompt.prompt_id) == prompt.prompt_id
            known = found.get(prompt.prompt_id)
            if is_new and (known is None or _is_an_id(known)):
                found[prompt.prompt_id] = prompt
        order = {one: k for k, one in enumerate(dict.fromkeys([*filter(found.get, ids), *found]))}
        self._db.execute("DROP INDEX cell")
        self._db.create_function("moved", 1, {k: order[one] for one, (k, _) in self._prompts.items()}.get)
        self._db.execute("UPDATE answers SET prompt = moved(prompt)")
        self._db.execute(CELL_INDEX)
        self._prompts = {one: (k, found[one]) for one, k in order.items()}

    def count(self) -> int:
        """Responses, those without text included."""
        return int(self._db.execute("SELECT COUNT(*) FROM answers").fetchone()[0])

    def missing(self) -> Counter[str]:
        """Why responses have no text: reason -> count."""
        query = "SELECT missing_reason, COUNT(*) FROM answers WHERE missing_reason != '' GROUP BY 1"
        return Counter(dict(self._db.execute(query).fetchall()))

    def number_repeats(self) -> bool:
        """Settle every response's repeat; returns whether the numbers are the log's own.

        The log's numbers stay where all responses have one and different prompts share them: all of them, or, of
        seeds, at least half. Otherwise each prompt's responses become repeats 1 to N, in the order of the log.
        """
        unnumbered, distinct = self._db.execute(
            "SELECT COUNT(*) - COUNT(repeat), COUNT(DISTINCT repeat) FROM answers"
        ).fetchone()
        query = f"SELECT MAX(c) FROM (SELECT COUNT(*) AS c FROM answers GROUP BY {GROUP})"
        (most,) = self._db.execute(query).fetchone()
        if unnumbered:
            refuse_unnumbered_labels(self._db)
        refuse_unmet_labels(self._db)
        refuse_labels_of_others(self._db, self._met)
        if not unnumbered and distinct <= (SHARED if self._seeds else 1) * (most or 1):
            return not self._counted
        self._db.execute("DROP INDEX cell")
        self._db.execute(
            f"UPDATE answers SET repeat = o.r FROM (SELECT n, ROW_NUMBER() OVER (PARTITION BY {GROUP} "
            "ORDER BY ord, repeat NULLS LAST, n) AS r FROM answers) AS o WHERE answers.n = o.n"
        )
        self._db.execute(CELL_INDEX)
        return False

    def grid(self) -> Grid:
        """The models, interventions, temperatures and repeats, each once and sorted."""
        named = [
            [value for (value,) in self._db.execute(f"SELECT DISTINCT {name} FROM answers ORDER BY 1")]
            for name in ("model", "intervention", "temperature", "repeat")
        ]
        return Grid(*named)

    def fold_interventions(self) -> None:
        """Make each model under an intervention a model of its own."""
        names = "SELECT DISTINCT model, intervention FROM answers WHERE intervention != ?"
        for model, intervention in self._db.execute(names, (NO_INTERVENTION,)).fetchall():
            name = f"{model}-{intervention}"
            if self._db.execute("SELECT 1 FROM answers WHERE model = ? LIMIT 1", (name,)).fetchone():
                raise LogError(
                    f"the logs hold a model {name!r}, and a model {model!r} under intervention {intervention!r}, which "
                    "would be called so too; import them as two studies"
                )
            self._db.execute(
                "UPDATE answers SET model = ?, intervention = ? WHERE (model, intervention) = (?, ?)",
                (name, NO_INTERVENTION, model, intervention),
            )

    def judges_of(self, model: str) -> list[str]:
        """The judges that label any response of a model."""
        rows = self._db.execute(
            "SELECT DISTINCT judge FROM labels JOIN answers ON answer = n WHERE model = ? ORDER BY 1", (model,)
        )
        return [judge for (judge,) in rows]

    def repeats_of(self, judge: str) -> int:
        """How often a judge was asked about the same response, at most."""
        found = self._db.execute("SELECT MAX(asked) FROM labels WHERE judge = ?", (judge,)).fetchone()[0]
        return int(found or 0) + 1

    def has_texts(self, model: str) -> bool:
        """Whether any response of a model has a text."""
        row = self._db.execute("SELECT 1 FROM answers WHERE model = ? AND response IS NOT NULL LIMIT 1", (model,))
        return row.fetchone() is not None

    def largest_undecided(self, judge: str | None, no_decision: Group[str] = ()) -> float:
        """The largest share of a model's responses without a label by `judge`, or without a text where it is None."""
        return largest_undecided(self._db, judge, no_decision)

    def responses(self, model: str, intervention: str, temperature: float, repeat: int) -> Iterator[Collected]:
        """The responses of one configuration, in the order of the prompts."""
        labels: dict[int, dict[str, list[LoggedLabel]]] = {}
        where = "WHERE (model, intervention, temperature, repeat) = (?, ?, ?, ?)"
        cell = (model, intervention, temperature, repeat)
        query = "SELECT answer, judge, label, reasoning, l.missing_reason, confidence, asked, basis FROM labels AS l "
        query += "JOIN answers ON answer = n "
        for answer, judge, *label, basis in self._db.execute(query + where, cell):
            labels.setdefault(answer, {}).setdefault(judge, []).append(replace(LoggedLabel(*label), basis=Basis(basis)))
        query = "SELECT n, prompt, response, finish_reason, missing_reason, outcome, thinking, unseeded FROM answers "
        for number, prompt, response, *told in self._db.execute(query + where + " ORDER BY prompt", cell):
            finish, reason, outcome, thinking, unseeded = told
            of_it = labels.get(number, {})
            yield Collected(prompt, response or "", finish, reason, outcome, thinking, bool(unseeded), of_it)


def _is_an_id(prompt: Prompt) -> bool:
    """Whether a record names its prompt by the id alone: its text may stand in another."""
    return prompt.text == prompt.prompt_id and not prompt.messages


@contextmanager
def collecting() -> Iterator[Collection]:
    """An empty collection in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as scratch:
        collection = Collection(Path(scratch) / "collected.sqlite")
        try:
            yield collection
        finally:
            collection.close()
