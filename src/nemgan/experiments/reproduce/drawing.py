"""Pictures of the figures, drawn from the run folders of finished cells into ``RESULTS/figures``.

A figure shows the first seed. A cell without a finished run leaves its picture (or panel) out.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nemgan.data.catalog import load
from nemgan.evaluation.grids import PALETTE, grid
from nemgan.evaluation.inference import generate
from nemgan.experiments.reproduce import figures
from nemgan.experiments.reproduce.cells import Cell, Record, failed
from nemgan.experiments.reproduce.tables import Store, number
from nemgan.experiments.run import configure, load_run
from nemgan.models.base import Model
from nemgan.seeding import torch_generator
from nemgan.storage import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]
POINTS = 1000
COLUMNS = 12
BINS = 80


def moons(store: Store, runs: Path, budget: str, seeds: Sequence[int] | None) -> list[str]:
    """Figure 1: the real moons and the points of each model, coloured by the class of the mode they were drawn from."""
    seed = (seeds or (0,))[0]
    cells = [figures.planar(model, figures.MOONS, seed, budget) for model in figures.MOON_MODELS]
    found = {cell: finished(store, runs, cell) for cell in cells}
    if not any(found.values()):
        return []
    figure = _figure(3 * 3.2, 2 * 2.4)
    real = load(figures.MOONS, seed=seed).test
    axes = list(figure.subplots(2, 3).flat)
    _points(axes[0], real.x[:POINTS], real.y[:POINTS], "real data: .800 / .200")
    for place, (cell, run) in zip(axes[1:], found.items(), strict=False):
        if run is None:
            _points(place, real.x[:0], real.y[:0], f"{cell.model}: not run")
            continue
        record, model = run
        x, modes = _draw(model, POINTS, seed)
        classes = np.asarray(record["class_of_cluster"]) if record.get("class_of_cluster") else np.arange(len(modes))
        shares = " / ".join(number(share) for share in record.get("generated_masses") or ())
        _points(place, x, classes[modes], f"{cell.model}: {shares}")
    for place in axes:
        place.tick_params(labelsize=7)
        place.set(xlim=(-1.6, 2.6), ylim=(-1.1, 1.6), aspect="equal")
    return [_save(store, "figure-1.png", figure)]


def digits(store: Store, runs: Path, budget: str, seeds: Sequence[int] | None) -> list[str]:
    """Figure 3: ten modes inside one digit, one row a mode."""
    cells = {f"figure-3-{data}.png": Cell("nemgan", data, (seeds or (0,))[0], figures.TEN) for data in figures.DIGITS}
    return [name for name, cell in cells.items() if _rows(store, runs, cell, name)]


def attributes(store: Store, runs: Path, budget: str, seeds: Sequence[int] | None) -> list[str]:
    """Figures 4 and 5: what was found to have the assumed masses, one row a mode."""
    cells = {
        f"figure-4-{data}-{ratio.replace(':', '-')}.png": Cell("nemgan", data, (seeds or (0,))[0], settings)
        for data in figures.ATTRIBUTE_DATA
        for ratio, settings in figures.ATTRIBUTES.items()
    }
    return [name for name, cell in cells.items() if _rows(store, runs, cell, name)]


def stacked(store: Store, runs: Path, budget: str, seeds: Sequence[int] | None) -> list[str]:
    """Figure 6: random samples of stacked MNIST."""
    run = finished(store, runs, figures.stacked_cells(budget, seeds)[0])
    if run is None:
        return []
    x, _ = _draw(run[1], 10 * COLUMNS, 0)
    return [_write(store, "figure-6.png", grid(x.reshape(10, COLUMNS, *x.shape[1:])))]


def ring(store: Store, runs: Path, budget: str, seeds: Sequence[int] | None) -> list[str]:
    """Figure 7: densities of the real points and of ours."""
    seed = (seeds or (0,))[0]
    run = finished(store, runs, figures.planar("nemgan", figures.RING, seed, budget))
    if run is None:
        return []
    real = load(figures.RING, seed=seed).train.x
    figure = _figure(7.0, 3.6)
    for place, x, title in zip(
        figure.subplots(1, 2), (real, _draw(run[1], len(real), seed)[0]), ("real", "generated"), strict=True
    ):
        counts, across, up = np.histogram2d(x[:, 0], x[:, 1], bins=BINS, range=[[-2.5, 2.5]] * 2)
        place.pcolormesh(across, up, np.log1p(counts.T), cmap="magma", rasterized=True)
        place.set(title=title, aspect="equal")
    return [_save(store, "figure-7.png", figure)]


def finished(store: Store, runs: Path, cell: Cell) -> tuple[Record, Model] | None:
    """Record and trained model of a cell; None where it failed, was not run, or its run folder is not in ``runs``.

    Folders are numbered, so that one of the same name may hold another run: its configuration tells.
    """
    record = store.record(cell)
    if record is None or failed(record) or not record.get("run"):
        return None
    folder = runs / str(record["run"])
    if not (folder / "model.safetensors").is_file():
        return None
    config, model = load_run(folder)
    return (record, model) if config == configure(cell.words()) else None


def _rows(store: Store, runs: Path, cell: Cell, name: str) -> bool:
    run = finished(store, runs, cell)
    if run is None:
        return False
    model = run[1]
    made = [_draw(model, COLUMNS, cell.seed, cluster)[0] for cluster in range(model.n_clusters)]
    _write(store, name, grid(np.stack(made)))
    return True


def _draw(model: Model, n: int, seed: int, cluster: int | None = None) -> tuple[Array, Array]:
    rng = torch_generator(seed, "figure", -1 if cluster is None else cluster, device=model.device)
    return generate(model, n, rng, cluster)


def _points(place: Axes, x: Array, modes: Array, title: str) -> None:
    colours = [PALETTE[int(mode) % len(PALETTE)] for mode in modes]
    place.scatter(x[:, 0], x[:, 1], s=3, c=colours or None, linewidths=0)
    place.set_title(title, fontsize=9)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _save(store: Store, name: str, figure: Figure) -> str:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)  # type: ignore[no-untyped-call]
    return _write(store, name, buffer.getvalue())


def _write(store: Store, name: str, png: bytes) -> str:
    path = store.folder / "figures" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, png)
    return name


DRAWINGS = {"moons": moons, "digits": digits, "attributes": attributes, "stacked": stacked, "ring": ring}
