"""Blocked, threaded routines on plain ndarrays, each beside its definition in a few lines of NumPy.

They know nothing of Tensor: they take arrays and return arrays, leave their inputs as they are (the optimizers' updates
excepted, whose purpose it is), and compute float16 in float32. Import the module of the kernel that is needed.
"""
