"""Section `reference_models`: how the embedded models are trained."""

from __future__ import annotations

from dataclasses import dataclass

from refusal_stability.params.checks import one_of, require


@dataclass
class ReferenceModelParams:
    """The training of one embedded model; `task` is chat or judge, `profile` names a chat model's planted shares."""

    task: str = "chat"
    profile: str = "steady"
    seed: int = 0
    samples_per_prompt: int = 160
    batch_size: int = 32
    learning_rate: float = 6e-3
    hidden_size: int = 128
    layers: int = 2
    heads: int = 4
    vocabulary: int = 1536


def check_reference(reference: ReferenceModelParams, key: str) -> None:
    require(reference.task in ("chat", "judge"), f"{key}.task", reference.task, "one of chat, judge")
    profiles = ("steady", "wavering")
    require(reference.profile in profiles, f"{key}.profile", reference.profile, one_of(profiles))
    for name in ("samples_per_prompt", "batch_size", "hidden_size", "layers", "heads"):
        require(getattr(reference, name) >= 1, f"{key}.{name}", getattr(reference, name), "at least 1")
    samples, vocabulary = reference.samples_per_prompt, reference.vocabulary
    require(
        samples % 20 == 0, f"{key}.samples_per_prompt", samples, "multiples of 20: shares are planted in twentieths"
    )
    require(
        vocabulary >= 320 and vocabulary % 64 == 0,
        f"{key}.vocabulary",
        vocabulary,
        "multiples of 64, from 320 (256 bytes)",
    )
    require(0 < reference.learning_rate < 1, f"{key}.learning_rate", reference.learning_rate, "a number from 0 to 1")
    require(reference.seed >= 0, f"{key}.seed", reference.seed, "a whole number of at least 0")
    require(
        reference.hidden_size % (2 * reference.heads) == 0,
        f"{key}.hidden_size",
        reference.hidden_size,
        "a multiple of twice the number of heads",
    )
