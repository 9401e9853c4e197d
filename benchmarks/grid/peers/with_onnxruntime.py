"""ONNX Runtime: inference by its RNN operator. It does not train, and its loop is not ours."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.grid.peers import Contender, returns_array
from benchmarks.grid.problem import Array, Outcome, Problem

NAME = "onnxruntime"

# The first operator set whose RNN has its present attributes, and a file version it belongs to.
OPSET, IR_VERSION = 14, 8


class Library:
    """ONNX Runtime's way to do inference rows."""

    def __init__(self, threads: int) -> None:
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.inter_op_num_threads = 1

    def _session(self, problem: Problem, steps: int, output: str) -> onnxruntime.InferenceSession:
        return onnxruntime.InferenceSession(
            _model(problem, steps, output), self.options, providers=["CPUExecutionProvider"]
        )

    def step(self, problem: Problem) -> list[Contender]:
        """A model of one step with its input and state bound, the state in place."""
        session = self._session(problem, steps=1, output="Y_h")
        x = onnxruntime.OrtValue.ortvalue_from_numpy(problem.x[:1].copy())
        zero = np.zeros((1, 1, problem.row.hidden_size), np.float32)
        h = onnxruntime.OrtValue.ortvalue_from_numpy(zero.copy())
        binding = session.io_binding()
        binding.bind_ortvalue_input("X", x)
        binding.bind_ortvalue_input("h_0", h)
        binding.bind_ortvalue_output("Y_h", h)

        def call() -> None:
            session.run_with_iobinding(binding)

        def outcome() -> Outcome:
            h.update_inplace(zero)
            states = []
            for x_t in problem.x[:, None]:
                x.update_inplace(np.ascontiguousarray(x_t))
                call()
                states.append(h.numpy()[0].copy())
            return {"output": np.array(states)}

        return [Contender(NAME, "bound state", call, outcome)]

    def seq(self, problem: Problem) -> list[Contender]:
        """One run over the whole sequence."""
        session = self._session(problem, steps=len(problem.x), output="Y")
        h_0 = np.zeros((1, problem.row.batch, problem.row.hidden_size), np.float32)
        feed = {"X": problem.x, "h_0": h_0}

        def call() -> Array:
            return session.run(None, feed)[0][:, 0]

        return [Contender(NAME, "RNN operator", call, returns_array(call))]

    batch = seq


def _model(problem: Problem, steps: int, output: str) -> bytes:
    """A model of the single operator RNN, whose arrays have a leading axis for directions."""
    batch, hidden = problem.row.batch, problem.row.hidden_size
    rnn = problem.rnn
    weights = {
        "W": rnn["weight_ih_l0"][None],
        "R": rnn["weight_hh_l0"][None],
        "B": np.concatenate((rnn["bias_ih_l0"], rnn["bias_hh_l0"]))[None],
    }
    shapes = {"X": [steps, batch, problem.row.input_size], "h_0": [1, batch, hidden]}
    shape_of_output = {"Y": [steps, 1, batch, hidden], "Y_h": [1, batch, hidden]}[output]
    outputs = [output] if output == "Y" else ["", output]
    node = helper.make_node("RNN", ["X", "W", "R", "B", "", "h_0"], outputs, hidden_size=hidden)
    graph = helper.make_graph(
        [node],
        "rnn",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape_of_output)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    return model.SerializeToString()
