"""A record that is not built as its format says is one line that names the place, whatever is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_anthropic_batch import asked as message
from test_anthropic_batch import result
from test_every_eval_ever import sample
from test_openai_batch import answered, asked, choice

from refusal_stability.exchange.collection import collecting
from refusal_stability.exchange.log_format import ImportOptions
from refusal_stability.exchange.read_logs import read_logs
from refusal_stability.records import StudyError

LOGS = Path(__file__).parent / "logs"
PYTHONS_WORDS = re.compile(
    r"[A-Z]\w+Error|attribute|unhashable|recursion|subscriptable|set_int_max|'(str|int|list)' obj"
)
WRONG = (None, 7, "text", [], [1], {}, {"role": 1})


def lm_eval_record() -> dict[str, Any]:
    (source,) = (LOGS / "lm-eval/toy-1").glob("samples_*23-02*")
    found: dict[str, Any] = json.loads(source.read_text().splitlines()[0])
    return found


def promptfoo_record() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((LOGS / "promptfoo.json").read_text())["results"]["results"][0]
    return found


def spoilt(record: dict[str, Any], depth: int = 3) -> Iterator[dict[str, Any]]:
    """The record with each of its values, and those inside them, replaced by each wrong one."""
    for key, value in record.items():
        for wrong in WRONG:
            yield {**record, key: wrong}
        if isinstance(value, dict) and depth > 1:
            yield from ({**record, key: inner} for inner in spoilt(value, depth - 1))


RECORDS: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "lm-eval": ("samples_task_1.jsonl", lm_eval_record),
    "promptfoo": ("results.jsonl", promptfoo_record),
    "every-eval-ever": ("run_samples.jsonl", lambda: sample("Q?", "A.")),
    "openai-batch": ("out.jsonl", lambda: answered(0, choice("Sure."))),
    "anthropic-batch": ("out.jsonl", lambda: result(0, text="Sure.")),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_spoilt_record_is_read_or_refused_in_one_line(name: str) -> None:
    file, record = RECORDS[name]
    Path("in.jsonl").write_text(json.dumps(message(0) if name == "anthropic-batch" else asked(0)) + "\n")
    refusals = []
    for spoilt_record in spoilt(record()):
        Path(file).write_text(json.dumps(spoilt_record) + "\n")
        batch = [Path("in.jsonl")] if name.endswith("batch") else []
        with collecting() as collection:
            try:
                read_logs([*batch, Path(file)], name, ImportOptions(temperature=0.7), collection)
            except StudyError as error:
                refusals.append(str(error))
    assert len(refusals) > 5
    assert not [said for said in refusals if "\n" in said]
    assert not [said for said in refusals if file not in said and "in.jsonl" not in said]
    assert not [said for said in refusals if PYTHONS_WORDS.search(said)]


@pytest.mark.parametrize("name", ["deep.jsonl", "deep.json"])
@pytest.mark.parametrize("text", ['{"a":' * 100_000, '[{"evalId":' * 100_000, '{"a": ' + "1" * 5_000 + "}"])
def test_json_that_python_cannot_hold_is_refused_in_one_line(name: str, text: str) -> None:
    Path(name).write_text(text + "\n")
    for log_format in (None, "tables", "promptfoo", "lm-eval", "openai-batch", "every-eval-ever"):
        with collecting() as collection, pytest.raises(StudyError, match=r"deep\.json") as refused:
            read_logs([Path(name)], log_format, ImportOptions(temperature=0.7), collection)
        assert "\n" not in str(refused.value)
        assert not PYTHONS_WORDS.search(str(refused.value))
