"""What an option of the command line may be, where that is one of a few words."""

from enum import StrEnum


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Policy(StrEnum):
    auto = "auto"
    newest = "newest"
    every = "every"


class Transport(StrEnum):
    tcp = "tcp"
    udp = "udp"


class TrainedShift(StrEnum):
    uni = "uni"
    bi = "bi"
    none = "none"


class Modality(StrEnum):
    rgb = "rgb"
    rgb_difference = "rgb-difference"
    flow = "flow"
    warped_flow = "warped-flow"


class FlowMethod(StrEnum):
    dis = "dis"
    tvl1 = "tvl1"


class Subtitles(StrEnum):
    srt = "srt"
    vtt = "vtt"


class Challenge(StrEnum):
    thumos14 = "thumos14"
    activitynet = "activitynet"


class RuntimeName(StrEnum):
    auto = "auto"
    torch = "torch"
    compile = "compile"
    graphs = "graphs"
    onnx = "onnx"
    openvino = "openvino"


class ExportTarget(StrEnum):
    onnx = "onnx"
    openvino = "openvino"
    torch_export = "torch-export"


class Takes(StrEnum):
    pixels = "pixels"
    pictures = "pictures"
    frames = "frames"


class EvaluationTask(StrEnum):
    detection = "detection"
    classification = "classification"
    proposals = "proposals"
