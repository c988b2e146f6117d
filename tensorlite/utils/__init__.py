"""Data loading, checkpoints of computation, and files, by the names of torch.utils."""
