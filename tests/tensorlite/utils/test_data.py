"""Datasets, samplers and the DataLoader: coverage of the data, positions that resume exactly, workers with their own random numbers."""

from __future__ import annotations

import collections
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl
from tensorlite.utils import data


class Numbers(data.Dataset[Any]):
    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[int, float]:
        return index, float(np.random.rand())  # noqa: NPY002 (what user code does)


class Stream(data.IterableDataset[int]):
    def __iter__(self) -> Any:
        info = data.get_worker_info()
        start, step = (info.id, info.num_workers) if info else (0, 1)
        return iter(range(start, 17, step))


class Faulty(Numbers):
    def __getitem__(self, index: int) -> Any:
        raise KeyError("no such claim")


def ids(batches: Any) -> list[list[int]]:
    return [b[0].tolist() for b in batches]


def seeded(seed: int) -> Any:
    return tl.Generator().manual_seed(seed)


@given(n=st.integers(0, 30), size=st.integers(1, 7), drop=st.booleans(), shuffle=st.booleans())
def test_every_example_once_in_batches(n: int, size: int, drop: bool, shuffle: bool) -> None:
    loader = data.DataLoader(Numbers(n), size, shuffle=shuffle, drop_last=drop)
    batches = ids(loader)
    assert len(batches) == len(loader) == (n // size if drop else -(-n // size))
    seen = list(itertools.chain(*batches))
    assert len(set(seen)) == len(seen) == (n // size * size if drop else n)
    assert all(len(b) == size for b in batches[:-1])
    if not shuffle:
        assert seen == list(range(len(seen)))


@given(n=st.integers(1, 25), size=st.integers(1, 6), k=st.integers(0, 30), own=st.booleans())
def test_a_saved_position_resumes_exactly(n: int, size: int, k: int, own: bool) -> None:
    def loader(seed: int) -> Any:
        tl.manual_seed(seed)
        return data.DataLoader(Numbers(n), size, shuffle=True, generator=seeded(seed) if own else None)

    reference = loader(3)
    expected = [ids(reference), ids(reference)]
    first = loader(3)
    iterator = iter(first)
    k = min(k, len(first))
    got = ids(itertools.islice(iterator, k))
    tl.rand(2)  # a draw by the model: the order does not depend on it afterwards
    state, random_state = first.state_dict(), tl.random.default_generator.get_state()
    again = loader(99)
    again.load_state_dict(state)
    tl.random.default_generator.set_state(random_state)
    assert again.state_dict()["batches"] == k
    assert got + ids(again) == expected[0]
    assert tl.random.default_generator.get_state().tolist() == random_state.tolist()  # resuming takes no draws
    if own:
        assert ids(again) == expected[1]


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_give_the_same_batches_and_resume(persistent: bool) -> None:
    def loader(workers: int) -> Any:
        return data.DataLoader(
            Numbers(11),
            2,
            shuffle=True,
            generator=seeded(1),
            num_workers=workers,
            persistent_workers=persistent and workers > 0,
        )

    alone, many = loader(0), loader(2)
    assert [ids(alone), ids(alone)] == [ids(many), ids(many)]
    started = loader(2)
    iterator = iter(started)
    got = ids(itertools.islice(iterator, 2))
    again = loader(2)
    again.load_state_dict(started.state_dict())
    assert got + ids(again) == ids(loader(0))


def test_workers_have_independent_random_numbers_that_repeat_with_the_seed() -> None:
    def draws(seed: int) -> list[float]:
        loader = data.DataLoader(Numbers(8), 2, num_workers=2, generator=seeded(seed))
        return [x for b in loader for x in b[1].tolist()]

    first = draws(0)
    assert len(set(first)) == 8
    assert first == draws(0)
    assert first != draws(1)


@pytest.mark.parametrize("workers", [0, 2])
def test_streams(workers: int) -> None:
    loader = data.DataLoader(Stream(), 3, num_workers=workers)
    batches = [b.tolist() for b in loader]
    assert sorted(itertools.chain(*batches)) == list(range(17))
    iterator = iter(loader)
    got = [next(iterator).tolist() for _ in range(2)]
    again = data.DataLoader(Stream(), 3, num_workers=workers)
    again.load_state_dict(loader.state_dict())
    assert got + [b.tolist() for b in again] == batches


def test_an_error_in_a_worker_arrives_with_its_traceback() -> None:
    with pytest.raises(KeyError, match=r"(?s)worker process 0.*no such claim"):
        list(data.DataLoader(Faulty(3), num_workers=1))


@given(st.lists(st.integers(1, 60), max_size=30), st.integers(1, 9), st.sampled_from([None, 60, 200]), st.booleans())
def test_length_buckets_cover_everything_within_the_budget(
    lengths: list[int], size: int, budget: int | None, shuffle: bool
) -> None:
    sampler = data.LengthBucketSampler(
        lengths, size, max_tokens=budget, shuffle=shuffle, pool_factor=3, generator=seeded(0)
    )
    batches = list(sampler)
    assert sorted(itertools.chain(*batches)) == list(range(len(lengths)))
    assert all(len(b) <= size for b in batches)
    if budget is not None:
        assert all(max(lengths[i] for i in b) * len(b) <= budget for b in batches)
    if budget is None or not shuffle:
        assert len(sampler) == len(batches)


def test_length_buckets_pad_less_than_random_batches() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, 2000)

    def padded(batches: Any) -> int:
        return sum(int(lengths[b].max()) * len(b) for b in batches)

    random = data.BatchSampler(data.RandomSampler(range(2000), generator=seeded(0)), 16, False)
    buckets = data.LengthBucketSampler(lengths, 16, generator=seeded(0))
    assert padded(buckets) < 1.05 * lengths.sum() < 1.5 * lengths.sum() < padded(random)


def test_weighted_sampler_follows_the_weights() -> None:
    sampler = data.WeightedRandomSampler([0.0, 1.0, 3.0], 4000, generator=seeded(0))
    counts = collections.Counter(sampler)
    assert counts[0] == 0
    assert counts[2] / 4000 == pytest.approx(0.75, abs=0.03)
    assert sorted(data.WeightedRandomSampler([0.5, 0, 2], 2, replacement=False)) == [0, 2]
    with pytest.raises(ValueError, match="only 2 weights are positive"):
        data.WeightedRandomSampler([0.5, 0, 2], 3, replacement=False)


def test_datasets() -> None:
    rows = data.TensorDataset(tl.arange(10), tl.arange(10) * 2)
    both = data.ConcatDataset([rows, data.Subset(rows, [3, 1])])
    assert len(both) == 12
    assert [int(v) for v in both[10]] == [3, 6] == [int(v) for v in both[-2]]
    assert list(data.ChainDataset([Stream(), Stream()])) == [*range(17)] * 2
    parts = data.random_split(rows, [0.5, 0.25, 0.25], generator=seeded(0))
    assert [len(p) for p in parts] == [6, 2, 2]
    assert sorted(i for p in parts for i in p.indices) == list(range(10))
    with pytest.raises(ValueError, match="got 4, expected 10"):
        data.random_split(rows, [1, 3])
    with pytest.raises(ValueError, match="Size mismatch"):
        data.TensorDataset(tl.ones(2), tl.ones(3))


def test_collate() -> None:
    Point = collections.namedtuple("Point", "x y")
    batch = [
        {"a": tl.ones(2), "b": (1, 2.5), "c": "x", "d": np.float32(1), "p": Point(1, np.zeros(2))} for _ in range(3)
    ]
    out = data.default_collate(batch)
    assert out["a"].shape == (3, 2)
    assert [str(t.dtype) for t in out["b"]] == ["tensorlite.int64", "tensorlite.float64"]
    assert out["c"] == ["x"] * 3
    assert out["d"].dtype == tl.float32
    assert out["p"].y.shape == (3, 2)
    with pytest.raises(RuntimeError, match="collate_fn"):
        data.default_collate([tl.ones(2), tl.ones(3)])
    with pytest.raises(TypeError, match="found <class 'object'>"):
        data.default_collate([object()])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_workers": -1}, "num_workers option should be non-negative"),
        ({"prefetch_factor": 2}, "prefetch_factor option could only be specified in multiprocessing"),
        ({"persistent_workers": True}, "persistent_workers option needs num_workers"),
        ({"sampler": [0], "shuffle": True}, "mutually exclusive with shuffle"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "mutually exclusive with batch_size"),
        ({"batch_size": 0}, "batch_size should be a positive integer"),
    ],
)
def test_options_that_exclude_each_other(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        data.DataLoader(Numbers(3), **options)
