"""Weights and data that two libraries share: drawn by NumPy from a seed."""

import numpy as np
import torch


def seed_weights(model, seed=0):
    """Fill the parameters through state_dict, in proportion to one over the square root of their fan-in; norms and biases stay near their values."""
    rng = np.random.default_rng(seed)
    state = model.state_dict()
    for name, value in state.items():
        if value.is_floating_point() and not name.endswith(("running_mean", "running_var")):
            noise = torch.from_numpy(rng.standard_normal(tuple(value.shape)).astype(np.float32))
            is_scale = value.dim() == 1 and name.endswith("weight")
            fan_in = value[0].numel() if value.dim() > 1 else 100
            state[name] = noise / fan_in**0.5 + (1.0 if is_scale else 0.0)
    model.load_state_dict(state)
    return model
