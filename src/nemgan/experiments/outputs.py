"""What a finished run makes for its user: samples of its clusters, and clusters of new data."""

from __future__ import annotations

import csv
import io
import logging
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemgan.data.files import Reading, find, printable
from nemgan.data.folders import find_pictures
from nemgan.data.tables import table_text
from nemgan.errors import ConfigError, DataError
from nemgan.evaluation.grids import grid
from nemgan.evaluation.inference import generate, predict
from nemgan.evaluation.margins import margins
from nemgan.evaluation.pictures import save
from nemgan.experiments.folder import slug, write_text
from nemgan.experiments.run import load_run, model_card
from nemgan.seeding import torch_generator

Array = NDArray[Any]


def check_free(out: Path, folder: bool = True, asked: str = "--out") -> None:
    """See that ``out``, which option ``asked`` gives, can be written without overwriting anything, before any work.

    Raises:
        ConfigError: it exists (an empty folder may, if a ``folder`` will do), or its place is not a folder.
    """
    if folder and out.is_dir() and not out.suffix:
        if any(out.iterdir()):
            raise ConfigError(f"{out} is not empty: give another {asked}, nothing is overwritten")
    elif out.exists() or out.is_symlink():
        raise ConfigError(f"{out} exists: give another {asked}, nothing is overwritten")
    parent = out.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot write {out}: {parent} is not a folder that can be written; give another {asked}")


