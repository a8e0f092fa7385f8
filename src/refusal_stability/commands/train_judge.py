"""Labelled responses -> a trained judge's file and its cross-validated quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from refusal_stability.judging.joined_labels import read_judged
from refusal_stability.judging.label_names import label_map
from refusal_stability.judging.labelled_table import read_labelled
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.judging.trained.classifier_file import save_classifier
from refusal_stability.judging.trained.encoder import open_encoder
from refusal_stability.judging.trained.training import examples_of_judge, examples_of_table, fit_classifier
from refusal_stability.params.load import load_params
from refusal_stability.progress import progress


def run(
    out: Path,
    table: Path | None,
    columns: Mapping[str, str],
    labels: Sequence[str],
    judge: str | None,
    seed: int,
    params: Path,
    embeddings: str | None = None,
    any_language: bool = False,
) -> None:
    """Train on a table of labelled responses, or on the labels of one of the study's judges.

    `embeddings` names an encoder whose sentence embeddings are added to the word counts; with `any_language` they
    stand in their place.
    """
    if (table is None) == (judge is None):
        raise JudgingError("train-judge: give either --table, with labelled responses, or --judge, a judge's name")
    if table is not None:
        labelled, source = examples_of_table(read_labelled(table, columns, label_map(labels))), f"table {table.name}"
    else:
        study = load_params(params)
        labelled, source = examples_of_judge(read_judged(study), str(judge)), f"judge {judge} of study {study.study}"
    with progress(f"train the judge on {len(labelled.responses)} responses", None):
        encoder = open_encoder(embeddings) if embeddings else None
        classifier = fit_classifier(labelled, source, seed, encoder, any_language)
    save_classifier(classifier, out)
    about = classifier.about
    quality = about["cross_validation"]
    counts = ", ".join(f"{count} {decision}" for decision, count in about["decisions"].items())
    print(f"{out}: trained on {about['rows']} responses to {about['prompts']} prompts ({counts}), labels: {source}")
    print(f"On held-out prompts ({quality['folds']} folds, 95 % intervals over prompts):")
    for name in ("kappa", "macro_f1", "accuracy"):
        value, low, high = quality[name]
        print(f"  {name:18} {value:.3f}  [{low:.3f}, {high:.3f}]")
    for name in ("brier", "calibration_error"):
        print(f"  {name:18} {quality[name]:.3f}")
