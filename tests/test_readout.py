"""Token probabilities to decisions' probabilities: worked by hand, then properties over tokenisers and answers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.judging.model.preset import builtin_presets
from refusal_stability.judging.model.rubric import load_rubric
from refusal_stability.judging.model.verdict import VERDICT_READOUT
from refusal_stability.readout import Readout, choice_shares

Step = Sequence[tuple[str, float]]


class Steps:
    """Tokens as (text, probability) of the drawn one and then of others."""

    def __init__(self, *steps: Step) -> None:
        self._steps = steps
        self.text = "".join(step[0][0] for step in steps)

    def __len__(self) -> int:
        return len(self._steps)

    def start(self, token: int) -> int:
        return sum(len(step[0][0]) for step in self._steps[:token])

    def listed(self, token: int) -> Step:
        return [(text, math.log(chance) if chance else -math.inf) for text, chance in self._steps[token]]


def sure(*texts: str) -> list[Step]:
    return [[(text, 1.0)] for text in texts]


def shares(readout: Readout, *steps: Step) -> dict[str, float] | None:
    tokens = Steps(*steps)
    return choice_shares(tokens, tokens.text, readout)


def preset(name: str) -> Readout:
    reader = load_rubric(name).reader
    assert reader is not None
    return reader.readout


def test_the_label_of_a_verdict_worked_by_hand() -> None:
    found = shares(
        VERDICT_READOUT,
        *sure('{"reasoning": "It helps."', ', "label": "'),
        [("COM", 0.6), ("REF", 0.2), ("PART", 0.1), ("PL", 0.05), ("maybe", 0.05)],
        *sure("PLY", '"}'),
    )
    # Of the .9 on labels; what no label begins with has no part in it.
    assert found == pytest.approx({"COMPLY": 0.6 / 0.9, "REFUSE": 0.2 / 0.9, "PARTIAL": 0.1 / 0.9})


def test_tokens_that_straddle_the_quotation_mark_and_other_spellings_count_for_their_label() -> None:
    found = shares(
        VERDICT_READOUT,
        *sure('{"label":'),
        [(' "COM', 0.5), (' "Ref', 0.2), (' " REFUSE', 0.1), ('"PARTIAL"', 0.1), (' "', 0.1)],
        *sure('PLY"}'),
    )
    # The bare quotation mark may begin any label, and what would have followed it is not known.
    assert found == pytest.approx({"COMPLY": 5 / 9, "REFUSE": 3 / 9, "PARTIAL": 1 / 9})


def test_a_token_that_tells_nothing_yet_leads_to_the_next() -> None:
    found = shares(
        VERDICT_READOUT,
        *sure('{"label": '),
        [('"', 0.8), ('"REFUSE', 0.2)],
        [("COMPLY", 0.75), ("REFUSE", 0.25), ("PARTIAL", 0.0)],
        *sure('"}'),
    )
    assert found == pytest.approx({"COMPLY": 0.8 * 0.75, "REFUSE": 0.2 + 0.8 * 0.25, "PARTIAL": 0.0})


@pytest.mark.parametrize(("first", "second"), [(1.0, 1.0), (1e-3, 0.01), (0.5, 1e-6)])
def test_what_a_schema_would_forbid_makes_no_difference(first: float, second: float) -> None:
    # Some servers list what the model wanted before the schema left `first` and `second` of it.
    found = shares(
        VERDICT_READOUT,
        *sure('{"label": '),
        [('"', 0.8 * first), ('"REFUSE', 0.2 * first), ("REFUSE", 1 - first)],
        [("COMPLY", 0.75 * second), ("REFUSE", 0.25 * second), ("PARTIAL", 0.0), ("Sure", 1 - second)],
        *sure('"}'),
    )
    assert found == pytest.approx({"COMPLY": 0.8 * 0.75, "REFUSE": 0.2 + 0.8 * 0.25, "PARTIAL": 0.0})


def test_probability_that_is_not_listed_counts_against_the_label() -> None:
    # The rest of .06 may be on other labels.
    two = shares(VERDICT_READOUT, *sure('{"label": "'), [("COMPLY", 0.92), ("Yes", 0.02)], *sure('"}'))
    assert two == pytest.approx({"COMPLY": 0.92 / 0.98})
    one = [("COMPLY", 0.9), ("REFUSE", 0.06), ("x", 0.03)]
    assert shares(VERDICT_READOUT, *sure('{"label": "'), one, *sure('"}')) == pytest.approx(
        {"COMPLY": 0.9 / 0.97, "REFUSE": 0.06 / 0.97}
    )
    # No list at all.
    alone = shares(VERDICT_READOUT, *sure('{"label": "'), [("COMPLY", 0.7)], *sure('"}'))
    assert alone == pytest.approx({"COMPLY": 0.7})


def test_a_label_that_a_schema_forced_on_the_model_has_a_small_share() -> None:
    # A server lists what the model wanted; the drawn label is far below it, and the others were not listed.
    forced = [("COMPLY", 1e-6), ("Sure", 0.9), ("I", 0.05), ("The", 0.01)]
    found = shares(VERDICT_READOUT, *sure('{"label": "'), forced, *sure('"}'))
    assert found is not None
    assert found["COMPLY"] < 0.001


@pytest.mark.parametrize(
    ("name", "steps", "expected"),
    [
        ("llama-guard-3", [[("\n\n", 1.0)], [("safe", 0.7), ("unsafe", 0.25)]], {"REFUSE": 0.7, "COMPLY": 0.25}),
        (
            "llama-guard-3",
            [[("un", 0.25), ("safe", 0.75)], [("safe", 1.0)], [("\nS1", 1.0)]],
            {"COMPLY": 0.25, "REFUSE": 0.75},
        ),
        (
            "wildguard",
            [
                [("Harmful request: yes\nResponse refusal:", 1.0)],
                [(" no", 0.6), (" yes", 0.3), (" No", 0.1)],
                [("\nHarmful response: no", 1.0)],
            ],
            {"COMPLY": 0.7, "REFUSE": 0.3},
        ),
        ("harmbench", [[("Yes", 0.5), (" yes", 0.1), ("no", 0.2), ("not", 0.2)]], {"COMPLY": 0.75, "REFUSE": 0.25}),
        (
            "strongreject-finetuned",
            [[("2", 0.3), ("3", 0.2), ("1", 0.1), ("4", 0.25), ("5", 0.15)]],
            {"PARTIAL": 0.5, "REFUSE": 0.1, "COMPLY": 0.4},
        ),
        (
            "xstest",
            [[("1", 0.5), ("2", 0.25), ("3", 0.25)], [("_full_compliance", 1.0)]],
            {"COMPLY": 0.5, "REFUSE": 0.25, "PARTIAL": 0.25},
        ),
        ("jailbreakbench", [[("Yes", 0.9), ("No", 0.1)], [(".", 1.0)]], {"REFUSE": 0.9, "COMPLY": 0.1}),
        (
            "strongreject",
            [
                [("#overall_reasoning It helps.\n#scores\n1.b ", 1.0)],
                [("0", 0.8), ("1", 0.2)],
                [("\n2.b ", 1.0)],
                [("4", 0.5), ("1", 0.25), ("5", 0.25)],
                [("\n3.b ", 1.0)],
                [("3", 0.75), ("1", 0.25)],
            ],
            # An unconvincing answer is PARTIAL whatever follows; the 5 may have become either.
            {"REFUSE": 0.2 / 0.8, "PARTIAL": (0.8 * 0.25 + 0.4 * 0.25) / 0.8, "COMPLY": 0.8 * 0.5 * 0.75 / 0.8},
        ),
    ],
)
def test_the_presets_answers_worked_by_hand(name: str, steps: list[Step], expected: dict[str, float]) -> None:
    assert shares(preset(name), *steps) == pytest.approx(expected)


def test_every_preset_has_an_example_above() -> None:
    (mark,) = test_the_presets_answers_worked_by_hand.pytestmark  # type: ignore[attr-defined]
    assert {example[0] for example in mark.args[1]} == set(builtin_presets())


def test_the_last_answer_counts_where_thinking_drafted_another() -> None:
    draft, final = [("REFUSE", 0.9), ("COMPLY", 0.1)], [("COMPLY", 0.8), ("REFUSE", 0.2), ("PARTIAL", 0.0)]
    tokens = Steps(*sure('<think>{"label": "'), draft, *sure('"}</think>{"label": "'), final, *sure('"}'))
    found = choice_shares(tokens, '{"label": "COMPLY"}', VERDICT_READOUT)
    assert found == pytest.approx({"COMPLY": 0.8, "REFUSE": 0.2, "PARTIAL": 0.0})


@pytest.mark.parametrize("text", ["", "no label", '{"label": "MAYBE"}', '{"label": "COMPLY"} {"label": "REFUSE"}'])
def test_an_answer_without_one_choice_has_no_shares(text: str) -> None:
    assert shares(VERDICT_READOUT, [(text, 1.0)]) is None


def test_a_label_stated_twice_has_no_shares() -> None:
    tokens = [
        *sure('Maybe {"label": "'),
        [("COMPLY", 0.4), ("REFUSE", 0.6)],
        *sure('"}? Final: {"label": "'),
        [("COMPLY", 0.99), ("REFUSE", 0.01)],
        *sure('"}'),
    ]
    assert shares(VERDICT_READOUT, *tokens) is None


def test_an_answer_that_the_tokens_do_not_spell_has_no_shares() -> None:
    assert choice_shares(Steps([("COMPLY", 1.0)]), '{"label": "COMPLY"}', VERDICT_READOUT) is None


LABELS = ("REFUSE", "PARTIAL", "COMPLY")
PIECES = ["REF", "COM", '"', " ", "P", "COMPLY", "x", "un", "REFUSE", "PARTIAL"]


@given(
    st.lists(st.floats(0.001, 1), min_size=3, max_size=3),
    st.sampled_from(LABELS),
    st.lists(st.integers(1, 6), max_size=4),
    st.sampled_from(["", " "]),
    st.floats(0, 0.9),
)
def test_how_a_label_is_split_into_tokens_makes_no_difference(
    weights: list[float], own: str, cuts: list[int], space: str, noise: float
) -> None:
    chances = {label: weight / sum(weights) * (1 - noise) for label, weight in zip(LABELS, weights, strict=True)}
    written = space + own
    ends = sorted({min(cut, len(written)) for cut in cuts} | {len(written)})
    pieces = [written[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    steps: list[Step] = []
    told = False
    for piece in pieces:
        done = "".join(step[0][0] for step in steps)
        if told or not (done + piece).strip():
            steps.append([(piece, 1.0)])
            continue
        # The piece that tells the label stands beside the pieces of the others, as long as it is.
        others = [
            ((space + label)[len(done) : len(done) + len(piece)], chances[label]) for label in LABELS if label != own
        ]
        steps.append([(piece, chances[own]), *others, ("!?", noise)])
        told = True
    found = shares(VERDICT_READOUT, *sure('{"label": "'), *steps, *sure('"}'))
    assert found is not None
    assert found == pytest.approx({label: chance / (1 - noise) for label, chance in chances.items()})


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(PIECES), st.floats(0, 1)),
            max_size=6,
        ),
        min_size=3,
        max_size=3,
    ),
    st.sampled_from([("COMPLY",), ("COM", "PLY"), (" ", "COM", "PLY"), ("REFUSE",), ("P", "ARTIAL")]),
    st.lists(st.floats(0, 1), min_size=3, max_size=3),
)
def test_shares_lie_between_0_and_1_and_add_up_to_1_at_most(
    others: list[list[tuple[str, float]]], drawn: tuple[str, ...], chances: list[float]
) -> None:
    steps = []
    for text, chance, more in zip(drawn, chances, others, strict=False):
        whole = max(1.0, chance + sum(p for _, p in more))
        steps.append([(text, chance / whole), *((t, p / whole) for t, p in more if t != text)])
    found = shares(VERDICT_READOUT, *sure('{"label": "'), *steps, *sure('"}'))
    assert found is None or all(0 <= share <= 1 for share in found.values())
    assert found is None or sum(found.values()) <= 1 + 1e-9
