"""Folders as they come: weights in shards, in bfloat16 and in float16."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from claimsformer.errors import ReadError
from claimsformer.transformer import from_hugging_face

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
