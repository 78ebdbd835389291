"""Files of weights: read without running anything in them, recognised, and loaded."""

import pickle
import struct
import zipfile

import pytest
import torch
import torchvision
from helpers import images
from safetensors.torch import save_file

from actionstream.models import create, load
from actionstream.models.common.limits import MAX_WEIGHTS_BYTES
from actionstream.models.weights.convert import load_weights, recognise
from actionstream.models.weights.weight_file import read_weights, unwrapped


def official_tsm(num_classes=3):
    """A file as the TSM authors' code writes it."""
    weights = torchvision.models.resnet50(num_classes=num_classes).state_dict()
    keys = {key: key.replace(".conv1.", ".conv1.net.") if key.startswith("layer") else key for key in weights}
    return {
        "epoch": 3,
        "state_dict": {
            "module." + (f"new_fc{key[2:]}" if key.startswith("fc") else f"base_model.{keys[key]}"): tensor
            for key, tensor in weights.items()
        },
    }


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weights.pth"
    torch.save(official_tsm(), path)
    return path


def test_a_file_becomes_a_network_and_a_card(path):
    network, card, found = load_weights(path, labels=["a", "b", "c"])
    assert (found.network, found.layout, found.shift) == ("tsm_resnet50_bi", "tsm-resnet", "bi")
    assert not network.training
    assert card.labels == ("a", "b", "c")
    assert card.arguments == {"num_classes": 3}
    assert (card.num_frames, card.stride, card.shift, card.activation) == (8, 1, "bi", "softmax")
    assert torch.equal(network.fc.weight, torch.load(path)["state_dict"]["module.new_fc.weight"])
    again, same = load("tsm_resnet50_bi", weights=path, labels=["a", "b", "c"])
    assert same == card
    frames = card.preprocessing.normalise(torch.from_numpy(images(8, height=224, width=224)[0])[None, None])
    with torch.inference_mode():
        torch.testing.assert_close(again(frames), network(frames))


def test_labels_are_numbers_where_nobody_named_them(path):
    assert load_weights(path)[1].labels == ("class 0", "class 1", "class 2")
    with pytest.raises(ValueError, match=r"weights.pth has scores for 3 classes, and there are 2 labels"):
        load_weights(path, labels=["a", "b"])


def test_weights_with_a_shift_run_with_that_shift_only(path):
    with pytest.raises(ValueError, match='trained with shift "bi" and cannot run with "uni"'):
        load_weights(path, network="tsm_resnet50")
    with pytest.raises(ValueError, match='trained with shift "bi" and cannot run with "none"'):
        load_weights(path, network="tsn_resnet50")
    assert load_weights(path, network="tsm_resnet50", insist=True)[1].shift == "uni"
    _, card, found = load_weights(path, trained_shift="uni")
    assert (found.network, card.shift) == ("tsm_resnet50", "uni")


def test_plain_files(tmp_path):
    weights = torchvision.models.video.r3d_18(num_classes=4).state_dict()
    save_file(weights, tmp_path / "plain.safetensors")
    network, card, found = load_weights(tmp_path / "plain.safetensors")
    assert (found.network, found.layout) == ("r3d_18", "plain")
    assert torch.equal(network.stem[0].weight, weights["stem.0.weight"])
    assert (len(card.labels), card.num_frames, card.stride) == (4, 16, 2)


def test_classifiers_of_torchvision(tmp_path):
    weights = torchvision.models.googlenet(num_classes=4, init_weights=False).state_dict()  # with its second heads
    torch.save(weights, tmp_path / "classifier.pth")
    network, card, found = load_weights(tmp_path / "classifier.pth", project="torchvision")
    assert found.network == "tsn_googlenet"
    assert torch.equal(network.fc.weight, weights["fc.weight"])
    assert torch.equal(network.pictures.conv1.conv.weight, weights["conv1.conv.weight"])
    assert card.preprocessing.mean == (127.5,)


@pytest.mark.parametrize(
    ("in_channels", "modality", "expected"),
    [
        (3, None, ("rgb", 1, (123.675, 116.28, 103.53))),
        (15, None, ("rgb-difference", 5, (0.0,))),
        (10, None, ("flow", 5, (127.5,))),
        (10, "warped-flow", ("warped-flow", 5, (127.5,))),
    ],
)
def test_the_modality_is_that_of_the_channels(tmp_path, in_channels, modality, expected):
    weights = create("tsn_resnet18", in_channels=in_channels, num_classes=2).state_dict()
    save_file(weights, tmp_path / "weights.safetensors")
    network, card, _ = load_weights(tmp_path / "weights.safetensors", modality=modality)
    assert network.in_channels == in_channels == card.preprocessing.in_channels
    wanted = card.preprocessing
    assert (wanted.modality, wanted.stack, wanted.mean) == expected
    assert card.frame_seconds == pytest.approx(card.interval_seconds if in_channels == 3 else 1 / 30)


