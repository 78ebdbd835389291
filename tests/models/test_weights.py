"""Files of weights: read without running anything in them, recognised, and loaded."""

import pickle

import pytest
import torch
import torchvision
from helpers import images
from safetensors.torch import save_file

from models import load
from models.weights import load_weights, read_labels, read_weights, recognise


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


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(official_tsm(), path)
    return path


def test_a_file_becomes_a_network_and_a_card(path):
    network, card = load_weights("tsm_resnet50_bi", path, labels=["a", "b", "c"])
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
    assert load_weights("tsm_resnet50_bi", path)[1].labels == ("class 0", "class 1", "class 2")
    with pytest.raises(ValueError, match=r"weights.pth has scores for 3 classes, and there are 2 labels"):
        load_weights("tsm_resnet50_bi", path, labels=["a", "b"])


def test_weights_with_a_shift_run_with_that_shift_only(path):
    with pytest.raises(ValueError, match='trained with shift "bi" and cannot run with "uni"'):
        load_weights("tsm_resnet50", path)
    with pytest.raises(ValueError, match='trained with shift "bi" and cannot run with "none"'):
        load_weights("tsn_resnet50", path)


def test_plain_files(tmp_path):
    weights = torchvision.models.video.r3d_18(num_classes=4).state_dict()
    save_file(weights, tmp_path / "plain.safetensors")
    network, card = load_weights("r3d_18", tmp_path / "plain.safetensors")
    assert torch.equal(network.stem[0].weight, weights["stem.0.weight"])
    assert (len(card.labels), card.num_frames, card.stride) == (4, 16, 2)
    with_module = {f"module.{key}": value for key, value in weights.items()}
    assert recognise("r3d_18", with_module) == ("torchvision", {"num_classes": 4})


def test_classifiers_of_torchvision(tmp_path):
    weights = torchvision.models.googlenet(num_classes=4, init_weights=False).state_dict()  # with its second heads
    torch.save(weights, tmp_path / "classifier.pth")
    network, card = load_weights("tsn_googlenet", tmp_path / "classifier.pth")
    assert torch.equal(network.fc.weight, weights["fc.weight"])
    assert torch.equal(network.pictures.conv1.conv.weight, weights["conv1.conv.weight"])
    assert card.preprocessing.mean == (127.5,)


def test_labels(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("\ufeffwave\n clap \n\n", encoding="utf-8")
    assert read_labels(path) == ["wave", "clap"]
    path.write_text("wave\n\nclap\n")
    with pytest.raises(ValueError, match=r"line 2 of .*labels.txt is empty; each line is a label"):
        read_labels(path)
    path.write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match=r"labels.txt is not text in UTF-8"):
        read_labels(path)


@pytest.mark.parametrize("contents", [{"state_dict": None}, {0: torch.zeros(1)}, {"model_state": torch.zeros(1)}])
def test_what_are_not_weights_by_name(contents):
    with pytest.raises(ValueError, match=r"not weights by name|not weights of tsn_resnet18"):
        recognise("tsn_resnet18", contents)


def test_weights_of_another_network_are_refused(path):
    with pytest.raises(ValueError, match=r"not weights of tsm_mobilenet_v2 in any layout known here; read as \w+"):
        load_weights("tsm_mobilenet_v2", path)
    with pytest.raises(ValueError, match="no network is named 'tsm'"):
        load_weights("tsm", path)


class Malicious:
    def __reduce__(self):
        return print, ("executed",)


def test_files_that_are_not_weights_are_refused_in_one_line(tmp_path, path, capsys):
    cases = {
        "absent.pth": (None, "no file"),
        "empty.pth": (b"", "cannot be read as weights"),
        "cut.pth": (path.read_bytes()[:1000], "cannot be read as weights"),
        "text.safetensors": (b"hello, this is a text", "cannot be read as weights"),
        "pickle.pth": (pickle.dumps({"state_dict": Malicious()}), "cannot be read as weights"),
    }
    for name, (contents, message) in cases.items():
        if contents is not None:
            (tmp_path / name).write_bytes(contents)
        with pytest.raises(ValueError, match=message) as caught:
            read_weights(tmp_path / name)
        assert "\n" not in str(caught.value)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="holds a list, not weights by name"):
        read_weights(tmp_path / "list.pth")
    assert "executed" not in capsys.readouterr().out
