"""safetensors and the container: byte for byte like the reference implementation, and closed to tampering."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tensorlite as tl
from tensorlite import nn
from tensorlite.utils import checkpoints
from tensorlite.utils import safetensors as sf
from tensorlite.utils.safetensors import SafetensorError

DTYPES = ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "bool", "complex64"]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda s: s != "__metadata__"), ARRAYS, min_size=1, max_size=5
    ),
    st.sampled_from([None, {}, {"k": 'v"é\n'}]),
)
def test_bytes_equal_the_reference_implementations(arrays: dict[str, Any], metadata: dict[str, str] | None) -> None:
    ours = sf.save(arrays, metadata)
    assert ours == safetensors.numpy.save(arrays, metadata)
    back = sf.load(ours)
    assert set(back) == set(arrays)
    for name, a in arrays.items():
        assert back[name].numpy().dtype == a.dtype
        np.testing.assert_array_equal(back[name].numpy(), a)


def test_a_file_from_torch_with_half_types(tmp_path: Path) -> None:
    state = {
        "b": torch.randn(3, 4).bfloat16(),
        "h": torch.randn(5).half(),
        "n": torch.tensor([float("inf"), float("nan"), -0.0]).bfloat16(),
    }
    safetensors.torch.save_file(state, tmp_path / "x.safetensors")
    ours = sf.load_file(tmp_path / "x.safetensors")
    assert ours["b"].dtype == tl.float32
    assert ours["h"].dtype == tl.float16
    for name, t in state.items():
        np.testing.assert_array_equal(ours[name].numpy().astype(np.float32), t.float().numpy())


def test_a_torch_model_reads_our_file(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    sf.save_file(model.state_dict(), tmp_path / "m.safetensors", {"format": "pt"})
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    theirs.load_state_dict(safetensors.torch.load_file(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(theirs[0].weight.detach().numpy(), model[0].weight.detach().numpy())


def test_memory_mapped_tensors_are_read_only_and_lazy(tmp_path: Path) -> None:
    sf.save_file({"a": tl.arange(6).reshape(2, 3), "b": tl.ones(2)}, tmp_path / "x")
    with sf.safe_open(tmp_path / "x") as f:
        assert sorted(f.keys()) == ["a", "b"]
        array = f.get_array("a", copy=False)
        assert not array.flags.writeable
        assert not array.flags.owndata
        with pytest.raises(SafetensorError, match="does not contain tensor c"):
            f.get_tensor("c")
    mapped = sf.load_file(tmp_path / "x", mmap=True)
    with pytest.raises(RuntimeError, match="read-only"):
        mapped["b"].add_(1)
    model = nn.Linear(3, 2, bias=False)
    model.load_state_dict({"weight": mapped["a"]})


def header(**changes: Any) -> bytes:
    entries: dict[str, Any] = {
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "I8", "shape": [3], "data_offsets": [8, 11]},
    }
    for path, value in changes.items():
        name, _, key = path.partition("_")
        entries[name][key] = value
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


BODY = bytes(11)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"abc", "at least 8"),
        ((10**9).to_bytes(8, "little"), "the limit is"),
        (header()[:40], "cut off"),
        (header() + BODY[:-1], "cut off or added to"),
        (header() + BODY + b"x", "cut off or added to"),
        (header(b_data_offsets=[7, 10]) + BODY, "overlap or leave a gap"),
        (header(b_data_offsets=[9, 12]) + BODY + b"x", "overlap or leave a gap"),
        (header(a_shape=[3]) + BODY, "needs 12 bytes"),
        (header(a_shape=[-2]) + BODY, "not a list of sizes"),
        (header(a_shape=[2**40, 2**40]) + BODY, "needs"),
        (header(a_dtype="F7") + BODY, "'F7' is not supported"),
        (header(a_data_offsets=[8, 0]) + BODY, "not .begin, end."),
        (header(a_extra=1) + BODY, "expected dtype, shape and data_offsets"),
        ((5).to_bytes(8, "little") + b'{"a":', "not JSON"),
        ((2).to_bytes(8, "little") + b"[]", "does not begin"),
        ((30).to_bytes(8, "little") + b'{"__metadata__": {"a": 1234} }', "strings to strings"),
    ],
)
def test_invalid_files_give_one_clear_error(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(SafetensorError, match=text):
        sf.load_file(tmp_path / "x")


def test_a_name_that_appears_twice_is_refused() -> None:
    text = b'{"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}'
    with pytest.raises(SafetensorError, match="twice"):
        sf.load(len(text).to_bytes(8, "little") + text + b"x")


@given(st.data())
def test_no_damage_to_the_container_does_more_than_raise(data: Any) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c"
        tl.save({"w": tl.ones(2), "o": [1, (2.5, None)], "r": {1: "x"}}, path)
        raw = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(bytes(raw[: data.draw(st.integers(0, len(raw)))]) if data.draw(st.booleans()) else bytes(raw))
        with contextlib.suppress(SafetensorError):  # and no other exception
            tl.load(path)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.complex_numbers(allow_nan=False),
)
KEYS = st.one_of(st.text(max_size=4), st.integers(), st.tuples(st.integers(), st.text(max_size=2)), st.none())
VALUES = st.recursive(
    LEAVES,
    lambda v: st.one_of(st.lists(v, max_size=3), st.tuples(v, v), st.dictionaries(KEYS, v, max_size=3)),
    max_leaves=8,
)


@given(VALUES)
def test_nested_values_come_back_equal(value: Any) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        tl.save({"value": value, "t": tl.ones(1)}, Path(folder) / "c")
        back = tl.load(Path(folder) / "c")["value"]
    assert repr(back) == repr(value) or back == value


def test_tensors_ties_and_types_come_back(tmp_path: Path) -> None:
    shared = tl.ones(3)
    ordered = OrderedDict(b=shared, a=tl.zeros(2, dtype=tl.complex128))
    ordered._metadata = {"": {"version": 2}}  # type: ignore[attr-defined]
    saved = {
        "sd": ordered, "again": shared, "p": nn.Parameter(tl.ones(2), requires_grad=False), "np": np.arange(3), "s": np.float32(2),
        "d": tl.float16, "size": tl.Size([2, 3]), "set": {1, 2}, "nan": float("nan"), "!": {"!": "tuple", "v": [1]},
    }  # fmt: skip
    tl.save(saved, tmp_path / "c")
    back = tl.load(tmp_path / "c")
    assert back["sd"]["b"] is back["again"]
    assert list(back["sd"]) == ["b", "a"]
    assert back["sd"]._metadata == {"": {"version": 2}}
    assert back["sd"]["a"].dtype == tl.complex128
    assert isinstance(back["p"], nn.Parameter)
    assert not back["p"].requires_grad
    assert type(back["np"]) is np.ndarray
    assert back["s"] == 2
    assert type(back["s"]) is np.float32
    assert back["d"] is tl.float16
    assert back["size"] == (2, 3)
    assert back["set"] == {1, 2}
    assert back["nan"] != back["nan"]
    assert back["!"] == saved["!"]


def test_a_plain_state_dict_is_readable_by_every_reader(tmp_path: Path) -> None:
    model = nn.Linear(2, 3)
    tl.save(model.state_dict(), tmp_path / "m")
    assert set(safetensors.numpy.load_file(tmp_path / "m")) == {"weight", "bias"}


def test_objects_are_refused_with_their_path(tmp_path: Path) -> None:
    with pytest.raises(checkpoints.CheckpointError, match=r"Linear at 'a\.0'.*state_dict"):
        tl.save({"a": [nn.Linear(1, 1)]}, tmp_path / "c")
    assert not list(tmp_path.iterdir())


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "ran"),))

    (tmp_path / "p").write_bytes(pickle.dumps(Bomb()))
    torch.save({"a": torch.ones(1)}, tmp_path / "t")
    for name in ("p", "t"):
        with pytest.raises(checkpoints.CheckpointError, match="pickled checkpoint"):
            tl.load(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tl.save({"a": 1}, tmp_path / "c")
    for failing in ("fsync", "replace"):
        with monkeypatch.context() as patch:

            def fail(*args: Any) -> None:
                raise OSError("disk full")

            patch.setattr(os, failing, fail)
            with pytest.raises(OSError, match="disk full"):
                tl.save({"a": 2}, tmp_path / "c")
        assert tl.load(tmp_path / "c") == {"a": 1}
        assert os.listdir(tmp_path) == ["c"]


def test_open_files_and_buffers(tmp_path: Path) -> None:
    value = {"w": tl.arange(3.0), "b": tl.ones(2, dtype=tl.float64), "step": 4, "empty": tl.zeros(0)}
    buffer = io.BytesIO()
    tl.save(value, buffer)
    tl.save(value, tmp_path / "by_path")
    assert buffer.getvalue() == (tmp_path / "by_path").read_bytes()
    buffer.seek(0)
    with open(tmp_path / "by_path", "rb") as file:
        for read in (tl.load(buffer), tl.load(file)):
            assert read["step"] == 4
            assert read["w"].tolist() == [0, 1, 2]
            assert read["b"].dtype == tl.float64
    with pytest.raises(checkpoints.CheckpointError, match="pickled"):
        tl.load(io.BytesIO(b"PK\x03\x04 and so on"))
    with pytest.raises(SafetensorError):
        tl.load(io.BytesIO(buffer.getvalue()[:-1]))
    with pytest.raises(checkpoints.CheckpointError, match="path or an open binary file, got int"):
        tl.save(value, 3)  # type: ignore[arg-type]
