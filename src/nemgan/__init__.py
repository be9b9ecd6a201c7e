"""Clusters, masses and samples from unlabelled, imbalanced data."""

__version__ = "0.1.0"
