"""The peak speed of the CPU: a matrix product, in float32 and in int8."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

SIZE = 512  # of both matrices: they fit into a cache together
MULTIPLY_ADDS = SIZE**3


def matrix_product(*, int8: bool, num_threads: int) -> Callable[[], object]:
    """A function that multiplies two SIZE x SIZE matrices in ONNX Runtime: MULTIPLY_ADDS multiply-adds a call."""
    rng = np.random.default_rng(0)
    if int8:
        operator, given, taken, made = "MatMulInteger", TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32
        left = rng.integers(0, 255, (SIZE, SIZE), np.uint8)
        right = rng.integers(-100, 100, (SIZE, SIZE), np.int8)
    else:
        operator, given, taken, made = "MatMul", *[TensorProto.FLOAT] * 3
        left, right = (rng.standard_normal((SIZE, SIZE), np.float32) for _ in "12")
    graph = helper.make_graph(
        [helper.make_node(operator, ["left", "right"], ["product"])],
        "product",
        [helper.make_tensor_value_info("left", given, [SIZE, SIZE])],
        [helper.make_tensor_value_info("product", made, [SIZE, SIZE])],
        [helper.make_tensor("right", taken, [SIZE, SIZE], right.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"left": left})
