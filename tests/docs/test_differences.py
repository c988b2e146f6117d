"""docs/differences.md names everything that the tables of the conformance tests leave out."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..conformance.exceptions import EXCEPTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "differences.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_every_op_with_a_differing_sample_is_on_the_page(name: str) -> None:
    assert name.partition(":")[0].rpartition(".")[2] in PAGE


def test_every_module_and_optimizer_left_out_is_on_the_page() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    from ..conformance.test_modules import LEFT_OUT as modules
    from ..conformance.test_optimizers import LEFT_OUT as optimizers

    assert [name for name in (*modules, *(f"optim.{o}" for o in optimizers)) if f"`{name}`" not in PAGE] == []
