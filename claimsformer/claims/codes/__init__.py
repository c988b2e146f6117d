"""Code tables with hierarchy."""
