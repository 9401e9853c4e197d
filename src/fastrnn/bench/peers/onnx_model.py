"""One recurrent operator as an ONNX model, for the libraries that run those."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from fastrnn.bench.peers.gates import ONNX, ORDER, reordered
from fastrnn.bench.problem import Array, Problem

# The first operator set whose cells have their present attributes, and a file version for it.
OPSET, IR_VERSION = 14, 8


def states(problem: Problem) -> list[str]:
    """Return the names of the states that the cell carries: "h", and "c" for an LSTM."""
    return ["h", "c"] if problem.row.cell == "LSTM" else ["h"]


def model(problem: Problem, steps: int, final_states: bool) -> bytes:
    """Return a model of the layer, whose arrays have a leading axis for directions.

    Inputs are "X" and the states before, "h_0" and "c_0"; outputs "Y", the states of all steps, or
    with ``final_states`` those after the last, "h_n" and "c_n".
    """
    row = problem.row
    carried = states(problem)
    state_shape = [1, row.batch, row.hidden_size]
    inputs = {"X": [steps, row.batch, row.input_size]}
    inputs |= {f"{name}_0": state_shape for name in carried}
    if final_states:
        outputs = {f"{name}_n": state_shape for name in carried}
        named_outputs = ["", *outputs]
    else:
        outputs = {"Y": [steps, 1, row.batch, row.hidden_size]}
        named_outputs = ["Y"]
    # As PyTorch does, r multiplies W_hn h + b_hn and not h.
    options = {"linear_before_reset": 1} if row.cell == "GRU" else {}
    node = helper.make_node(
        row.cell,
        ["X", "W", "R", "B", "", *(f"{name}_0" for name in carried)],
        named_outputs,
        hidden_size=row.hidden_size,
        **options,
    )
    graph = helper.make_graph(
        [node],
        "layer",
        [_info(name, shape) for name, shape in inputs.items()],
        [_info(name, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in _weights(problem).items()],
    )
    opset = helper.make_opsetid("", OPSET)
    made = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    return bytes(made.SerializeToString())


def _info(name: str, shape: list[int]) -> object:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _weights(problem: Problem) -> dict[str, Array]:
    cell = problem.row.cell
    weight_ih, weight_hh, bias_ih, bias_hh = (
        reordered(array, ORDER[cell], ONNX[cell]) for array in problem.layer.values()
    )
    return {
        "W": weight_ih[None],
        "R": weight_hh[None],
        "B": np.concatenate((bias_ih, bias_hh))[None],
    }
