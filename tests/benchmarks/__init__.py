"""Benchmarks: ratios of tensorlite to torch, measured in one process, in turn."""