def test_a_modality_that_the_channels_are_not(tmp_path):
    save_file(create("tsn_resnet18", num_classes=2).state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="the network takes 3 channels, which flow does not have"):
        load_weights(tmp_path / "weights.safetensors", modality="flow")


def test_weights_of_another_network_are_refused(path):
    with pytest.raises(ValueError, match=r"not weights of tsm_mobilenet_v2 in any layout known here; nearest: as \w+"):
        load_weights(path, network="tsm_mobilenet_v2")
    with pytest.raises(ValueError, match=r"not weights of a network of the catalogue in a layout of mmaction2"):
        load_weights(path, project="mmaction2")
    with pytest.raises(ValueError, match="no project 'caffe'; there are tsm"):
        load_weights(path, project="caffe")
    with pytest.raises(ValueError, match="no network is named 'tsm'"):
        load_weights(path, network="tsm")


def test_weights_of_no_network_are_refused():
    with pytest.raises(ValueError, match="not weights of a network of the catalogue in any layout known here"):
        recognise({"encoder.weight": torch.zeros(3, 3)})


class Malicious:
    def __reduce__(self):
        return print, ("executed",)


def zip_bomb(path):
    """Ten megabytes of zeros for each ten kilobytes of the file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"archive/data/{number}", bytes(10 << 20))


def compressed(path):
    """Parts that are compressed, though they do not get larger by it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))


def long_tail(path):
    """A bomb with so much after it that the directory of the archive is not found in its usual place."""
    zip_bomb(path)
    with path.open("ab") as file:
        file.write(bytes(68_000))


def lying_header(path):
    """A header that speaks of more bytes than there are."""
    header = b'{"fc.weight":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4000000000000]}}'
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))


def endless_header(path):
    path.write_bytes(struct.pack("<Q", 1 << 62) + b"{}")


def oversized(path):
    with path.open("wb") as file:
        file.truncate(MAX_WEIGHTS_BYTES + 1)  # with a hole in it, not on the disk


def stretched(path):
    """One number that says that it is a million times a million."""
    torch.save({"fc.weight": torch.zeros(1).expand(1 << 20, 1 << 20)}, path)


