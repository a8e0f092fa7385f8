"""Tables whose columns each hold one model, temperature or repeat: a row becomes one for each of these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from refusal_stability.exchange.logged import LogError
from refusal_stability.exchange.names_that_tell import Template
from refusal_stability.exchange.table_cells import is_blank
from refusal_stability.exchange.table_map import MISSING, TABLE_COLUMNS, USUAL_NAMES, OneTable
from refusal_stability.tables.user_files import UserRow

SHOWN = 5
OUR_NAMES = {*TABLE_COLUMNS, *(name for names in USUAL_NAMES.values() for name in names)}
Told = tuple[tuple[str, str], ...]


@dataclass
class SpreadColumns:
    """What the templates of a map take of one table.

    Attributes
    ----------
    taken : template -> column -> what its name tells.
    blanks : how many places of the table are blank, and were not sampled.
    empty : the place of each row without any other.
    """

    path: Path
    chosen: OneTable
    taken: dict[str, dict[str, Told]] = field(default_factory=dict)
    blanks: int = 0
    empty: list[str] = field(default_factory=list)
    _known: dict[tuple[str, ...], dict[Told, dict[str, str]]] = field(default_factory=dict)

    def rows(self, row: UserRow) -> Iterator[UserRow]:
        """The row for each model, temperature and repeat; its cells stand under the templates' own texts."""
        names = tuple(map(str, row.values)) if self.chosen.templates else ()
        cells = self._known[names] if names in self._known else self._known.setdefault(names, self._cells(names))
        if not cells:
            yield row
            return
        spread = {column for columns in cells.values() for column in columns.values()}
        kept = {name: value for name, value in row.values.items() if name not in spread}
        blank = 0
        for told, columns in cells.items():
            values = {template: row.values[column] for template, column in columns.items()}
            if self.chosen.blank != MISSING and all(map(is_blank, values.values())):
                blank += 1
            else:
                yield replace(row, values={**kept, **dict(told), **values})
        self.blanks += blank
        self.empty += [row.place] * (blank == len(cells))

    def _cells(self, names: Sequence[str]) -> dict[Told, dict[str, str]]:
        """What names tell -> template -> the column."""
        plain = {*self.chosen.columns.values()}
        cells: dict[Told, dict[str, str]] = {}
        for name in names:
            if name in plain or name.strip().lower() in OUR_NAMES:
                continue
            for template in sorted(map(Template, self.chosen.templates), key=lambda one: -one.literal):
                said = template.of_name(name)
                if said is not None:
                    told = tuple(sorted(said.items()))
                    other = cells.setdefault(told, {}).setdefault(template.text, name)
                    if other != name:
                        raise LogError(
                            f"{self.path}: the columns {other} and {name} are both {template.text} of "
                            f"{_words(told)}; name one of them otherwise"
                        )
                    self.taken.setdefault(template.text, {})[name] = told
                    break
        told_twice = {name.strip().lower() for name in names}
        told_twice |= {ours for ours, theirs in self.chosen.columns.items() if theirs in names}
        if twice := told_twice & {what for told in cells for what, _ in told}:
            what = min(twice)
            raise LogError(
                f"{self.path}: the column {what} and the names of other columns ({next(iter(self.taken))}) both say "
                f"the {what}; take {what} out of one of them"
            )
        return cells

    def notes(self) -> Iterator[str]:
        """A line on what each template took."""
        for template, columns in self.taken.items():
            shown = [f"{name} ({_words(told)})" for name, told in list(columns.items())[:SHOWN]]
            others = f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
            many = f"{len(columns)} column{'s' * (len(columns) > 1)}"
            ours = self.chosen.templates[template]
            yield f"{self.path.name}: {many} as {ours}={template}: {', '.join(shown)}{others}"


def _words(told: Told) -> str:
    return ", ".join(f"{what} {value}" for what, value in told)
