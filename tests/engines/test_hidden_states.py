import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from refusal_stability.engines.hidden_states import prompt_states
from refusal_stability.engines.protocol import EngineError

PROMPTS = ["How do locks work?", "Tell me about bread, and then about rivers and stars.", "a"]


def test_the_deepest_state_is_what_the_model_predicts_its_first_token_from(tiny_model):
    found = prompt_states(str(tiny_model), PROMPTS)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    width = model.config.hidden_size
    assert found.shape == (3, 6 * width)
    for prompt, row in zip(PROMPTS, found, strict=True):
        turn = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        with torch.inference_mode():
            logits = model(**tokenizer(text, add_special_tokens=False, return_tensors="pt")).logits[0, -1]
            told = model.lm_head(torch.tensor(row[4 * width : 5 * width], dtype=torch.float32))
        assert told.numpy() == pytest.approx(logits.numpy(), abs=1e-4)


def test_a_prompt_is_read_alone(tiny_model):
    together = prompt_states(str(tiny_model), PROMPTS)
    assert (prompt_states(str(tiny_model), PROMPTS[1:2])[0] == together[1]).all()
    assert len(np.unique(together, axis=0)) == 3


@pytest.mark.parametrize("path", ["no-such-folder", "no/such/folder", "no-such.gguf"])
def test_a_model_that_is_not_there_is_said(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EngineError, match=path):
        prompt_states(path, PROMPTS)


def test_a_folder_that_holds_no_model_is_said(tmp_path):
    with pytest.raises(EngineError, match=r"--read-by .* cannot be loaded"):
        prompt_states(str(tmp_path), PROMPTS)
