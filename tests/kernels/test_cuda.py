"""The kernel without a GPU: it compiles for every architecture, and its indices are right on a CPU."""

import ctypes
import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import missing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actionstream.kernels import cuda, temporal_shift_torch

EMULATOR = Path(__file__).parents[1] / "support" / "emulator.cpp"
ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The kernels as C++."""
    if shutil.which("g++") is None:
        missing("g++ (Debian package g++)")
    path = tmp_path_factory.mktemp("emulator") / "emulator.so"
    command = [
        "g++",
        "-std=c++17",
        "-O1",
        "-fPIC",
        "-shared",
        *WARNINGS,
        "-fsanitize=undefined",
        "-fno-sanitize-recover",
    ]
    subprocess.run([*command, f"-I{cuda.SOURCE.parent}", "-o", path, EMULATOR], check=True)
    return ctypes.CDLL(str(path))


@pytest.fixture
def emulated(library, monkeypatch):
    """`kernels.cuda` as it is, but that it launches into the emulator; the names of the kernels that ran."""
    names = []

    def launch(name, num_threads, tensors, sizes, flags):
        names.append(name)
        size = ctypes.c_int if name.endswith("_32") else ctypes.c_longlong
        pointers = [ctypes.c_void_p(None if tensor is None else tensor.data_ptr()) for tensor in tensors]
        blocks = ctypes.c_longlong(-(-num_threads // cuda.THREADS))
        getattr(library, f"run_{name}")(blocks, *pointers, *map(size, sizes), *map(ctypes.c_int, flags))

    monkeypatch.setattr(cuda, "_launch", launch)
    torch.use_deterministic_algorithms(True)  # new memory is filled with NaN or the largest number
    yield names
    torch.use_deterministic_algorithms(False)


DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.int32, torch.float64)
cases = st.fixed_dictionaries(
    {
        "streams": st.integers(1, 3),
        "snippets": st.integers(1, 4),
        "channels": st.sampled_from([1, 2, 3, 8, 16, 20, 24]),
        "height": st.sampled_from([1, 2, 4]),
        "width": st.sampled_from([1, 3, 4]),
        "channels_last": st.booleans(),
        "dtype": st.sampled_from(DTYPES),
        "offset": st.sampled_from([0, 0, 1]),
        "wide": st.booleans(),
    }
)


def tensor_of(case, rows, channels, seed):
    """Random bits' worth of numbers; with `offset` the memory is not aligned."""
    shape = rows, case["height"], case["width"], channels
    generator = torch.Generator().manual_seed(seed)
    count = rows * case["height"] * case["width"] * channels
    numbers = torch.randint(-999, 999, (count + case["offset"],), generator=generator).to(case["dtype"])
    numbers = numbers[case["offset"] :]
    if case["channels_last"]:
        return numbers.view(shape).permute(0, 3, 1, 2)
    return numbers.view(rows, channels, case["height"], case["width"])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases, data=st.data())
def test_clips_on_a_cpu(emulated, case, data):
    x = tensor_of(case, case["streams"] * case["snippets"], case["channels"], 0)
    first = data.draw(st.integers(0, case["channels"]))
    second = data.draw(st.integers(first, case["channels"]))
    arguments = case["snippets"], first, second, data.draw(st.sampled_from([1, -1])), data.draw(st.booleans())
    with pytest.MonkeyPatch.context() as patch:
        if case["wide"]:
            patch.setattr(cuda, "MANY", 0)
        out = cuda.shift_clip(x, *arguments)
    assert torch.equal(out, temporal_shift_torch.shift_clip(x, *arguments))
    assert temporal_shift_torch.memory_format(out) == temporal_shift_torch.memory_format(x)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases, data=st.data(), reverse=st.booleans(), with_leaf=st.booleans())
def test_chunks_on_a_cpu(emulated, case, data, reverse, with_leaf):
    x = tensor_of(case, case["streams"] * case["snippets"], case["channels"], 0)
    fold = data.draw(st.integers(0, case["channels"]))
    leaf = tensor_of(case, case["streams"], fold, 1) if with_leaf else None
    with pytest.MonkeyPatch.context() as patch:
        if case["wide"]:
            patch.setattr(cuda, "MANY", 0)
        out, after = cuda.shift_chunk(x, leaf, case["snippets"], fold, reverse)
    expected, expected_after = temporal_shift_torch.shift_chunk(x, leaf, case["snippets"], fold, reverse)
    assert torch.equal(out, expected)
    assert torch.equal(after, expected_after)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases, data=st.data())
def test_slots_on_a_cpu(emulated, case, data):
    x = tensor_of(case, case["streams"] * case["snippets"], case["channels"], 0)
    fold = data.draw(st.integers(0, case["channels"]))
    pool = tensor_of(case, 5, fold, 1)
    pool = pool.contiguous(memory_format=temporal_shift_torch.memory_format(x))
    expected_pool = pool.clone(memory_format=torch.preserve_format)
    rows = data.draw(st.permutations(range(5)))[: case["streams"]]
    index = torch.tensor([row if data.draw(st.booleans()) else -1 for row in rows])
    out = cuda.shift_slots(x, pool, index, case["snippets"], fold)
    assert torch.equal(out, temporal_shift_torch.shift_slots(x, expected_pool, index, case["snippets"], fold))
    assert torch.equal(pool, expected_pool)


