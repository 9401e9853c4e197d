"""OpenVINO: inference of the same ONNX models, in float32 throughout."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import openvino

from fastrnn.bench.peers import Contender
from fastrnn.bench.peers.onnx_model import model, states
from fastrnn.bench.problem import Outcome, Problem

NAME = "openvino"


class Library:
    """OpenVINO's way to do inference rows."""

    def __init__(self, threads: int) -> None:
        self.core = openvino.Core()
        # Left to itself it computes in bfloat16 where the processor can.
        self.options = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
        }

    def _compiled(self, problem: Problem, steps: int, final_states: bool) -> Any:
        read = self.core.read_model(model(problem, steps, final_states))
        return self.core.compile_model(read, "CPU", self.options)

    def step(self, problem: Problem) -> list[Contender]:
        """Return a model of one step: two requests, each other's states, called in turn."""
        compiled = self._compiled(problem, 1, final_states=True)
        x = problem.x[:1].copy()
        zero = np.zeros((1, 1, problem.row.hidden_size), np.float32)
        names = states(problem)
        sides = [{name: zero.copy() for name in names} for _ in range(2)]
        requests = [compiled.create_infer_request() for _ in range(2)]
        for request, before, after in zip(requests, sides, sides[::-1], strict=True):
            request.set_tensor("X", openvino.Tensor(x, shared_memory=True))
            for name in names:
                request.set_tensor(f"{name}_0", openvino.Tensor(before[name], shared_memory=True))
                request.set_tensor(f"{name}_n", openvino.Tensor(after[name], shared_memory=True))
        turns = [_sharing(request) for request in requests]
        first = turns[0]

        def call() -> None:
            turns[0]()
            turns.reverse()

        def outcome() -> Outcome:
            outputs = []
            for state in sides[0].values():
                state[...] = 0
            if turns[0] is not first:
                turns.reverse()
            for t, x_t in enumerate(problem.x):
                x[0] = x_t
                call()
                outputs.append(sides[1 - t % 2]["h"][0].copy())
            return {"output": np.array(outputs)}

        return [Contender(NAME, "two requests", call, outcome)]

    def seq(self, problem: Problem) -> list[Contender]:
        """One request for the whole sequence, on memory that is shared."""
        compiled = self._compiled(problem, len(problem.x), final_states=False)
        request = compiled.create_infer_request()
        zero = np.zeros((1, problem.row.batch, problem.row.hidden_size), np.float32)
        inputs = {"X": problem.x} | {f"{name}_0": zero for name in states(problem)}
        for name, array in inputs.items():
            request.set_tensor(name, openvino.Tensor(array, shared_memory=True))
        infer = _sharing(request)

        def outcome() -> Outcome:
            assert inputs  # whose memory the request refers to
            infer()
            return {"output": request.get_tensor("Y").data[:, 0].copy()}

        return [Contender(NAME, "operator", infer, outcome)]

    batch = seq


def _sharing(request: Any) -> Callable[[], Any]:
    """Run a request without a copy of what comes out."""
    return partial(request.infer, share_outputs=True)
