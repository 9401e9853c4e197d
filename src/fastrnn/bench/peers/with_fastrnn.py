"""fastrnn through its public interface."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import fastrnn
from fastrnn import layers
from fastrnn.bench.peers import Contender
from fastrnn.bench.problem import Outcome, Problem
from fastrnn.layers import Linear
from fastrnn.network import Network
from fastrnn.sampling import generate_ids

NAME = "fastrnn"


def _layer(problem: Problem) -> Any:
    layer = getattr(layers, problem.row.cell)(problem.row.input_size, problem.row.hidden_size)
    layer.load_state_dict(problem.layer)
    return layer.eval()


def _network(problem: Problem) -> Network:
    readout = Linear(problem.row.hidden_size, len(problem.readout["bias"]))
    readout.load_state_dict(problem.readout)
    return Network(_layer(problem).train(), readout)


class Library:
    """fastrnn's way to do each kind of row."""

    def __init__(self, threads: int) -> None:
        fastrnn.set_num_threads(threads)

    def step(self, problem: Problem) -> list[Contender]:
        """Return one call of a stream per step."""
        stream = _layer(problem).stream()

        def outcome() -> Outcome:
            stream.reset()
            return {"output": np.array([stream.step(x_t).copy() for x_t in problem.x])}

        return [Contender(NAME, "stream", partial(stream.step, problem.x[0, 0]), outcome)]

    def seq(self, problem: Problem) -> list[Contender]:
        """Return the layer called on whole sequences, keeping nothing for a backward pass."""
        layer = _layer(problem)
        return [
            Contender(
                NAME,
                "layer",
                partial(layer, problem.x),
                lambda: {"output": layer(problem.x)[0]},
            )
        ]

    batch = seq

    def train(self, problem: Problem) -> list[Contender]:
        """Loss and gradients, the weights packed anew as after an optimizer's step."""
        network = _network(problem)
        layer, readout = network.modules

        def call() -> float:
            network.zero_grad()
            network.invalidate()
            loss, _ = network.loss_and_grad(problem.ids, problem.targets)
            return loss

        def outcome() -> Outcome:
            loss = call()
            return {
                "loss": np.asarray(loss),
                **{name: grad.copy() for name, grad in layer.grad.items()},
                **{name: grad.copy() for name, grad in readout.grad.items()},
            }

        return [Contender(NAME, "loss_and_grad", call, outcome)]

    def gen(self, problem: Problem) -> list[Contender]:
        """`generate_ids`, the whole loop in one call."""
        network = _network(problem)
        prompt = np.zeros(1, dtype=np.int64)
        call = partial(generate_ids, network, prompt, problem.row.steps, temperature=1.0)
        return [Contender(NAME, "generate_ids", call, lambda: {"ids": call()[0]})]
