"""A study in the form of Every Eval Ever (schema 0.3.0): an evaluation and its samples for each model.

A decision is a level: 0 REFUSE, 1 PARTIAL, 2 COMPLY, and -1 where there is none. Each label of a response is a sample
of its own, as the schema asks. What the form has no field for stands in a sample's metadata.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import uuid
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from refusal_stability.exchange.exported_study import study_description
from refusal_stability.exchange.response_table import response_rows
from refusal_stability.exchange.told_by_export import OWN, told_by
from refusal_stability.files import atomic_write, write_json
from refusal_stability.params.study import StudyParams
from refusal_stability.records import DECISION_NAMES, MISSING, NO_INTERVENTION, Condition, Decision

SCHEMA = "0.3.0"
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9]([\w.-]*\w)?)+", re.ASCII)
LEVELS = {
    "metric_id": "refusal_stability.decision",
    "metric_name": "decision",
    "evaluation_description": "what the response does with the request; is_correct says whether it refuses",
    "lower_is_better": True,
    "score_type": "levels",
    "level_names": list(DECISION_NAMES),
    "has_unknown_level": True,
}
# Column of `aggregate_by_temperature` -> its largest value, and whether lower is better.
STABILITY = {
    "mean_ssi_pairwise": (1.0, False),
    "mean_ssi": (1.0, False),
    "pct_flipped": (100.0, True),
    "pct_unstable": (100.0, True),
}
NO_JUDGE = dict.fromkeys(("judge", "label", "reasoning", "missing_reason", "basis"), "") | {
    "repeat": 0,
    "confidence": None,
}
Scores = dict[tuple[float, str, int], list[int]]


def write_every_eval_ever(
    params: StudyParams, prompts: pd.DataFrame, stability: pd.DataFrame, written: float, folder: Path
) -> int:
    """Write an evaluation and its samples for each model and intervention; returns how many samples.

    `stability` is the table `aggregate_by_temperature`; `written` is when the study was measured, in epoch seconds.
    """
    about: dict[Any, Any] = prompts.set_index("prompt_id", drop=False).to_dict("index")
    count, described = 0, study_description(params, prompts)
    for model in params.models:
        for intervention, group in groupby(params.conditions(model), lambda condition: condition.intervention):
            one = _Evaluation(params, model, intervention, written, described)
            rows = stability[(stability["model"] == model) & (stability["intervention"] == intervention)]
            count += one.write(list(group), about, rows, folder)
    return count


class _Evaluation:
    """One model under one intervention."""

    def __init__(self, params: StudyParams, model: str, intervention: str, written: float, described: str) -> None:
        self.params, self.model, self.intervention, self.described = params, model, intervention, described
        self.timestamp = f"{written:.0f}"
        given = params.models[model]
        named = given.engine != "recorded" and HUB_NAME.fullmatch(given.path or "") and not Path(given.path).exists()
        self.model_id = given.path if named else f"local/{model}"
        self.name = params.study if intervention == NO_INTERVENTION else f"{params.study}-{intervention}"
        self.evaluation_id = f"{self.name}/{self.model_id}/{self.timestamp}"

    def write(
        self,
        conditions: list[Condition],
        about: Mapping[str, Mapping[str, Any]],
        stability: pd.DataFrame,
        folder: Path,
    ) -> int:
        """Write both files; returns how many samples."""
        developer, *rest = self.model_id.split("/")
        identity = hashlib.sha256("\0".join((self.params.study, self.model, self.intervention)).encode()).digest()
        place = Path("data", f"stability-{self.params.study}", developer, "_".join(rest))
        stem = place / str(uuid.UUID(bytes=identity[:16], version=4))
        samples = stem.with_name(f"{stem.name}_samples.jsonl")
        (folder / place).mkdir(parents=True, exist_ok=True)
        scores: Scores = {}
        count, digest = 0, hashlib.sha256()
        with atomic_write(folder / samples, "wb") as file:
            for condition in conditions:
                for sample in self._samples(condition, about, scores):
                    line = json.dumps(sample).encode() + b"\n"  # ASCII: some readers end a line at U+2028
                    digest.update(line)
                    file.write(line)
                    count += 1
        detail: dict[str, Any] = {"format": "jsonl", "file_path": samples.as_posix(), "total_rows": count}
        detail |= {"hash_algorithm": "sha256", "checksum": digest.hexdigest()}
        results = [*self._decisions(scores), *self._stability(stability)]
        write_json(self._evaluation(results, detail if count else None), folder / f"{stem}.json")
        if not count:
            (folder / samples).unlink()
        return count

    def _samples(
        self, condition: Condition, about: Mapping[str, Mapping[str, Any]], scores: Scores
    ) -> Iterator[dict[str, Any]]:
        for row in response_rows(self.params, condition, about):
            for label in row["labels"] or [NO_JUDGE]:
                decision = label["label"]
                score = DECISION_NAMES.index(decision) if decision else MISSING
                place = (condition.temperature, label["judge"], label["repeat"])
                scores.setdefault(place, []).append(score)
                yield self._sample(row, label, score, self._result_id(*place))

    def _result_id(self, temperature: float, judge: str, repeat: int) -> str:
        return f"{self.evaluation_id}/{temperature!r}/{judge or 'no judge'}" + (f"/{repeat}" if repeat else "")

    def _sample(self, row: Mapping[str, Any], label: Mapping[str, Any], score: int, result_id: str) -> dict[str, Any]:
        turns, thinking = json.loads(row["turns"] or "[]"), row["thinking"] or None
        has_text = not row["missing_reason"]
        answer = {"role": "assistant", "content": row["response"] if has_text else None, "reasoning_trace": thinking}
        turns = [*turns, {"role": "user", "content": row["prompt"]}, answer]
        messages = [{"turn_idx": k, **turn} for k, turn in enumerate(turns)] if len(turns) > 2 else None
        output = {"raw": [row["response"]] if has_text else [], "reasoning_trace": [thinking] if thinking else None}
        given = {name: label[name] for name in ("judge", "repeat", "reasoning", "confidence", "basis")}
        attribution = {
            "turn_idx": len(turns) - 1 if messages else 0,
            "source": "messages[turn_idx].content" if messages else "output.raw",
            "extracted_value": label["label"],
            "extraction_method": label["judge"],
            "is_terminal": True,
        }
        return {
            "schema_version": SCHEMA,
            "evaluation_id": self.evaluation_id,
            "evaluation_result_id": result_id,
            "model_id": self.model_id,
            "evaluation_name": label["judge"] or self.params.study,
            "sample_id": row["prompt_id"],
            "sample_hash": hashlib.sha256(row["prompt"].encode()).hexdigest(),
            "interaction_type": "multi_turn" if messages else "single_turn",
            "input": {"raw": row["prompt"], "reference": []},
            "output": None if messages else output,
            "messages": messages,
            "answer_attribution": [attribution] if label["label"] else [],
            "evaluation": {"score": score, "is_correct": label["label"] == Decision.REFUSE},
            "error": row["missing_reason"] or None,
            "metadata": {
                "category": row["category"],
                "seed": str(row["seed"]),
                "decision": label["label"] or "missing",
                OWN: told_by(row, **given, label_missing=label["missing_reason"]),
            },
        }

    def _decisions(self, scores: Scores) -> Iterator[dict[str, Any]]:
        for (temperature, judge, repeat), found in scores.items():
            decided = [score for score in found if score != MISSING]
            counts = {name: str(decided.count(code)) for code, name in enumerate(DECISION_NAMES)}
            score = sum(decided) / len(decided) if decided else MISSING
            yield {
                "evaluation_result_id": self._result_id(temperature, judge, repeat),
                **self._about(judge or self.params.study, temperature),
                "metric_config": LEVELS,
                "score_details": {
                    "score": score,
                    "details": {
                        **counts,
                        "missing": str(len(found) - len(decided)),
                        "repeat of the judge": str(repeat),
                    },
                },
            }

    def _stability(self, table: pd.DataFrame) -> Iterator[dict[str, Any]]:
        for row in table.to_dict("records"):
            for column, (largest, lower) in STABILITY.items():
                score, low, high = (float(row[f"{column}{end}"]) for end in ("", "_low", "_high"))
                if math.isnan(score):
                    continue
                interval: dict[str, Any] = {"lower": low, "upper": high, "method": "bootstrap over prompts"}
                interval["confidence_level"] = self.params.metrics.confidence
                yield {
                    "evaluation_result_id": f"{self.evaluation_id}/{row['temperature']!r}/{column}",
                    **self._about(f"{self.params.study}: {column}", row["temperature"]),
                    "metric_config": {
                        "metric_id": f"refusal_stability.{column}",
                        "metric_name": column,
                        "lower_is_better": lower,
                        "score_type": "continuous",
                        "min_score": 0.0,
                        "max_score": largest,
                    },
                    "score_details": {
                        "score": score,
                        "uncertainty": {
                            **({} if math.isnan(low) else {"confidence_interval": interval}),
                            "num_samples": int(row["n_prompts"]),
                        },
                    },
                }

    def _about(self, name: str, temperature: float) -> dict[str, Any]:
        return {
            "evaluation_name": name,
            "source_data": {"dataset_name": self.params.study, "source_type": "other"},
            "generation_config": {"generation_args": {"temperature": float(temperature)}},
        }

    def _evaluation(self, results: list[dict[str, Any]], detail: dict[str, Any] | None) -> dict[str, Any]:
        unknown = {"deployment_type": "unknown", "model_availability": "unknown"}
        evaluation = {
            "schema_version": SCHEMA,
            "evaluation_id": self.evaluation_id,
            "retrieved_timestamp": self.timestamp,
            "source_metadata": {
                "source_name": self.params.study,
                "source_type": "evaluation_run",
                "source_organization_name": "not stated",
                "evaluator_relationship": "other",
            },
            "eval_library": {"name": "refusal-stability", "version": version("refusal-stability")},
            "model_info": {
                "name": self.params.models[self.model].label or self.model,
                "id": self.model_id,
                "additional_details": {
                    **unknown,
                    "intervention": self.intervention,
                    OWN: self.described,
                },
            },
            "evaluation_results": results,
        }
        return evaluation | ({"detailed_evaluation_results": detail} if detail else {})
