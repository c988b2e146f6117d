"""Small rules that programs rely on without noticing, against torch: lists as indices, types of indices, layouts of copies, copies of what shares
memory, inference tensors, negative integer powers, 0-d transposes."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import tensorlite as tl

warnings.filterwarnings("ignore", message="Tensor.m[TH] is deprecated")
LIBRARIES = (tl, torch)


def outcome(m: Any, use: Callable[[Any], Any]) -> Any:
    """What comes out, as plain Python values; or the type of the error and the first words of its message."""
    try:
        return plain(use(m))
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        return type(error), str(error)[:55]


def plain(value: Any) -> Any:
    if isinstance(value, tl.Tensor | torch.Tensor):
        return tuple(value.shape), str(value.dtype).split(".")[1], value.tolist()
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value


def x(m: Any) -> Any:
    return m.arange(24.0).reshape(4, 6)


def written(m: Any, index: Any) -> Any:
    t = x(m)
    t[index] = -1.0
    return t


LISTS: dict[str, Callable[[Any], Any]] = {
    "[[0, 1], [1, 2]]": lambda m: [[0, 1], [1, 2]],
    "[[0, 1]]": lambda m: [[0, 1]],
    "([[0, 1], [1, 2]],)": lambda m: ([[0, 1], [1, 2]],),
    "[0, 1]": lambda m: [0, 1],
    "[slice, 2]": lambda m: [slice(0, 2), 2],
    "[None, 2]": lambda m: [None, 2],
    "[..., 2]": lambda m: [..., 2],
    "[tensor, tensor]": lambda m: [m.tensor([0, 1]), m.tensor([1, 2])],
    "[0-d, 0-d]": lambda m: [m.tensor(0), m.tensor(1)],
    "[1, tensor]": lambda m: [1, m.tensor([1, 2])],
    "[[0, 1], 1]": lambda m: [[0, 1], 1],
    "[range, 1]": lambda m: [range(2), 1],
    "[(0, 1), (1, 2)]": lambda m: [(0, 1), (1, 2)],
    "[array, array]": lambda m: [np.array([0, 1]), np.array([1, 2])],
    "[]": lambda m: [],
    "[[]]": lambda m: [[]],
    "[True, False, True, False]": lambda m: [True, False, True, False],
    "range": lambda m: range(2),
    "long list": lambda m: [0, 1] * 20,
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_as_indices(name: str) -> None:
    for use in (lambda m: x(m)[LISTS[name](m)], lambda m: written(m, LISTS[name](m))):
        assert outcome(tl, use) == outcome(torch, use)


def test_uint8_arrays_are_masks() -> None:
    mask = np.array([0, 1, 1, 0], np.uint8)
    assert outcome(tl, lambda m: x(m)[mask]) == outcome(torch, lambda m: x(m)[mask])


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "bool", "float32"])
@pytest.mark.parametrize("shape", [(), (4,)])
@pytest.mark.parametrize(
    "use",
    [
        lambda m, i: x(m)[i],
        lambda m, i: m.index_select(x(m), 0, i),
        lambda m, i: x(m).index_put((i,), m.tensor(0.0)) if i.dtype != m.uint8 else None,
        lambda m, i: m.gather(x(m)[:, 0], 0, i) if i.ndim else None,
    ],
)
def test_types_of_indices(dtype: str, shape: tuple[int, ...], use: Callable[[Any, Any], Any]) -> None:
    def run(m: Any) -> Any:
        return use(m, m.ones(shape, dtype=getattr(m, dtype)))

    ours, theirs = outcome(tl, run), outcome(torch, run)
    assert ours == theirs if not isinstance(theirs[0] if theirs else None, type) else ours[0] is theirs[0]


@pytest.mark.parametrize(
    "use",
    [
        lambda m: m.tensor([1, 2]) ** -1,
        lambda m: m.pow(m.tensor([1, 2]), -1),
        lambda m: m.tensor([1, 2]).pow_(-2),
        lambda m: m.tensor(2) ** -1,
        lambda m: m.tensor([1, 2]) ** -1.0,
        lambda m: m.tensor([1, 2]) ** m.tensor(-1),
        lambda m: m.tensor([1, -1, 2]) ** m.tensor([-1]),
        lambda m: 2 ** m.tensor([-1, 1]),
        lambda m: m.tensor([1, 2]) ** 3,
        lambda m: m.tensor([True]) ** -1,
    ],
)
def test_negative_integer_powers(use: Callable[[Any], Any]) -> None:
    assert outcome(tl, use) == outcome(torch, use)


MADE: dict[str, Callable[[Any], Any]] = {
    "in order": lambda m: x(m),
    "transposed": lambda m: x(m).t(),
    "permuted": lambda m: m.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1),
    "expanded": lambda m: m.ones(2, 1).expand(2, 3),
    "every second": lambda m: x(m)[:, ::2],
    "empty": lambda m: m.ones(0, 3),
    "0-d": lambda m: m.tensor(1.0),
}


@pytest.mark.parametrize("name", MADE)
def test_copies_keep_the_layout(name: str) -> None:
    for use in (
        lambda m, t: t.clone(),
        lambda m, t: t.clone(memory_format=m.preserve_format),
        lambda m, t: t.clone(memory_format=m.contiguous_format),
        lambda m, t: t.contiguous(),
        lambda m, t: m.zeros_like(t),
        lambda m, t: m.ones_like(t),
        lambda m, t: m.full_like(t, 2),
        lambda m, t: m.empty_like(t),
        lambda m, t: copy.deepcopy(t) if name != "expanded" else t,
    ):
        ours, theirs = (use(m, MADE[name](m)) for m in LIBRARIES)
        assert ours.stride() == theirs.stride() or 0 in ours.shape


def test_deepcopy_of_what_shares_memory() -> None:
    for m in LIBRARIES:
        base = m.zeros(6)
        row, matrix = base[1:5], base[1:5].view(2, 2)
        values = {"matrix": matrix, "base": base, "same": base.detach(), "row": row, "t": matrix.t(), "again": base}
        made = copy.deepcopy(values)
        assert made["again"] is made["base"]
        made["base"][1], made["t"][0, 1] = 7, 5
        assert made["base"].tolist() == [0, 7, 0, 5, 0, 0]
        assert made["matrix"].tolist() == [[7, 0], [5, 0]]
        assert made["row"].tolist() == [7, 0, 5, 0]
        assert made["same"].tolist() == made["base"].tolist()
        assert base.sum() == 0


def test_deepcopy_of_a_tensor_beside_its_array() -> None:
    t = tl.ones(2)
    made = copy.deepcopy([t, t.numpy(), t[:1]])
    made[0][0] = 5
    assert made[1].tolist() == [1, 1]
    assert made[2].tolist() == [5]


def test_tied_parameters_stay_tied_in_a_copy() -> None:
    for m in LIBRARIES:
        first, second = m.nn.Linear(2, 2), m.nn.Linear(2, 2)
        second.weight = first.weight
        made = copy.deepcopy(m.nn.Sequential(first, second))
        assert made[0].weight is made[1].weight
        assert made[0].weight is not first.weight
        flat = m.nn.Module()
        flat.all = m.nn.Parameter(m.zeros(4))
        flat.part = flat.all.data[:2]
        twin = copy.deepcopy(flat)
        with m.no_grad():
            twin.all.fill_(3)
        assert flat.all.sum() == 0
        assert twin.part.tolist() == [0, 0]  # a copied Parameter leaves the memory it shared


def test_inference_tensors() -> None:
    def flags(m: Any) -> list[bool]:
        with m.inference_mode():
            a = m.ones(2)
        made = (a[0:1], a.view(2, 1), a.detach(), a.float(), a + 1, a.clone(), a.double(), a.to(m.float64))
        return [t.is_inference() for t in made]

    assert flags(tl) == flags(torch)


@pytest.mark.parametrize("name", ["mT", "mH", "T", "H"])
@pytest.mark.parametrize("shape", [(), (2,), (2, 3), (1, 2, 3)])
def test_transposes_of_few_dims(name: str, shape: tuple[int, ...]) -> None:
    def use(m: Any) -> Any:
        return getattr(m.ones(shape), name)

    ours, theirs = outcome(tl, use), outcome(torch, use)
    assert ours == theirs or (ours[0] is theirs[0] is RuntimeError)
    assert outcome(tl, lambda m: m.ones(shape).adjoint()) == outcome(torch, lambda m: m.ones(shape).adjoint())


def test_movedim_of_a_0d_tensor() -> None:
    for m in LIBRARIES:
        assert m.tensor(5.0).movedim(0, -1).shape == ()
        with pytest.raises(IndexError, match="Dimension out of range"):
            m.tensor(5.0).movedim(1, 0)
