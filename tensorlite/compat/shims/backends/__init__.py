"""torch.backends: none of its libraries is used."""