def test_sixteen_bytes_at_a_time_where_it_can(emulated):
    for dtype, shape, channels_last, name in [
        (torch.float16, (2, 24, 4, 4), True, "chunk_2_8_32"),
        (torch.float16, (2, 20, 4, 4), True, "chunk_2_1_32"),
        (torch.float16, (2, 20, 4, 4), False, "chunk_2_8_32"),
        (torch.float32, (2, 24, 7, 7), True, "chunk_4_4_32"),
        (torch.float64, (2, 3, 5, 5), True, "chunk_8_1_32"),
    ]:
        x = torch.zeros(shape, dtype=dtype)
        x = x.contiguous(memory_format=torch.channels_last) if channels_last else x
        cuda.shift_chunk(x, None, 1, 3)
        assert emulated.pop() == name


def test_a_gap_in_memory_and_a_pool_of_another_format(emulated):
    x = torch.randn(4, 8, 4, 6)[..., ::2]
    assert torch.equal(cuda.shift_clip(x, 2, 2, 4, 1, False), temporal_shift_torch.shift_clip(x, 2, 2, 4, 1, False))
    one = torch.randn(1, 8, 3, 3).expand(4, 8, 3, 3)
    assert torch.equal(cuda.shift_clip(one, 2, 2, 4, 1, True), temporal_shift_torch.shift_clip(one, 2, 2, 4, 1, True))
    pool = torch.zeros(4, 2, 3, 3).contiguous(memory_format=torch.channels_last)
    with pytest.raises(ValueError, match="make the pool with the memory format of the network"):
        cuda.shift_slots(torch.zeros(1, 8, 3, 3), pool, torch.tensor([0]), 1, 2)


def nvrtc():
    """NVIDIA's runtime compiler, which comes with torch on Linux and which CuPy uses."""
    try:
        files = importlib.metadata.files("nvidia-cuda-nvrtc") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name.startswith("libnvrtc.so"):
            return ctypes.CDLL(str(file.locate()))
    return missing("NVRTC (the Python package nvidia-cuda-nvrtc, which torch brings)")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_compiles_without_a_warning(architecture, tmp_path):
    compiler = nvrtc()
    program = ctypes.c_void_p()
    source = cuda.SOURCE.read_text().encode()
    assert compiler.nvrtcCreateProgram(ctypes.byref(program), source, b"temporal_shift.cu", 0, None, None) == 0
    options = [f"--gpu-architecture=sm_{architecture}".encode(), *(option.encode() for option in cuda.COMPILER_OPTIONS)]
    failed = compiler.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    compiler.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    compiler.nvrtcGetProgramLog(program, log)
    assert (failed, log.value.decode().strip()) == (0, "")
    compiler.nvrtcGetCUBINSize(program, ctypes.byref(size))
    binary = ctypes.create_string_buffer(size.value)
    compiler.nvrtcGetCUBIN(program, binary)
    compiler.nvrtcDestroyProgram(ctypes.byref(program))
    for bytes_, lanes in [(2, 8), (2, 1), (4, 4), (4, 1), (8, 2), (8, 1)]:
        for bits in (32, 64):
            for kernel in ("clip", "chunk"):
                assert f"{kernel}_{bytes_}_{lanes}_{bits}".encode() in binary.raw


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed; NVRTC has compiled it")
def test_compiles_with_nvcc(tmp_path):
    command = ["nvcc", "-std=c++17", "-arch=sm_90", "-cubin", "-Werror", "all-warnings", "-o", tmp_path / "x.cubin"]
    subprocess.run([*command, cuda.SOURCE], check=True, capture_output=True)


def test_without_cupy_the_torch_form_runs_and_says_so_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    cuda.has_cupy.cache_clear()
    with pytest.warns(RuntimeWarning, match=r"CuPy cannot be imported .* pip install 'actionstream\[cuda\]'"):
        assert not cuda.can_move(torch.zeros(1))
    assert not cuda.can_move(torch.zeros(1))  # and no second warning
    cuda.has_cupy.cache_clear()
    assert not cuda.can_move(torch.zeros(1, dtype=torch.uint8))


def test_a_cupy_that_cannot_compile_is_said_once(monkeypatch):
    def module(device):
        raise RuntimeError("CUDA_ERROR_UNSUPPORTED_PTX_VERSION")

    monkeypatch.setattr(cuda, "_module", module)
    monkeypatch.setattr(cuda, "has_cupy", lambda: True)
    cuda._builds.cache_clear()
    with pytest.warns(RuntimeWarning, match=r"CuPy cannot build .*PTX_VERSION.* install the CuPy that fits CUDA"):
        assert not cuda.can_move(torch.zeros(1))
    assert not cuda.can_move(torch.zeros(1))
    cuda._builds.cache_clear()
