"""Published checkpoints, downloaded from a real server that plays the publisher, badly at times."""

import hashlib
import json
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from golden import AGREEMENT, Golden
from precision import apart
from torchvision.models import get_weight

from actionstream.models import create, load
from actionstream.models.catalogue import NETWORKS
from actionstream.models.common.cache import cached_file
from actionstream.models.labels import list_labels, read_labels
from actionstream.models.published import PUBLISHED
from actionstream.models.weights import download as downloading
from actionstream.models.weights.download import fetch
from actionstream.models.weights.layouts import LAYOUTS
from actionstream.models.weights.weight_file import read_weights

CONTENTS = bytes(range(256)) * 1000


class Publisher(BaseHTTPRequestHandler):
    """Serves `server.contents`; the first part of the path says how."""

    def do_GET(self):
        how, contents = self.path.split("/")[1], self.server.contents
        self.server.requests.append((how, self.headers.get("Range")))
        if how == "missing":
            return self.send_error(404)
        begin, version = 0, f'"{hash(contents)}"'
        if (wanted := self.headers.get("Range")) and how != "no-ranges" and self.headers["If-Range"] in (None, version):
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            if begin >= len(contents):
                return self.send_error(416)
        self.send_response(206 if begin else 200)
        self.send_header("ETag", version)
        if begin:
            self.send_header("Content-Range", f"bytes {0 if how == 'another-part' else begin}-{len(contents) - 1}/*")
        length = len(contents) - begin
        if how not in ("no-length", "no-length-cut"):
            self.send_header("Content-Length", str(10**13 if how == "huge" else length))
        self.end_headers()
        if how in ("broken", "no-length-cut") or (how == "flaky" and len(self.server.requests) == 1):
            self.wfile.write(contents[begin : begin + length // 2])
        elif how == "slow":
            for place in range(begin, len(contents), 1 << 16):
                self.server.passed.wait(0.05)
                self.wfile.write(contents[place : place + (1 << 16)])
        elif how != "huge":
            self.wfile.write(contents[begin:])

    def log_message(self, *_):
        pass


@pytest.fixture
def publisher(tmp_path, monkeypatch):
    """The server; `publisher(how)` is an address."""
    monkeypatch.setenv("ACTIONSTREAM_CACHE", str(tmp_path / "cache"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    server.contents, server.requests, server.passed = CONTENTS, [], threading.Event()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def address(how):
        return f"http://127.0.0.1:{server.server_port}/{how}/weights.pth"

    address.server = server
    yield address
    server.shutdown()
    server.server_close()


SHA256 = hashlib.sha256(CONTENTS).hexdigest()


@pytest.mark.parametrize("how", ["well", "slow", "flaky", "no-length", "no-ranges"])
def test_a_file_is_fetched_once(publisher, how):
    path = fetch(publisher(how), sha256=SHA256[:8])
    assert path.read_bytes() == CONTENTS
    num_requests = len(publisher.server.requests)
    assert num_requests == (2 if how == "flaky" else 1)
    assert fetch(publisher(how), sha256=SHA256[:8]) == path
    assert len(publisher.server.requests) == num_requests
    assert not list(path.parent.glob("*.partial*"))


def test_what_broke_off_is_gone_on_with(publisher):
    with pytest.raises(ValueError, match=r"it broke off after [\d,]+ of 256,000 bytes. Get it in another way"):
        fetch(publisher("broken"))
    assert not cached_file(publisher("broken")).exists()
    begun = next(cached_file(publisher("broken")).parent.glob("*.partial")).stat().st_size
    assert 0 < begun < len(CONTENTS)
    assert fetch(publisher("well"), sha256=SHA256).read_bytes() == CONTENTS
    assert publisher.server.requests[-1] == ("well", f"bytes={begun}-")


def test_a_beginning_that_is_too_long_is_begun_again(publisher):
    path = cached_file(publisher("well"))
    path.parent.mkdir()
    path.with_name("weights.pth.partial").write_bytes(CONTENTS + b"more")
    path.with_name("weights.pth.partial.version").write_text(f'"{hash(CONTENTS)}"')
    assert fetch(publisher("well")).read_bytes() == CONTENTS
    assert publisher.server.requests[0][1] == "bytes=256004-"


def test_a_beginning_of_another_file_is_not_gone_on_with(publisher):
    with pytest.raises(ValueError, match="broke off"):
        fetch(publisher("broken"))
    publisher.server.contents = CONTENTS[::-1]
    assert fetch(publisher("well")).read_bytes() == CONTENTS[::-1]


def test_a_server_that_sends_another_part(publisher):
    with pytest.raises(ValueError, match="broke off"):
        fetch(publisher("broken"))
    assert fetch(publisher("another-part"), sha256=SHA256).read_bytes() == CONTENTS


def test_what_is_no_file_of_weights_is_not_kept(publisher):
    """A page that asks for a login, or half a file of which nobody knows how long it is."""
    with pytest.raises(ValueError, match=r"gave another file than was published: .* cannot be read as weights"):
        fetch(publisher("no-length-cut"), check=read_weights)
    assert not list(cached_file(publisher("well")).parent.glob("weights.pth*[!k]"))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", r"cannot be downloaded: the server says 404 .*, and put it at .*cache/weights.pth"),
        ("huge", r"has 10,000,000,000,000 bytes, too many"),
    ],
)
def test_files_that_cannot_be_had(publisher, how, message):
    with pytest.raises(ValueError, match=message):
        fetch(publisher(how))
    assert len(publisher.server.requests) == 1
    assert not cached_file(publisher(how)).exists()


def test_another_file_than_was_published(publisher):
    with pytest.raises(ValueError, match="gave another file than was published"):
        fetch(publisher("well"), sha256="00000000")
    assert not cached_file(publisher("well")).exists()


def test_a_cache_that_cannot_be_written(publisher, monkeypatch):
    monkeypatch.setenv("ACTIONSTREAM_CACHE", "/dev/null/cache")
    with pytest.raises(ValueError, match=r"cannot be written .*; ACTIONSTREAM_CACHE names another folder"):
        fetch(publisher("well"))


def test_without_a_network(publisher, monkeypatch):
    publisher.server.server_close()
    with pytest.raises(ValueError, match=r"refused. Get it in .*, and put it at .*cache/weights.pth") as caught:
        fetch(publisher("well"))
    path = Path(str(caught.value).rsplit(" ", 1)[1])
    path.write_bytes(CONTENTS)
    assert fetch(publisher("well"), sha256=SHA256) == path


def test_a_server_that_says_nothing(publisher, monkeypatch):
    monkeypatch.setattr(downloading, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(ValueError, match=r"downloaded: .*timed out"):
        fetch(f"http://127.0.0.1:{deaf.getsockname()[1]}/weights.pth")


def test_two_at_once(publisher):
    path = cached_file(publisher("well"))
    path.parent.mkdir()
    with FileLock(f"{path}.lock"), pytest.raises(ValueError, match=r"another process is downloading .*weights.pth"):
        fetch(publisher("well"))


def publish(monkeypatch, name, publisher, file):
    """Have the server publish a file under a name."""
    publisher.server.contents = file.read_bytes()
    sha256 = hashlib.sha256(publisher.server.contents).hexdigest()[:8]
    monkeypatch.setitem(PUBLISHED, name, replace(PUBLISHED[name], address=publisher("well"), sha256=sha256))


def test_gestures_by_name(publisher, tmp_path, monkeypatch, run):
    golden = Golden("tsm_mobilenetv2_online_jester")
    publish(monkeypatch, "tsm-jester", publisher, golden.file(tmp_path / "file.pth.tar"))
    options = ("--model", "tsm-jester", "--json", "--max-frames", 8)
    for _ in range(2):
        code, out, err = run("watch", "sample", *options)
        assert code == 0, err
        labels = [line["labels"] for line in map(json.loads, out.splitlines()) if "labels" in line]
        assert len(labels) == 4
        assert {label["label"] for label in labels[0]} <= set(read_labels("jester"))
    assert len(publisher.server.requests) == 1
    assert "in the cache" in next(line for line in run("models")[1].splitlines() if line.startswith("tsm-jester"))
    network, card = load("tsm-jester")
    assert (network.shift, card.licence, card.training) == ("uni", "MIT", {"published": publisher("well")})
    with torch.inference_mode():
        scores, _ = network(golden.clips(""))
    expected = golden.arrays["logits64"]
    assert apart(scores[0], expected) < AGREEMENT
    with pytest.raises(ValueError, match='trained with shift "uni" and cannot run with "none"'):
        load("tsm-jester", shift="none")


def test_a_published_file_of_another_network(publisher, tmp_path, monkeypatch, run):
    torch.save(create("tsn_resnet18", num_classes=1000).state_dict(), tmp_path / "file.pth")
    publish(monkeypatch, "resnet34-imagenet", publisher, tmp_path / "file.pth")
    code, _, err = run("watch", "sample", "--model", "resnet34-imagenet")
    assert code == 2
    assert "not weights of tsn_resnet34" in err.splitlines()[-1]


def test_every_published_checkpoint_is_of_a_network_and_has_labels_that_fit():
    for name, entry in PUBLISHED.items():
        assert entry.network in NETWORKS, name
        assert entry.labels in list_labels(), name
        assert entry.address.startswith("https://"), name
        assert name not in NETWORKS


def test_torchvisions_addresses_and_pictures_are_its_own():
    weights = {get_weight(name).url: get_weight(name) for name in TORCHVISION}
    ours = {entry.address: entry for entry in PUBLISHED.values() if "pytorch.org" in entry.address}
    assert set(ours) == set(weights)
    for address, entry in ours.items():
        theirs = weights[address].transforms()
        wanted = NETWORKS[entry.network].preprocessing()
        if entry.network == "s3d":
            wanted = replace(
                wanted, mean=(feeding := dict(LAYOUTS["s3d-torchvision"].feeding))["mean"], std=feeding["std"]
            )
        assert [wanted.height, wanted.width] == theirs.crop_size * (2 // len(theirs.crop_size))
        assert abs(wanted.short_side - theirs.resize_size[0]) <= 1
        if wanted.mean != (127.5,):  # of those that change their pictures inside
            assert wanted.mean == pytest.approx([255 * value for value in theirs.mean])
            assert wanted.std == pytest.approx([255 * value for value in theirs.std])
        assert len(read_labels(entry.labels)) == len(weights[address].meta["categories"])


TORCHVISION = (
    "R3D_18_Weights.KINETICS400_V1",
    "MC3_18_Weights.KINETICS400_V1",
    "R2Plus1D_18_Weights.KINETICS400_V1",
    "S3D_Weights.KINETICS400_V1",
    "ResNet18_Weights.IMAGENET1K_V1",
    "ResNet34_Weights.IMAGENET1K_V1",
    "ResNet50_Weights.IMAGENET1K_V1",
    "ResNet101_Weights.IMAGENET1K_V1",
    "ResNet152_Weights.IMAGENET1K_V1",
    "MobileNet_V2_Weights.IMAGENET1K_V1",
    "GoogLeNet_Weights.IMAGENET1K_V1",
    "Inception_V3_Weights.IMAGENET1K_V1",
    "VGG16_Weights.IMAGENET1K_V1",
)
