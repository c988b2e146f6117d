"""Folders as they come: weights in shards, in bfloat16 and in float16."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

import tensorlite as tl
from claimsformer.errors import ReadError
from claimsformer.transformer import from_hugging_face
from tensorlite import optim

from .test_hugging_face import SIZE


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_shards_and_half_precision(dtype: torch.dtype, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = transformers.PhiForCausalLM(transformers.PhiConfig(**SIZE)).eval().to(dtype)
    theirs.save_pretrained(tmp_path, max_shard_size="10KB")
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 2
    mine = from_hugging_face(tmp_path)
    ids = torch.randint(0, 61, (2, 9))
    with torch.no_grad():  # the same numbers, computed in float32
        wanted = theirs.float()(ids).logits.numpy()
    np.testing.assert_allclose(mine(ids.numpy()).detach().numpy(), wanted, atol=1e-5)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    theirs = transformers.PhiForCausalLM(transformers.PhiConfig(**SIZE))
    theirs.save_pretrained(tmp_path, max_shard_size="10KB")
    gone = sorted(tmp_path.glob("model-*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(ReadError, match=gone.name):
        from_hugging_face(tmp_path)


def test_weights_are_pages_of_the_file_and_the_file_never_changes(tmp_path: Path) -> None:
    theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZE, tie_word_embeddings=True))
    theirs.save_pretrained(tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    mine, other = from_hugging_face(tmp_path), from_hugging_face(tmp_path)
    for name, p in mine.named_parameters():
        array = p.detach().numpy()
        while isinstance(array.base, np.ndarray):
            array = array.base
        assert isinstance(array, np.memmap), name
    assert mine.lm_head is not None
    assert mine.lm_head.weight is mine.embedding.token.weight  # tied, not two of them
    ids = np.arange(7)[None]
    untouched = other(ids).detach().numpy()
    mine(ids).sum().backward()
    optim.SGD(mine.parameters(), lr=1.0).step()
    assert not np.allclose(mine(ids).detach().numpy(), untouched)
    np.testing.assert_array_equal(other(ids).detach().numpy(), untouched)
    assert (tmp_path / "model.safetensors").read_bytes() == before


def test_loading_draws_nothing_at_random(tmp_path: Path) -> None:
    transformers.PhiForCausalLM(transformers.PhiConfig(**SIZE)).save_pretrained(tmp_path)
    state = tl.get_rng_state().numpy().tobytes()
    from_hugging_face(tmp_path)
    assert tl.get_rng_state().numpy().tobytes() == state
