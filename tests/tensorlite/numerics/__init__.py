"""Numerical decisions: what happens at special points, with awkward types, in long sums, on empty tensors, and which sentence an error says.

Each is stated once. Some are stated where the code they belong to is tested:

* the engine (reuse, aliasing, accumulation, freeing, hooks, anomaly mode): `autograd/test_engine.py`
* in-place ops and views, version counters, forbidden writes: `autograd/test_inplace.py`; repeated indices: `ops/test_index.py`
* gradients at ties, kinks, zeros and infinities: `ops/test_math_special_points.py`, `ops/test_nn_special_points.py`
* sums and variances in float32: `ops/test_reduce.py`, `kernels/test_reduce.py`
* sizes of pieces, legacy empty tensors, masks: `ops/test_shape.py`
* messages of modules, state_dicts and optimizers: `nn/test_module.py`, `nn/test_state_dict.py`, `optim/test_optimizer.py`
* float32 stays float32, nothing is mutated or shared, no cycles, for every op: `conformance/test_invariants.py`

What they leave out is here.
"""
