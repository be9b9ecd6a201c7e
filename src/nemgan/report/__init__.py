"""A run folder in, one self-contained HTML page out. Reads files alone: no torch, no data set, no network."""

from nemgan.report.page import write

__all__ = ["write"]