def pickled(code):
    """A file whose only pickle is that code, in protocol 2."""

    def make(path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02" + code + b".")
            archive.writestr("archive/version", b"3\n")

    return make


def spread_out(begin, around):
    """Code of an object that is in the next one twice, which is in the next one twice, and so on 40 times."""
    code = begin + b"q\0"
    for n in range(40):
        code += around(b"h" + bytes([n])) + b"q" + bytes([n + 1])
    return code


def in_tuples(get):
    return get * 2 + b"\x86"


def in_lists(get):
    return b"](" + get * 2 + b"e"


def in_dicts(get):
    return b"}(K\0" + get + b"K\1" + get + b"u"


def many_views(path):
    """Ten thousand names for the same megabyte."""
    values = torch.zeros(1 << 18)
    torch.save({f"layer{number}.weight": values for number in range(10_000)}, path)


def old_pickle(path):
    path.write_bytes(b"\x80\x02" + spread_out(b"N", in_tuples) + b".")


SPREAD = "it has more than 5,000,000 values, when each is counted wherever it is used"
BAD = {
    "tuples.pth": (pickled(spread_out(b"N", in_tuples) + b")R"), SPREAD),
    "lists.pth": (pickled(spread_out(b"N", in_lists)), SPREAD),
    "dicts.pth": (pickled(spread_out(b"N", in_dicts)), SPREAD),
    "key.pth": (pickled(b"}" + spread_out(b"N", in_tuples) + b"Ns"), SPREAD),
    "old tuples.pth": (old_pickle, SPREAD),
    "many keys.pth": (pickled(spread_out(b"N", in_tuples)[: 2 + 7 * 18] + b"}h\x10Ns0" * 1000), SPREAD),
    "deep.pth": (pickled(b"N" + b"\x85" * 1_000_000), "it has objects in one another, deeper than 100"),
    "loop.pth": (pickled(b"]q\0h\0a"), "it changes an object after another one has taken it"),
    "late.pth": (pickled(b"]q\0](h\0h\0eq\x010h\0Na"), "it changes an object after another one has taken it"),
    "views.pth": (many_views, "its weights have 9.8 GiB"),
    "long name.pth": (lambda path: torch.save({"a" * 10_000_000: torch.zeros(1)}, path), "has 10000000 characters"),
    "escape.pth": (lambda path: torch.save({"\x1b[2J": torch.zeros(1)}, path), r"'\x1b[2J'"),
    "absent.pth": (lambda path: None, "no file"),
    "empty.pth": (lambda path: path.write_bytes(b""), "cannot be read as weights"),
    "text.safetensors": (lambda path: path.write_bytes(b"hello, this is a text"), "cannot be read as weights"),
    "picture.pth": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)), "cannot be read as weights"),
    "pickle.pth": (lambda path: path.write_bytes(pickle.dumps({"a": Malicious()})), "a pickle of something else"),
    "old.pth": (
        lambda path: path.write_bytes(pickle.dumps({"a": Malicious()}, protocol=2)),
        "it asks for __builtin__.print",
    ),
    "saved.pth": (lambda path: torch.save({"a": Malicious()}, path), "it asks for __builtin__.print"),
    "bomb.pth": (zip_bomb, "it unpacks to more than it is"),
    "lying.safetensors": (lying_header, "cannot be read as weights"),
    "endless.safetensors": (endless_header, "cannot be read as weights"),
    "oversized.pth": (oversized, "expected 4,294,967,296 at most for weights (ACTIONSTREAM_MAX_WEIGHTS_BYTES)"),
    "stretched.pth": (stretched, "values, which are not in the file"),
    "list.pth": (lambda path: torch.save([1, 2], path), "it holds list, not weights by name"),
    "module.pth": (lambda path: torch.save(torch.nn.Linear(2, 2), path), "it asks for torch.nn.modules.linear.Linear"),
    "bytes.pth": (
        lambda path: torch.save({"state_dict": {"a": torch.zeros(1)}, "more": bytearray(9)}, path),
        "it asks for __builtin__.bytearray",
    ),
    "meta.pth": (lambda path: torch.save({"a": torch.zeros(2, device="meta")}, path), "cannot be read as weights"),
    "numbers.safetensors": (lambda path: save_file({"a": torch.zeros(2).int()}, path), "a is of torch.int32"),
    "nan.pth": (lambda path: torch.save({"a": torch.tensor([torch.nan])}, path), "a has values that are no numbers"),
    "compressed.pth": (compressed, "it unpacks to more than it is"),
    "tail.pth": (long_tail, "cannot be read as weights"),
    "nothing.pth": (lambda path: torch.save({}, path), "it holds nothing"),
    "numbers.pth": (lambda path: torch.save({"state_dict": {"a": 1}}, path), "'a' is int"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", BAD)
def test_files_that_are_not_weights_are_refused_in_one_line(name, tmp_path, run):
    make, message = BAD[name]
    make(tmp_path / name)
    code, out, err = run("convert", tmp_path / name, "-o", tmp_path / "made.safetensors")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert message in err
    assert "executed" not in err
    assert not (tmp_path / "made.safetensors").exists()


@pytest.mark.parametrize(
    "code",
    [b"(" * 10_000, b"N" * 10_000, b"N" + b"".join(b"r" + struct.pack("<I", number) for number in range(10_000))],
    ids=["marks", "values", "memo"],
)
def test_a_pickle_of_many_small_things(tmp_path, monkeypatch, code):
    monkeypatch.setattr("actionstream.models.weights.pickled.MAX_VALUES", 9_000)
    pickled(code)(tmp_path / "many.pth")
    with pytest.raises(ValueError, match="it has more than 9,000 values"):
        read_weights(tmp_path / "many.pth")


def test_the_format_is_that_of_the_contents(path, tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "really safetensors.pth")
    assert read_weights(tmp_path / "really safetensors.pth")["a"] == 1
    torch.save({"a": torch.ones(1)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert read_weights(tmp_path / "old.pth")["a"] == 1


def test_a_checkpoint_of_ours_is_none_of_others(checkpoint, tmp_path, run):
    code, _, err = run("convert", checkpoint, "-o", tmp_path / "made.safetensors")
    assert (code, "is a checkpoint already" in err) == (2, True)


@pytest.mark.parametrize("cut", [10, 1000, 1_000_000])
def test_files_that_were_cut_off_are_refused(cut, path, tmp_path):
    (tmp_path / "cut.pth").write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match="cannot be read as weights"):
        read_weights(tmp_path / "cut.pth")


def test_what_are_not_weights_by_name():
    for contents in ({"state_dict": None}, {0: torch.zeros(1)}, {"a": torch.zeros(2, 2).to_sparse()}):
        with pytest.raises(ValueError, match=r"it holds no weights by name"):
            unwrapped(contents)


def test_convert_says_what_it_cannot_do(path, tmp_path, run):
    for arguments, message in [
        (("-o", tmp_path / "made.pth"), "a checkpoint is a safetensors file; call it"),
        (("-o", tmp_path / "nowhere" / "made.safetensors"), "no folder"),
        (("-o", tmp_path / "made.safetensors", "--labels", "kinetics400"), "3 classes, and there are 400 labels"),
        (("-o", tmp_path / "made.safetensors", "--labels", "kinetics"), "no labels 'kinetics': give a file, or one of"),
        (("-o", tmp_path / "made.safetensors", "--model", "tsm_resnet50"), 'cannot run with "uni"'),
    ]:
        code, out, err = run("convert", path, *arguments)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert message in err
    assert list(tmp_path.iterdir()) == []
