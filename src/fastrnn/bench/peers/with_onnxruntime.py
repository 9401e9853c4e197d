"""ONNX Runtime: inference by its recurrent operators. It has no training and no generation."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from fastrnn.bench.peers import Contender
from fastrnn.bench.peers.onnx_model import model, states
from fastrnn.bench.problem import Outcome, Problem

NAME = "onnxruntime"


class Library:
    """ONNX Runtime's way to do inference rows."""

    def __init__(self, threads: int) -> None:
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.inter_op_num_threads = 1

    def _session(self, problem: Problem, steps: int, final_states: bool) -> Any:
        return onnxruntime.InferenceSession(
            model(problem, steps, final_states), self.options, providers=["CPUExecutionProvider"]
        )

    def step(self, problem: Problem) -> list[Contender]:
        """Return a model of one step with its input and states bound, the states in place."""
        session = self._session(problem, 1, final_states=True)
        x = onnxruntime.OrtValue.ortvalue_from_numpy(problem.x[:1].copy())
        zero = np.zeros((1, 1, problem.row.hidden_size), np.float32)
        carried = {
            name: onnxruntime.OrtValue.ortvalue_from_numpy(zero.copy()) for name in states(problem)
        }
        binding = session.io_binding()
        binding.bind_ortvalue_input("X", x)
        for name, state in carried.items():
            binding.bind_ortvalue_input(f"{name}_0", state)
            binding.bind_ortvalue_output(f"{name}_n", state)

        def call() -> None:
            session.run_with_iobinding(binding)

        def outcome() -> Outcome:
            for state in carried.values():
                state.update_inplace(zero)
            outputs = []
            for x_t in problem.x[:, None]:
                x.update_inplace(np.ascontiguousarray(x_t))
                call()
                outputs.append(carried["h"].numpy()[0].copy())
            return {"output": np.array(outputs)}

        return [Contender(NAME, "bound state", call, outcome)]

    def seq(self, problem: Problem) -> list[Contender]:
        """One run over the whole sequence, on arrays that are bound to the session."""
        session = self._session(problem, len(problem.x), final_states=False)
        steps, batch, hidden = len(problem.x), problem.row.batch, problem.row.hidden_size
        zero = np.zeros((1, batch, hidden), np.float32)
        arrays = {"X": problem.x, "Y": np.empty((steps, 1, batch, hidden), np.float32)}
        arrays |= {f"{name}_0": zero for name in states(problem)}
        # The binding refers to their memory and does not keep it.
        bound = {k: onnxruntime.OrtValue.ortvalue_from_numpy(v) for k, v in arrays.items()}
        binding = session.io_binding()
        for name, value in bound.items():
            if name == "Y":
                binding.bind_ortvalue_output(name, value)
            else:
                binding.bind_ortvalue_input(name, value)

        def call() -> None:
            session.run_with_iobinding(binding)

        def outcome() -> Outcome:
            call()
            return {"output": bound["Y"].numpy()[:, 0]}

        return [Contender(NAME, "bound output", call, outcome)]

    batch = seq
