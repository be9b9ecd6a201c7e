"""Fetch official raw files, checked against their checksums, into the data root."""

from __future__ import annotations

import logging
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nemgan.data.images import ImageSet
from nemgan.errors import DataError

Fetch = Callable[[str, str, Path], None]
"""``(address, md5, destination)``: put the file there, whole and checked, or raise OSError or ValueError."""

_MNIST = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
_FASHION = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
)
_CIFAR = ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",)
_CIFAR_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"

# file under the data root, without ".gz" -> MD5 of the gzipped file
_IDX_MD5 = {
    "MNIST/raw/train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "MNIST/raw/train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "MNIST/raw/t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "MNIST/raw/t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    "FashionMNIST/raw/train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "FashionMNIST/raw/train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
    "FashionMNIST/raw/t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
    "FashionMNIST/raw/t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
}


def missing_error(images: ImageSet, root: Path, why: str = "") -> DataError:
    """The error for a set that is not on disk: which files to put where."""
    folder, names = f"{root}{os.sep}", images.missing(root)
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    first = names[0] if names else ""
    return DataError(
        f"{images.title} is not on disk{why}: put {first}{more} (from {images.source}) under {folder}, "
        "or set NEMGAN_DATA to the folder that has them"
    )


def ensure(images: ImageSet, root: Path, *, download: bool, fetch: Fetch | None = None) -> None:
    """Make sure that the files of ``images`` are under ``root``; fetch those that are missing if ``download``.

    A file appears under its name only when it is whole and its checksum is right.

    Raises:
        DataError: files missing and not to be had (no network, damaged, no write permission, CelebA).
    """
    names = images.missing(root)
    if not names:
        return
    if not download or not all(name in _IDX_MD5 or name.startswith("cifar-10") for name in names):
        raise missing_error(images, root)
    try:
        if names[0].startswith("cifar-10"):
            _cifar(names, root, fetch or _download)
        else:
            mirrors = _MNIST if names[0].startswith("MNIST") else _FASHION
            for name in names:
                target = root / f"{name}.gz"
                _first([m + target.name for m in mirrors], _IDX_MD5[name], target, fetch or _download)
    except PermissionError as error:
        raise DataError(
            f"cannot write {images.title} under {root} (no permission): set NEMGAN_DATA to a folder you can write to"
        ) from error
    except (OSError, ValueError, EOFError, tarfile.TarError) as error:
        raise missing_error(images, root, f" and cannot be downloaded ({_reason(error)})") from error


def _first(addresses: list[str], md5: str, target: Path, fetch: Fetch) -> None:
    """Fetch from the first address that works; the last one's error otherwise."""
    for i, address in enumerate(addresses):
        try:
            return fetch(address, md5, target)
        except (OSError, ValueError) as error:
            if isinstance(error, PermissionError) or i == len(addresses) - 1:
                raise


def _cifar(names: list[str], root: Path, fetch: Fetch) -> None:
    """Fetch the archive and move the wanted files out of it, each at once."""
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".nemgan-", dir=root) as scratch:
        archive = Path(scratch) / "cifar-10-binary.tar.gz"
        _first(list(_CIFAR), _CIFAR_MD5, archive, fetch)
        with tarfile.open(archive) as tar:
            inside = {member.name: member for member in tar.getmembers() if member.isreg()}
            absent = [name for name in names if name not in inside]
            if absent:
                raise ValueError(f"the archive has no {absent[0]}")
            for name in names:  # one by one: Python before 3.11.4 knows no safe extractall
                part, inner = Path(scratch) / "part", tar.extractfile(inside[name])
                assert inner is not None  # a regular file has content
                with inner, part.open("wb") as file:
                    shutil.copyfileobj(inner, file)
                (root / name).parent.mkdir(exist_ok=True)
                os.replace(part, root / name)


def _download(address: str, md5: str, target: Path) -> None:
    """Fetch with pooch, which writes to a temporary name and renames when the checksum is right."""
    import pooch

    with quiet(pooch.get_logger()), _bar(target.name) as bar:
        downloader = pooch.HTTPDownloader(progressbar=bar, timeout=20, chunk_size=1 << 16)
        pooch.retrieve(address, f"md5:{md5}", target.name, target.parent, downloader=downloader)


@contextmanager
def quiet(logger: logging.Logger) -> Iterator[None]:
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


class _Bar:
    """What pooch asks of a progress bar, drawn by rich; nothing is drawn where standard error is no terminal."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self.progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self.task = self.progress.add_task(name, total=None)
        self.progress.start()

    @property
    def total(self) -> float | None:
        return self.progress.tasks[0].total

    @total.setter
    def total(self, n: int) -> None:
        self.progress.update(self.task, total=n or None)

    def update(self, n: int) -> None:
        self.progress.advance(self.task, n)

    def reset(self) -> None:
        self.progress.update(self.task, completed=0)

    def close(self) -> None:
        self.progress.stop()


@contextmanager
def _bar(name: str) -> Iterator[_Bar]:
    bar = _Bar(name)
    try:
        yield bar
    finally:
        bar.close()


def _reason(error: BaseException) -> str:
    """A few words for why a download failed."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "the server does not answer"
    if isinstance(error, requests.ConnectionError):
        return "no network"
    if "hash" in str(error):
        return "what came has the wrong checksum"
    return " ".join(str(error).split())[:120] or type(error).__name__
