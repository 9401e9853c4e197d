"""Two networks small enough to work by hand, through the reference and through the public API."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pytest
from tolerances import assert_prints

import fastrnn
from fastrnn import _reference as reference

Arrays = dict[str, np.ndarray]

# One hidden unit reads "hi there class !" and must say the next word; "!" follows "!".
# The vocabulary is hi, there, class, !.
INPUTS = np.array([[0], [1], [2], [3]])
TARGETS = np.array([[1], [2], [3], [3]])
WEIGHT_IH = np.array([[0.5, -0.3, 0.8, 0.0]])
WEIGHT_HH = np.array([[0.2]])
WEIGHT_HY = np.array([[1.0], [0.5], [-0.5], [0.0]])

STATES = [0.46211715726, -0.20464571679, 0.64052935083, 0.12740965341]
LOSSES = [1.30388362482, 1.23934412298, 1.60962473937, 1.42068175830]
LOSS = 5.57353424547

GRADIENTS = {
    "weight_hy": ([0.39245801, -0.17572493, 0.34627310, -0.56300617], 8),
    "weight_hh": ([0.45209451101], 11),
    "weight_ih": ([0.02760947351, 0.71417873648, 0.29579323155, 0.28506590868], 11),
    "bias_h": ([1.32264735], 8),
    "bias_y": ([1.20887057, 0.04034462, -0.16760479, -1.08161039], 8),
}
AFTER_ONE_STEP = {
    "weight_hy": ([0.96075420, 0.51757249, -0.53462731, 0.05630062], 8),
    "weight_hh": ([0.1547905489], 10),
    "weight_ih": ([0.49723905, -0.37141787, 0.77042068, -0.02850659], 8),
}


class ScalarNetwork(Protocol):
    """The network of the first example, with a single hidden bias, under the sum of the losses."""

    def states(self) -> np.ndarray: ...
    def losses(self) -> list[float]: ...
    def loss_and_gradients(self) -> tuple[float, Arrays]: ...
    def step(self, lr: float) -> None: ...
    def parameters(self) -> Arrays: ...


class ReferenceNetwork:
    def __init__(self) -> None:
        self._parameters = {
            "weight_ih": WEIGHT_IH,
            "weight_hh": WEIGHT_HH,
            "bias_h": np.zeros(1),
            "weight_hy": WEIGHT_HY,
            "bias_y": np.zeros(4),
        }

    def parameters(self) -> Arrays:
        return self._parameters

    def _forward(self) -> tuple[np.ndarray, np.ndarray]:
        p = self._parameters
        h = reference.rnn_forward(
            INPUTS,
            np.zeros((1, 1)),
            p["weight_ih"],
            p["weight_hh"],
            p["bias_h"],
            np.zeros(1),
            "tanh",
        )
        return h, reference.linear_forward(h[1:], p["weight_hy"], p["bias_y"])

    def states(self) -> np.ndarray:
        return self._forward()[0][1:].ravel()

    def losses(self) -> list[float]:
        _, logits = self._forward()
        pairs = zip(logits, TARGETS, strict=True)
        return [reference.cross_entropy(z, target, "sum")[0] for z, target in pairs]

    def loss_and_gradients(self) -> tuple[float, Arrays]:
        p = self._parameters
        h, logits = self._forward()
        loss, grad_logits = reference.cross_entropy(logits, TARGETS, "sum")
        readout = reference.linear_backward(h[1:], p["weight_hy"], grad_logits)
        rnn = reference.rnn_backward(
            INPUTS, h, p["weight_ih"], p["weight_hh"], "tanh", readout["x"]
        )
        return loss, {
            "weight_ih": rnn["weight_ih"],
            "weight_hh": rnn["weight_hh"],
            "bias_h": rnn["bias_ih"],
            "weight_hy": readout["weight"],
            "bias_y": readout["bias"],
        }

    def step(self, lr: float) -> None:
        _, gradients = self.loss_and_gradients()
        self._parameters = {
            name: reference.sgd_step(value, gradients[name], {}, lr=lr)
            for name, value in self._parameters.items()
        }


class CompiledNetwork:
    """``bias_hh_l0`` plays the hidden bias; ``bias_ih_l0`` stays zero and is never trained."""

    def __init__(self) -> None:
        self.layer = fastrnn.RNN(4, 1, dtype=np.float64)
        self.readout = fastrnn.Linear(1, 4, dtype=np.float64)
        self.layer.load_state_dict(
            {
                "weight_ih_l0": WEIGHT_IH,
                "weight_hh_l0": WEIGHT_HH,
                "bias_ih_l0": np.zeros(1),
                "bias_hh_l0": np.zeros(1),
            }
        )
        self.readout.load_state_dict({"weight": WEIGHT_HY, "bias": np.zeros(4)})
        self.network = fastrnn.Network(self.layer, self.readout)

    def parameters(self) -> Arrays:
        rnn, readout = self.layer.state_dict(), self.readout.state_dict()
        return self._named(rnn, readout)

    @staticmethod
    def _named(rnn: Arrays, readout: Arrays) -> Arrays:
        return {
            "weight_ih": rnn["weight_ih_l0"],
            "weight_hh": rnn["weight_hh_l0"],
            "bias_h": rnn["bias_hh_l0"],
            "weight_hy": readout["weight"],
            "bias_y": readout["bias"],
        }

    def states(self) -> np.ndarray:
        output, _ = self.layer(INPUTS)
        return np.ravel(output)

    def losses(self) -> list[float]:
        logits, _ = self.network(INPUTS)
        pairs = zip(logits, TARGETS, strict=True)
        return [fastrnn.losses.cross_entropy(z, target, "sum")[0] for z, target in pairs]

    def loss_and_gradients(self) -> tuple[float, Arrays]:
        self.network.zero_grad()
        loss, _ = self.network.loss_and_grad(INPUTS, TARGETS, reduction="sum")
        gradients = self._named(dict(self.layer.grad), dict(self.readout.grad))
        return loss, {name: np.array(value) for name, value in gradients.items()}

    def step(self, lr: float) -> None:
        self.loss_and_gradients()
        self.layer.grad["bias_ih_l0"][...] = 0
        fastrnn.optim.SGD(self.network.modules, lr=lr).step()


@pytest.fixture(params=[ReferenceNetwork, CompiledNetwork], ids=["reference", "compiled"])
def network(request: pytest.FixtureRequest) -> ScalarNetwork:
    return request.param()


def check_printed(actual: Arrays, expected: dict[str, tuple[list[float], int]]) -> None:
    for name, (values, decimals) in expected.items():
        assert_prints(np.ravel(actual[name]), values, decimals)


def test_the_hidden_states_are_the_hand_worked_ones(network: ScalarNetwork) -> None:
    assert_prints(network.states(), STATES, 11)


def test_the_loss_of_every_step_is_the_hand_worked_one(network: ScalarNetwork) -> None:
    assert_prints(network.losses(), LOSSES, 11)


def test_the_summed_loss_and_its_gradients_are_the_hand_worked_ones(
    network: ScalarNetwork,
) -> None:
    loss, gradients = network.loss_and_gradients()
    assert_prints(loss, LOSS, 11)
    check_printed(gradients, GRADIENTS)


def test_one_descent_step_gives_the_hand_worked_weights(network: ScalarNetwork) -> None:
    network.step(lr=0.1)
    check_printed(network.parameters(), AFTER_ONE_STEP)


def test_the_loss_falls_at_each_of_twenty_more_steps(network: ScalarNetwork) -> None:
    network.step(lr=0.1)
    losses = [network.loss_and_gradients()[0]]
    for _ in range(20):
        network.step(lr=0.1)
        losses.append(network.loss_and_gradients()[0])
    assert losses[0] < LOSS
    assert np.all(np.diff(losses) < 0)


# Two hidden units read "hi there". The columns of W_ih for words that do not occur hold a number
# that would show if it were used.
UNUSED = 9.0
TWO_UNITS = {
    "weight_ih_l0": np.array([[0.5, 0.1, UNUSED, UNUSED], [-0.2, 0.8, UNUSED, UNUSED]]),
    "weight_hh_l0": np.array([[0.3, 0.4], [0.6, -0.1]]),
    "bias_ih_l0": np.array([0.1, 0.1]),
    "bias_hh_l0": np.zeros(2),
}
TWO_UNITS_READOUT = {
    "weight": np.array([[0.1, 0.7], [-0.3, 0.2], [0.5, 0.4], [-0.6, -0.1]]),
    "bias": np.zeros(4),
}
HI_THERE = np.array([[0], [1]])
TWO_STATES = [[0.53704957, -0.09966799], [0.31063464, 0.84321528]]
TWO_LOGITS = [0.62131416, 0.07545266, 0.49260343, -0.27070231]
TWO_SOFTMAX = [0.34862650, 0.20197414, 0.30652228, 0.14287708]


def test_two_units_of_the_reference_give_the_hand_worked_numbers() -> None:
    h = reference.rnn_forward(HI_THERE, np.zeros((1, 2)), *TWO_UNITS.values(), "tanh")
    logits = reference.linear_forward(h[1:], **TWO_UNITS_READOUT)
    assert_prints(h[1:, 0], TWO_STATES, 8)
    assert_prints(logits[-1, 0], TWO_LOGITS, 8)
    assert_prints(reference.softmax(logits[-1, 0]), TWO_SOFTMAX, 8)


@pytest.mark.parametrize("x", [HI_THERE, np.eye(4)[HI_THERE]], ids=["ids", "one_hot"])
def test_two_compiled_units_give_the_hand_worked_numbers(x: np.ndarray) -> None:
    layer = fastrnn.RNN(4, 2, dtype=np.float64)
    layer.load_state_dict(TWO_UNITS)
    readout = fastrnn.Linear(2, 4, dtype=np.float64)
    readout.load_state_dict(TWO_UNITS_READOUT)

    output, h_n = layer(x)
    assert_prints(output[:, 0], TWO_STATES, 8)
    assert_prints(h_n[0, 0], TWO_STATES[-1], 8)
    logits, _ = fastrnn.Network(layer, readout)(x, outputs="last")
    assert_prints(logits[0], TWO_LOGITS, 8)
    probabilities, _ = fastrnn.Network(layer, readout, output="softmax")(x, outputs="last")
    assert_prints(probabilities[0], TWO_SOFTMAX, 8)
