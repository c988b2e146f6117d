"""Programs that run the two packages side by side with PyTorch."""
