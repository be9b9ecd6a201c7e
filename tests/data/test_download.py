"""Downloads, from pretended servers."""

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest
import requests
from urllib3 import HTTPResponse

from nemgan.data import download
from nemgan.data.download import ensure
from nemgan.data.images import CELEBA, CIFAR10, FASHION_MNIST, MNIST
from nemgan.errors import DataError

CONTENT = gzip.compress(bytes(range(256)) * 2000)
ADDRESS = "https://raw.example/"


@pytest.fixture
def server(monkeypatch):
    """The address of a pretended server that answers /good with CONTENT and anything else with 404."""

    def send(self, request, **_):
        good = request.url.startswith(ADDRESS + "good")
        answer = requests.Response()
        answer.status_code, answer.url = 200 if good else 404, request.url
        answer.headers["content-length"] = str(len(CONTENT) if good else 0)
        answer.raw = HTTPResponse(io.BytesIO(CONTENT if good else b""), preload_content=False)
        return answer

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    return ADDRESS


def files_under(root):
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def test_download_places_a_file_whose_checksum_is_right(server, tmp_path, capfd):
    target = tmp_path / "MNIST" / "raw" / "t10k.gz"
    download._download(f"{server}good", hashlib.md5(CONTENT).hexdigest(), target)
    assert target.read_bytes() == CONTENT
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("page", "why"), [("good", "what came has the wrong checksum"), ("bad", "the server answered 404")]
)
def test_a_bad_download_places_nothing(server, tmp_path, monkeypatch, page, why):
    monkeypatch.setattr(download, "_MNIST", (f"{server}{page}/",))
    with pytest.raises(
        DataError, match=rf"MNIST is not on disk and cannot be downloaded \({why}\): put .* NEMGAN_DATA"
    ):
        ensure(MNIST, tmp_path, download=True)
    assert files_under(tmp_path) == []


def test_no_network_is_one_line(tmp_path):  # conftest refuses connections
    with pytest.raises(DataError, match=r"cannot be downloaded \(no network\): put MNIST/raw/train-images") as error:
        ensure(MNIST, tmp_path, download=True)
    assert "\n" not in str(error.value)


def test_only_what_is_missing_is_fetched(tmp_path):
    asked = []

    def fetch(address: str, md5: str, target: Path) -> None:
        asked.append((address.rsplit("/", 1)[1], len(md5)))
        target.touch()

    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").touch()
    (raw / "t10k-labels-idx1-ubyte.gz").touch()
    ensure(FASHION_MNIST, tmp_path, download=True, fetch=fetch)
    assert asked == [("train-labels-idx1-ubyte.gz", 32), ("t10k-images-idx3-ubyte.gz", 32)]
    assert FASHION_MNIST.missing(tmp_path) == []


def test_the_next_mirror_is_tried(tmp_path):
    hosts = []

    def fetch(address: str, md5: str, target: Path) -> None:
        hosts.append(address.split("/")[2])
        if hosts[-1] == hosts[0]:
            raise OSError("down")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()

    ensure(MNIST, tmp_path, download=True, fetch=fetch)
    assert len(hosts) == 8 and len(set(hosts)) == 2


def archive_of(members):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return made.getvalue()


def test_cifar_archive_is_unpacked_into_place(tmp_path):
    members = {name: name.encode() for name in CIFAR10.files}
    content = archive_of({**members, "../outside": b"!", "cifar-10-batches-bin/../../outside": b"!", "extra": b"!"})
    root = tmp_path / "deep" / "root"
    ensure(CIFAR10, root, download=True, fetch=lambda _, __, target: target.write_bytes(content) and None)
    assert files_under(tmp_path) == sorted(f"deep/root/{name}" for name in CIFAR10.files)
    assert (root / CIFAR10.files[0]).read_bytes() == CIFAR10.files[0].encode()


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", archive_of({"x": b""}), archive_of(dict.fromkeys(CIFAR10.files, b"!" * 999))[:-40]],
    ids=["nothing", "no archive", "other files", "truncated"],  # an archive holds the time, and names must not
)
def test_a_bad_archive_places_nothing(tmp_path, content):
    with pytest.raises(DataError, match="CIFAR-10 is not on disk and cannot be downloaded"):
        ensure(CIFAR10, tmp_path, download=True, fetch=lambda _, __, target: target.write_bytes(content) and None)
    assert files_under(tmp_path) == []


def test_celeba_is_not_fetched(tmp_path):
    with pytest.raises(DataError, match=r"CelebA is not on disk: put celeba/img_align_celeba and 2 more"):
        ensure(CELEBA, tmp_path, download=True, fetch=None)


def test_no_permission_and_no_download(tmp_path):
    def fetch(address: str, md5: str, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(DataError, match=r"cannot write MNIST under .* set NEMGAN_DATA to a folder you can write to"):
        ensure(MNIST, tmp_path, download=True, fetch=fetch)
    with pytest.raises(DataError, match="MNIST is not on disk: put"):
        ensure(MNIST, tmp_path, download=False, fetch=fetch)
