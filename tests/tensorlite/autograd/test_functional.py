"""Functional transforms, against torch's."""

import numpy as np
import pytest

import tensorlite as tl

torch = pytest.importorskip("torch")

X = np.random.default_rng(0).standard_normal((2, 3))
V = np.random.default_rng(1).standard_normal((2, 3))


def both(run):
    """The result of `run(module, tensor)` in tensorlite and in torch, as nested lists of arrays."""
    return _arrays(run(tl, lambda a: tl.from_numpy(a.copy()))), _arrays(
        run(torch, lambda a: torch.from_numpy(a.copy()))
    )


def _arrays(tree):
    if isinstance(tree, tuple | list):
        return [_arrays(t) for t in tree]
    return tree.detach().numpy()


def assert_equal(ours, theirs):
    if isinstance(ours, list):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_equal(a, b)
    else:
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def scalar(x):
    return (x.sin() * x**2).sum()


def several(x, y):
    return (x * y).exp(), (x @ y.T).tanh()


CASES = {
    "vjp": lambda m, t: m.autograd.functional.vjp(lambda x: x.exp() * 2, t(X), t(V)),
    "vjp of several": lambda m, t: m.autograd.functional.vjp(several, (t(X), t(V)), (t(X), t(np.eye(2)))),
    "jvp": lambda m, t: m.autograd.functional.jvp(lambda x: x.exp() * x, t(X), t(V)),
    "jacobian": lambda m, t: m.autograd.functional.jacobian(lambda x: x.exp().sum(0), t(X)),
    "jacobian of several": lambda m, t: m.autograd.functional.jacobian(several, (t(X), t(V))),
    "hessian": lambda m, t: m.autograd.functional.hessian(scalar, t(X)),
    "hessian of several": lambda m, t: m.autograd.functional.hessian(lambda x, y: (x * y).sin().sum(), (t(X), t(V))),
    "hvp": lambda m, t: m.autograd.functional.hvp(scalar, t(X), t(V)),
    "vhp": lambda m, t: m.autograd.functional.vhp(scalar, t(X), t(V)),
    "func.grad": lambda m, t: m.func.grad(scalar)(t(X)),
    "func.grad of grad": lambda m, t: m.func.grad(lambda x: m.func.grad(scalar)(x).sum())(t(X)),
    "func.grad of two": lambda m, t: m.func.grad(lambda x, y: (x * y).sin().sum(), argnums=(0, 1))(t(X), t(V)),
    "func.grad_and_value": lambda m, t: m.func.grad_and_value(scalar)(t(X)),
    "func.vjp": lambda m, t: (lambda out, pull: (out, *pull(t(V))))(*m.func.vjp(lambda x: x.exp(), t(X))),
    "func.jvp": lambda m, t: m.func.jvp(lambda x: x.exp() * x, (t(X),), (t(V),)),
    "func.jacrev": lambda m, t: m.func.jacrev(lambda x: x.exp().sum(0))(t(X)),
    "func.hessian": lambda m, t: m.func.hessian(scalar)(t(X)),
    "func.vmap": lambda m, t: m.func.vmap(lambda x, y: x.sin() @ y)(t(X), t(V)),
    "func.vmap of grad": lambda m, t: m.func.vmap(m.func.grad(scalar))(t(X)),
    "func.vmap over columns": lambda m, t: m.func.vmap(lambda x, y: x * y, in_dims=(1, None), out_dims=1)(
        t(X), t(V[:, 0])
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_torch(name):
    assert_equal(*both(CASES[name]))


def test_results_can_be_differentiated_when_asked():
    x = tl.from_numpy(X.copy()).requires_grad_()
    _, product = tl.autograd.functional.vjp(lambda x: x**3, x, tl.from_numpy(V), create_graph=True)
    product.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * X * V, rtol=1e-12)


def test_functional_call_leaves_the_module_as_it_was():
    net = tl.nn.Linear(2, 2)
    before = net.weight
    zero = {"weight": tl.zeros(2, 2), "bias": tl.ones(2)}
    assert tl.func.functional_call(net, zero, tl.ones(1, 2)).tolist() == [[1.0, 1.0]]
    assert net.weight is before
    with pytest.raises(RuntimeError, match="Unexpected key"):
        tl.func.functional_call(net, {"wieght": tl.zeros(2, 2)}, tl.ones(1, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: tl.autograd.functional.hessian(lambda x: x * 2, tl.ones(2)),
            RuntimeError,
            "should contain a single element",
        ),
        (lambda: tl.func.grad(lambda x: x * 2)(tl.ones(2)), RuntimeError, "return a scalar tensor"),
        (lambda: tl.func.vmap(lambda x, y: x)(tl.ones(2), tl.ones(3)), ValueError, "same size in the mapped dimension"),
        (
            lambda: tl.func.vmap(lambda x: x, in_dims=None)(tl.ones(2)),
            ValueError,
            "at least one argument must be mapped over",
        ),
        (lambda: tl.autograd.functional.vjp(lambda x: x * 2, tl.ones(2)), RuntimeError, "v can only be None"),
        (
            lambda: tl.autograd.functional.vjp(lambda x: x * 2, tl.ones(2), tl.ones(3)),
            RuntimeError,
            "v has invalid size",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
