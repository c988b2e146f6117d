"""The masked model's output side: what a code is compared with, and what a rare one takes from its family."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import tensorlite as tl
from claimsformer.assessment.masked_model import MaskedClaimModel, MaskedModelConfig
from claimsformer.assessment.streaming_inference import HiddenTokenModel
from claimsformer.tokenizer.fields import ClaimSpec, FieldSpec, FieldTokenizer, choose_field, hide

SPEC = ClaimSpec(
    "small",
    (
        FieldSpec("state", "category"),
        FieldSpec("dx", "code", columns=("dx1", "dx2"), hierarchy="icd9"),
        FieldSpec("drg", "code", hierarchy="drg"),
    ),
)


def claims() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    n = 300
    # 428.1 is too rare for a token of its own, 428.0 and 428.2 are not.
    codes = rng.choice(["4280", "4282", "25000", "486", "4281"], n, p=[0.3, 0.3, 0.2, 0.19, 0.01])
    return pl.DataFrame(
        {
            "state": rng.choice(["CA", "NY"], n),
            "dx1": codes,
            "dx2": rng.choice(["4019", "25000"], n),
            "drg": rng.choice(["291", "871"], n),
        }
    )


def model(tokenizer: FieldTokenizer, *, family_output: bool) -> MaskedClaimModel:
    config = MaskedModelConfig(d_model=8, n_layers=1, n_heads=2, family_output=family_output)
    return MaskedClaimModel(tokenizer, config, seed=1).eval()


def test_the_family_of_each_value_is_the_one_that_it_enters_with() -> None:
    frame = claims()
    tokenizer = FieldTokenizer(SPEC).fit(frame)
    batch = tokenizer.encode(frame)
    families = tokenizer.families
    assert families.shape == (tokenizer.vocab_size,)
    np.testing.assert_array_equal(families[batch.value_ids[batch.mask]], batch.parent_ids[batch.mask])
    assert not families[tokenizer.slices["state"]].any()
    names = tokenizer.convert_ids_to_tokens(list(range(tokenizer.vocab_size)))
    assert families[names.index("dx=4280")] == families[names.index("dx=428*")] > 0
    assert not families[names.index("<missing:dx>")]


@pytest.mark.parametrize("family_output", [False, True])
def test_scores_are_products_with_the_value_and_if_asked_its_family(family_output: bool) -> None:
    tokenizer = FieldTokenizer(SPEC).fit(claims())
    found = model(tokenizer, family_output=family_output)
    vectors = np.random.default_rng(2).normal(size=(5, 8)).astype(np.float32)
    for where in tokenizer.slices.values():
        weight = found.value.weight.detach().numpy()[where]
        if family_output and tokenizer.families[where].any():
            weight = weight + found.parent.weight.detach().numpy()[tokenizer.families[where]]
        expected = vectors @ weight.T + found.bias.detach().numpy()[where]
        np.testing.assert_allclose(found.logits(tl.from_numpy(vectors), where).detach().numpy(), expected, atol=1e-6)


def test_what_one_code_learns_moves_its_family_and_no_other() -> None:
    frame = claims()
    tokenizer = FieldTokenizer(SPEC).fit(frame)
    found = model(tokenizer, family_output=True)
    batch = tokenizer.encode(frame)
    hidden = choose_field(tokenizer, batch, "dx", 1)
    names = tokenizer.convert_ids_to_tokens(list(range(tokenizer.vocab_size)))
    heart = hidden & (batch.value_ids == names.index("dx=4280"))
    rows = heart.any(axis=1)
    found.loss(hide(tokenizer, batch[rows], heart[rows]), batch[rows], heart[rows]).backward()
    with tl.no_grad():
        found.parent.weight -= 0.5 * found.parent.weight.grad
    better = model(tokenizer, family_output=True)
    before, after = (
        HiddenTokenModel(m).predict(hide(tokenizer, batch, hidden), batch, hidden)[0].log_p for m in (better, found)
    )
    where = tokenizer.slices["dx"].start
    gain = (after - before).mean(axis=0)
    relative, lung = names.index("dx=4282") - where, names.index("dx=486") - where
    assert gain[relative] > gain[lung]


def test_with_families_the_model_that_computes_hidden_tokens_alone_agrees() -> None:
    frame = claims()
    tokenizer = FieldTokenizer(SPEC).fit(frame)
    found = model(tokenizer, family_output=True)
    batch = tokenizer.encode(frame)
    hidden = choose_field(tokenizer, batch, "dx")
    shown = hide(tokenizer, batch, hidden)
    (whole,), (alone,) = found.predict(shown, batch, hidden), HiddenTokenModel(found).predict(shown, batch, hidden)
    np.testing.assert_allclose(whole.log_p, alone.log_p, atol=1e-5)
    np.testing.assert_allclose(np.exp(whole.log_p).sum(axis=1), 1, atol=1e-5)
