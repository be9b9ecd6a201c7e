"""Data: samples with or without labels, where they come from, and subsets of them."""
