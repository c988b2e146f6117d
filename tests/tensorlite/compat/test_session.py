"""`as_torch`: torch names resolve to tensorlite within the block, missing names fail when they are called, and the block leaves no trace."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.compat import MissingName, Report, as_torch
from tensorlite.compat.missing import MissingType
from tensorlite.compat.modules import MODULES


@pytest.fixture
def torch() -> Iterator[Any]:
    with as_torch() as module:
        yield module


def test_the_ways_to_import(torch: Any) -> None:
    import torch as t
    import torch.nn as nn
    from torch.autograd import Variable, grad
    from torch.nn import functional as F
    from torch.nn.parameter import Parameter
    from torch.optim.lr_scheduler import StepLR
    from torch.utils.data import DataLoader, TensorDataset

    assert t is torch
    assert t.Tensor is tl.Tensor
    assert t.nn is nn
    assert nn.Linear is tl.nn.Linear
    assert F.softmax is tl.nn.functional.softmax
    assert nn.functional is F
    assert Parameter is nn.Parameter
    assert StepLR is tl.optim.lr_scheduler.StepLR
    assert (DataLoader, TensorDataset) == (tl.utils.data.DataLoader, tl.utils.data.TensorDataset)
    assert grad is tl.autograd.grad
    x = Variable(t.ones(2), requires_grad=True)
    assert isinstance(x, Variable)
    assert x.requires_grad


def test_hardware_is_not_available(torch: Any) -> None:
    assert not torch.cuda.is_available()
    assert torch.cuda.device_count() == 0
    assert not torch.backends.mps.is_available()
    assert not torch.distributed.is_available()
    torch.backends.cudnn.benchmark = True
    torch.cuda.manual_seed_all(0)
    assert str(torch.device("cuda" if torch.cuda.is_available() else "cpu")) == "cpu"
    with pytest.raises(RuntimeError, match="CPU only"):
        torch.ones(1).cuda()


def test_compilers_return_what_they_are_given(torch: Any) -> None:
    layer = torch.nn.Linear(2, 2)
    assert torch.compile(layer) is layer
    assert torch.jit.script(layer) is layer

    @torch.compile(mode="max-autotune")
    @torch.jit.ignore
    @torch.compiler.disable
    @torch.autocast("cuda", enabled=False)
    def double(x: Any) -> Any:
        return x * 2

    assert double(torch.ones(1)).item() == 2
    assert not torch.jit.is_scripting()
    assert torch.trace(torch.eye(3)).item() == 3  # the sum of the diagonal, not torch.jit's


def test_mixed_precision_changes_nothing(torch: Any) -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    scaler = torch.cuda.amp.GradScaler()
    with torch.autocast(device_type="cuda", dtype=torch.bfloat16), torch.cuda.amp.autocast():
        loss = (weight * 3).sum()
    assert loss.dtype == torch.float32
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert weight.item() == 1 - 0.5 * 3


def test_legacy_constructors(torch: Any) -> None:
    assert torch.FloatTensor([1, 2]).dtype == torch.float32
    assert torch.LongTensor([[1], [2]]).shape == (2, 1)
    assert torch.ByteTensor(2, 3).shape == (2, 3)
    assert isinstance(torch.ones(1), torch.FloatTensor)
    assert not isinstance(torch.ones(1), torch.LongTensor)
    assert torch.ones(1).type(torch.LongTensor).dtype == torch.int64
    assert torch.ones(1).type("torch.DoubleTensor").dtype == torch.float64
    with pytest.raises(TypeError, match="expected LongTensor"):
        torch.LongTensor(torch.ones(2))


def test_versions_compare_by_number(torch: Any) -> None:
    assert torch.__version__ >= "2.8"
    assert torch.__version__ > "2.9.1"
    assert not torch.__version__ < "2"
    assert torch.__version__ >= (2, 1)
    assert torch.__version__.split(".")[0] == "2"


def test_missing_names_fail_when_called(torch: Any) -> None:
    import torch.nowhere.at_all as nowhere
    from torch.nn import MultiheadAttention, Sequental
    from torchvision import transforms

    class Block(MultiheadAttention):  # type: ignore[misc]
        rank: Sequental | None = None

    assert not isinstance(torch.ones(1), Sequental)
    assert torch.float32 not in (torch.bfloat16,)
    with pytest.raises(
        MissingName, match=r"torch\.nn\.Sequental is not in tensorlite; the nearest name there is torch\.nn\.Sequential"
    ):
        Sequental()
    with pytest.raises(MissingName, match=r"MultiheadAttention is not in tensorlite: .*claimsformer"):
        Block(8, 2)
    with pytest.raises(MissingName, match=r"torch\.nowhere\.at_all\.f "):
        nowhere.f()
    with pytest.raises(MissingName, match=r"torch\.nn\.functional\.cat .*torch\.cat"):
        torch.nn.functional.cat([])
    with pytest.raises(MissingName, match="torchvision"):
        transforms.Compose([transforms.ToTensor])
    with pytest.raises(AttributeError, match=r"torch\.Tensor\.trnspose .*torch\.Tensor\.transpose"):
        torch.ones(1).trnspose(0, 1)
    assert not hasattr(torch.ones(1), "to_sparse_csr")


def test_the_report_tells_present_missing_and_called() -> None:
    report = Report()
    with as_torch(report) as torch:
        torch.zeros(1)
        _ = torch.nn.Transformer
        with pytest.raises(MissingName):
            torch.sparse_csr_tensor([], [], [])
    assert "torch.zeros" in report.present
    assert set(report.missing) == {"torch.nn.Transformer", "torch.sparse_csr_tensor"}
    assert report.calls == {"torch.sparse_csr_tensor": 1}
    text = report.text()
    assert "torch.nn.Transformer (never called): " in text
    assert "torch.sparse_csr_tensor (called 1 x): of the sparse layouts there is COO alone" in text
    assert report.as_dict()["calls"] == {"torch.sparse_csr_tensor": 1}


def test_no_module_of_tensorlite_is_taken_for_one_of_torch(torch: Any) -> None:
    for name in ("kernels", "viz", "ops", "dtypes", "compat", "errors"):
        with pytest.raises(MissingName):
            getattr(torch, name)()


def test_the_real_torch_is_untouched_outside() -> None:
    real = pytest.importorskip("torch")
    attributes = set(vars(tl.Tensor))
    with as_torch() as stand_in:
        assert sys.modules["torch"] is stand_in
        assert stand_in is not real
    assert sys.modules["torch"] is real
    assert importlib.import_module("torch.nn.functional") is real.nn.functional
    assert set(vars(tl.Tensor)) == attributes
    assert real.ones(1).item() == 1


def test_packages_in_the_block_are_copies_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = pytest.importorskip("torch")
    (tmp_path / "a_model_for_torch.py").write_text("import torch\nfrom torch import nn\nlayer = nn.Linear(2, 2)\n")
    monkeypatch.syspath_prepend(tmp_path)
    first: Any = importlib.import_module("a_model_for_torch")
    with as_torch() as torch:
        second: Any = importlib.import_module("a_model_for_torch")
        assert second.torch is torch
        assert isinstance(second.layer, tl.nn.Linear)
    assert importlib.import_module("a_model_for_torch") is first
    assert isinstance(first.layer, real.nn.Linear)
    sys.modules.pop("a_model_for_torch")
    with as_torch():
        importlib.import_module("a_model_for_torch")
    assert isinstance(importlib.import_module("a_model_for_torch").layer, real.nn.Linear)


def test_compiled_packages_are_not_loaded_twice() -> None:
    """safetensors is compiled; its module for torch is another one in the block, and the old one after it."""
    real = pytest.importorskip("torch")
    import safetensors.torch

    module, package = safetensors.torch, safetensors
    with as_torch() as stand_in:
        inside: Any = importlib.import_module("safetensors.torch")
        assert importlib.import_module("safetensors") is package
        assert inside.torch is stand_in
    assert sys.modules["safetensors.torch"] is safetensors.torch is module
    assert module.torch is real


def test_the_block_ends_as_well_when_it_fails() -> None:
    before = sys.meta_path[:], sys.modules.get("torch")
    with pytest.raises(ZeroDivisionError), as_torch(), as_torch():
        raise ZeroDivisionError
    assert (sys.meta_path, sys.modules.get("torch")) == before


def test_checkpoints(torch: Any, tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, tmp_path / "c.pt")
    read = torch.load(tmp_path / "c.pt", map_location="cpu", weights_only=True)
    assert read["epoch"] == 3
    np.testing.assert_array_equal(read["model"]["weight"].numpy(), model.weight.detach().numpy())


def test_trees(torch: Any) -> None:
    from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

    tree = {"a": [1, (2, 3)], "b": None}
    leaves, spec = tree_flatten(tree)
    assert leaves == [1, 2, 3, None]
    assert tree_unflatten(leaves, spec) == tree
    assert tree_map(str, tree) == {"a": ["1", ("2", "3")], "b": "None"}


def test_assert_close(torch: Any) -> None:
    torch.testing.assert_close(torch.ones(2), torch.ones(2) + 1e-7)
    with pytest.raises(AssertionError, match="not close"):
        torch.testing.assert_close({"a": torch.ones(2)}, {"a": torch.zeros(2)})
    with pytest.raises(AssertionError, match="shape"):
        torch.testing.assert_close(torch.ones(2), torch.ones(3))


def test_placeholders_where_python_wants_a_class(torch: Any) -> None:
    def fails() -> None:
        try:
            raise KeyError
        except (torch.cuda.OutOfMemoryError, torch.nowhere.SomeError):
            pass

    with pytest.raises(KeyError):
        fails()
    assert issubclass(torch.jit.TracerWarning, Warning)
    for use in (lambda: torch.ones(1).to(torch.bfloat16), lambda: torch.zeros(1, dtype=torch.bfloat16)):
        with pytest.raises(MissingName, match=r"torch\.bfloat16 is not in tensorlite: NumPy has no bfloat16"):
            use()


def test_functions_that_torch_has_twice(torch: Any) -> None:
    x = torch.tensor([-1.0, 2.0])
    torch.relu_(x)
    assert x.tolist() == [0, 2]
    assert torch.layer_norm is torch.nn.functional.layer_norm
    assert torch.detach(x).tolist() == [0, 2]
    assert torch.scalar_tensor(2).shape == ()
    assert x.new(3, 2).shape == (3, 2)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_can_be_imported_and_lists_what_it_has(module: str, torch: Any) -> None:
    facade = importlib.import_module(module)
    for name in dir(facade):
        assert not isinstance(getattr(facade, name), MissingType), name


def test_torch_has_every_name_of_the_stand_ins() -> None:
    """Nothing is offered that torch does not have in one of the modules for which a stand-in answers."""
    pytest.importorskip("torch")
    served: dict[str, list[Any]] = {}
    for module, sources in MODULES.items():
        real = importlib.import_module(module)
        for source in sources:
            if ".shims." in source:
                served.setdefault(source, []).append(real)
    assert len(served) > 10
    strange = {
        f"{source}.{name}"
        for source, modules in served.items()
        for name in importlib.import_module(source).__all__
        if not any(hasattr(m, name) for m in modules)
    }
    assert strange == set()


def test_a_function_with_the_name_of_its_module_stays_a_function():
    """`package/__init__` that imports a function over the submodule of the same name keeps the function when the block ends."""
    import sys
    import types

    from tensorlite.compat.isolation import restore

    package, module = types.ModuleType("package_of_tests"), types.ModuleType("package_of_tests.tool")
    package.tool = lambda: 1
    sys.modules["package_of_tests"] = package
    try:
        restore({"package_of_tests.tool": module})
        assert package.tool() == 1
    finally:
        del sys.modules["package_of_tests"], sys.modules["package_of_tests.tool"]
