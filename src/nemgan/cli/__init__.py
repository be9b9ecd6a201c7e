"""The command line: each verb reads its words, calls one function below, and prints.

Nothing heavy is imported here: torch alone costs seconds, and ``nemgan --help`` should not.
"""

from nemgan.cli import runs, studies, lists  # isort: skip - the order of the verbs in --help
from nemgan.cli.words import app, main

__all__ = ["app", "lists", "main", "runs", "studies"]