def write_new(out: Path, text: str) -> None:
    """Write a file that does not exist yet, making the folders it lies in; whole or, on an error, not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.touch(exist_ok=False)
    try:
        out.write_text(text, encoding="utf-8", newline="")
    except BaseException:
        out.unlink()
        raise


def sample_run(folder: Path, out: Path, *, cluster: int | str | None = None, n: int = 64, seed: int = 0) -> Path:
    """Draw ``n`` samples of a finished run into ``out``: ``FILE.npz`` (x, cluster), ``FILE.png``, or a folder of PNGs.

    Images are uint8 0 … 255, whatever the scale of those the run was trained on. Where that was another one (more than
    8 bits, few tones) ``FILE.npz`` also holds its ``white``, and a note says so.

    Of a run on a table, ``FILE.csv``: rows with the table's columns, then their cluster and, where labels have named
    clusters, its name (class), empty where none was labelled, as ``predict_run`` writes them.

    Args:
        cluster: to draw from: its number, or as text the name that labels gave it or else its number; by default all,
            by their masses.

    Raises:
        NemganError: not a finished run, no such cluster, ``out`` exists, or images asked of vectors.
    """
    check_free(out)
    kind = out.suffix.lower()
    if kind not in ("", ".npz", ".png", ".csv"):
        raise ConfigError(f"cannot write {out}: give FILE.npz, FILE.png, FILE.csv (of a table) or a folder")
    _, model = load_run(folder)
    card = model_card(folder)
    columns = card.table
    if isinstance(cluster, str):
        cluster = cluster_number(cluster, card.cluster_names)
    if columns is not None and kind != ".csv":
        raise ConfigError(f"the samples of {folder} are rows of a table: give --out FILE.csv")
    if columns is None and kind == ".csv":
        raise ConfigError(f"the samples of {folder} are no rows of a table: give --out FILE.npz or FILE.png")
    if len(model.shape) != 3 and not kind:
        raise ConfigError(f"the samples of {folder} are vectors, not images: give --out FILE.npz or FILE.png")
    x, clusters = generate(model, n, torch_generator(seed, "sample", device=model.device), cluster)
    out.parent.mkdir(parents=True, exist_ok=True)
    if columns is not None:
        made = columns.decode(x)
        made["cluster" if "cluster" not in made else "nemgan_cluster"] = clusters.astype(np.float64)
        if any(card.cluster_names):
            names = np.array(card.cluster_names, object)
            made["class" if "class" not in made else "nemgan_class"] = names[clusters]
        write_text(out, table_text(made))
    elif kind == ".npz":
        save(out, {"x": x, "cluster": clusters} | ({} if card.white is None else {"white": np.array(card.white)}))
    elif kind == ".png":
        grid(rows(x, clusters), out)
    else:
        from PIL import Image

        out.mkdir(exist_ok=True)
        for i, (picture, k) in enumerate(zip(x, clusters, strict=True)):
            pixels = picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
            Image.fromarray(pixels).save(out / f"cluster-{k}-{i:05d}.png")
    if card.white is not None:
        said = (
            f"samples are uint8 0 … 255, where white was {card.white:g} in training: multiply by {card.white:g} / 255"
        )
        logging.getLogger("nemgan").warning("nemgan: note: %s to have that scale", said)
    return out


def predict_run(folder: Path, source: Path, *, skip_bad: bool = False) -> str:
    """Cluster and probability of every sample at ``source`` as CSV: id, cluster, probability, the next likeliest
    cluster (second), how far its probability is behind (margin), and the probability of each cluster (p0 …).

    A run that was given labels has named its clusters: their names come last (class), empty where none was labelled.

    Args:
        skip_bad: leave out pictures that cannot be read.

    Raises:
        NemganError: not a finished run, or ``source`` cannot be read or has samples of another shape.
    """
    config, model = load_run(folder)
    how = Reading(id_column=config.id_column, skip_bad=skip_bad, drop=config.drop)
    card = model_card(folder)
    found = find(source, model.shape, how, card.table, card.white)
    for note in found.notes:
        logging.getLogger("nemgan").warning("nemgan: note: %s", note)
    x, ids = found.x, found.ids
    if tuple(x.shape[1:]) != model.shape:
        raise DataError(f"samples of {source} have shape {x.shape[1:]}, but the run was trained on {model.shape}")
    posterior = predict(model, x)
    first, second, margin = margins(posterior)
    m = posterior.shape[1]
    line = "%s,%d,%.6f,%d,%.6f" + ",%.6f" * m  # csv.writer would take a tenth of the network's time
    best = posterior.max(1).tolist()
    sure = (first.tolist(), best, second.tolist(), margin.tolist())
    columns = [list(map(quoted, ids)), *sure, *posterior.T.tolist()]
    heads = ["id", "cluster", "probability", "second", "margin", *(f"p{k}" for k in range(m))]
    if any(card.cluster_names):
        names = [quoted(name) for name in card.cluster_names]
        columns.append([names[k] for k in sure[0]])
        heads, line = [*heads, "class"], line + ",%s"
    return "\n".join([",".join(heads), *(line % each for each in zip(*columns, strict=True))]) + "\n"


def cluster_number(cluster: str, names: Sequence[str]) -> int:
    """The cluster meant: by its name among ``names`` ("" where it has none), its number, or as "cluster-2"."""
    number = cluster.removeprefix("cluster-")
    if cluster and cluster in names:
        at = list(names).index(cluster)
        if number.isdecimal() and at != int(number) < len(names):
            other = names[int(number)] or "unnamed"
            said = (
                f"{cluster} is taken for the class named {cluster}, which is cluster {at}; cluster {number} is {other}"
            )
            logging.getLogger("nemgan").warning("nemgan: note: %s", said)
        return at
    if number.isdecimal():
        return int(number)
    known = ", ".join(name for name in names if name)
    raise ConfigError(
        f"there is no cluster {cluster!r}: give its number"
        + (f", or one of {known}" if known else ", for no labels have named them")
    )


def sort_pictures(source: Path, text: str, into: Path) -> None:
    """Copy the pictures of the folder ``source`` into a folder for each cluster, by the CSV of ``predict_run``."""
    files = {printable(path.relative_to(source)): path for path in find_pictures(source)}
    for row in csv.DictReader(io.StringIO(text)):
        name = f"cluster-{row['cluster']}" + (f"-{slug(row['class'])}" if row.get("class") else "")
        copy = into / name / row["id"]
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(files[row["id"]], copy)


def quoted(name: str) -> str:
    """``name`` as a cell of a CSV."""
    return f'"{name.replace(chr(34), chr(34) * 2)}"' if any(mark in name for mark in ',"\r\n') else name


def rows(x: Array, clusters: NDArray[np.int64]) -> Array:
    """Samples ``(n, *shape)`` as rows for ``grid``, ``(rows, columns, *shape)``: one row per cluster, or, if there is
    but one, a square of images. What is left of a row is white, or repeats a vector."""
    present = [x[clusters == cluster] for cluster in np.unique(clusters)]
    if len(present) == 1 and x.ndim == 4:
        columns = math.ceil(math.sqrt(len(x)))
        present = [x[i : i + columns] for i in range(0, len(x), columns)]
    columns = max(map(len, present))
    filled = []
    for row in present:
        spare = np.full((1, *x.shape[1:]), 255, x.dtype) if x.ndim == 4 else row[:1]
        filled.append(np.concatenate([row, np.repeat(spare, columns - len(row), 0)]))
    return np.stack(filled)
