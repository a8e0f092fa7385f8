"""The table of adaptive sampling: which samples each prompt got, and why it stopped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from refusal_stability.files import SAMPLED, ArtifactError
from refusal_stability.params.study import StudyParams
from refusal_stability.tables.contract import Contract
from refusal_stability.tables.csv_files import read_table

VERDICTS_EXPLAINED = "`stable` or `unstable`: what the full grid would show; `undecided` where no rule decided"
REASONS_EXPLAINED = (
    "`certified` (error at most alpha), `certain` (nothing left can change it), `whole grid`, `agreed` (rule "
    "`agreement`), `budget` (it ran out), or `doubted` (the audit contradicted its certificate, so it was sampled "
    "until nothing left could change the verdict)"
)
SAMPLED_TABLE = Contract(
    "sampled",
    {
        "intervention": "text",
        "prompt_id": "text",
        "verdict": "text",
        "reason": "text",
        "taken": "whole",
        "spent": "whole",
        "audited": "flag",
        "samples": "text",
    },
    ("intervention", "prompt_id"),
    {
        "intervention": "what preceded the prompt; `none` is the control",
        "prompt_id": "the prompt's id",
        "verdict": VERDICTS_EXPLAINED,
        "reason": f"why it stopped: {REASONS_EXPLAINED}",
        "taken": "samples after which the rule stopped it",
        "spent": "samples taken; more than `taken` only where it was audited",
        "audited": "whether it was chosen beforehand to be sampled in full",
        "samples": "a group for each temperature, a digit for each seed, in the parameters' order: 1 where taken",
    },
)


def sampled_file(model: str) -> Path:
    """Where it stands which samples of a model were taken."""
    return SAMPLED / model / "samples.csv"


def digits_of(taken: Iterable[Iterable[bool]]) -> str:
    """A prompt's cell of the column `samples`."""
    return " ".join("".join("1" if was else "0" for was in group) for group in taken)


def cells_taken(params: StudyParams, model: str, prompt_ids: Sequence[str]) -> list[bool] | None:
    """Whether each request of the model was sampled, in the order of `StudyParams.requests`; None for a full grid."""
    if not params.sampling.adaptive:
        return None
    path = sampled_file(model)
    table = read_table(path, SAMPLED_TABLE)
    cells = dict(zip(zip(table["prompt_id"], table["intervention"], strict=True), table["samples"], strict=True))
    wanted = [(prompt, intervention) for prompt in prompt_ids for intervention in params.interventions]
    groups = [len(params.sampling.seeds)] * len(params.sampling.temperatures)
    rule = next(iter(params.sampling.adaptive))
    if set(wanted) != set(cells) or any([*map(len, text.split(" "))] != groups for text in cells.values()):
        raise ArtifactError(
            f"{path}: not of this study's prompts, interventions, temperatures and seeds; run `dvc repro "
            f"sample@{model}-{rule}` to write it anew"
        )
    return [digit == "1" for place in wanted for digit in cells[place].replace(" ", "")]
