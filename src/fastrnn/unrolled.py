"""The unrolled network: every step a copy of one cell, and what BPTT does to each copy.

A whole sequence is run and differentiated in one compiled loop, which leaves the sums over all
steps. Here the same compiled layer is called once for each step, so that what each step adds can be
seen; nothing repeats its equations.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn import _check, losses
from fastrnn.layers.recurrent import Recurrent
from fastrnn.network import LOSSES, Network

State = tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class Copy:
    """One step of an unrolled network, forward and backward.

    L is the sum of the losses of all steps. States are tuples of their parts, (num_layers,
    hidden_size) each: h, and of an LSTM c.

    Attributes
    ----------
    input : ndarray of shape (input_size,), or int
        x_t, or a token id.
    state_before, state : tuple of ndarray
        What the copy before hands on, and what this one hands on.
    output : ndarray of shape (output_size,)
        The layer's output, h_t of the last layer.
    prediction : ndarray of shape (out_features,)
        y_t = W_hy h_t + b_y: of cross-entropy the logits.
    loss : float
        What this step adds to L, in nats or squared units of the prediction.
    grad_prediction : ndarray of shape (out_features,)
        dL / dy_t.
    grad_output : ndarray of shape (output_size,)
        What reaches h_t from this step's own loss.
    grad_state : tuple of ndarray
        What reaches the parts of the state from all later steps.
    grad_state_before : tuple of ndarray
        What this copy hands back to the one before.
    grads : dict of str to ndarray
        What this copy adds to the gradients of the shared parameters, named as in
        :meth:`Network.state_dict`.
    """

    input: np.ndarray | int
    state_before: State
    state: State
    output: np.ndarray
    prediction: np.ndarray
    loss: float
    grad_prediction: np.ndarray
    grad_output: np.ndarray
    grad_state: State
    grad_state_before: State
    grads: dict[str, np.ndarray]


def backpropagate(
    network: Network, x: Any, target: Any, state: Any = None, *, loss: str = "cross_entropy"
) -> list[Copy]:
    """Unroll a network over one sequence and backpropagate the sum of its losses, copy by copy.

    The network's own gradients stay as they are.

    Parameters
    ----------
    network : Network
        With a read-out, a layer that reads sequences in one direction and drops nothing out, and
        no embedding.
    x : array_like
        Floats (seq_len, input_size) or token ids (seq_len,).
    target : array_like
        Token ids (seq_len,) of cross-entropy, floats (seq_len, out_features) of the squared error.
    state : array_like or tuple of array_like, optional
        The initial state, as the layer takes it for an unbatched sequence. Zero unless given.
    loss : {"cross_entropy", "mse"}
        Of each step: cross-entropy in nats, or the squared error summed over the features.

    Returns
    -------
    list of Copy
        One for each step. Their ``grads`` add up to those of :meth:`Network.loss_and_grad` with
        ``reduction="sum"``, but for rounding.

    Raises
    ------
    TypeError, ValueError
        For such a network, or as :meth:`Network.loss_and_grad` does.

    Examples
    --------
    >>> import fastrnn
    >>> from fastrnn import unrolled
    >>> net = fastrnn.Network(fastrnn.RNN(4, 3, seed=0), fastrnn.Linear(3, 4, seed=1))
    >>> copies = unrolled.backpropagate(net, [0, 1, 2], [1, 2, 3])
    >>> round(sum(copy.loss for copy in copies), 3)
    3.85
    >>> copies[0].grads["rnn.weight_hh_l0"].shape
    (3, 3)
    """
    _check.choice("loss", loss, LOSSES)
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, got {_check.describe(network)}")
    if network.readout is None or network.embedding is not None:
        raise ValueError(
            f"network must have a read-out and no embedding to be unrolled, got {network!r}"
        )
    _require_plain("network", network, network.layer)
    x = one_sequence(x, network.layer.dtype)
    start = _first_state(network.layer, state)
    network.loss(x, target, _given(start), loss=loss)  # checks x and target
    if loss == "mse":
        target = _check.floats("target", target, network.layer.dtype)
    target = np.asarray(target)
    twin = copy.deepcopy(network)
    layer, readout = twin.layer.train(), twin.readout
    assert readout is not None
    readout.train()
    states, outputs = _forward(layer, x, start)
    loss_of = losses.cross_entropy if loss == "cross_entropy" else losses.mse
    later = tuple(np.zeros_like(part) for part in states[0])
    copies: list[Copy] = []
    for t in reversed(range(len(x))):
        twin.zero_grad()
        output = outputs[t : t + 1]
        prediction = readout(output)
        value, grad_prediction = loss_of(prediction, target[t : t + 1], "sum")
        grad_output = readout.backward(grad_prediction)
        before = _step_back(layer, x[t : t + 1], states[t], grad_output, later)
        grads = {
            f"{prefix}.{name}": grad.copy()
            for prefix, module in (("rnn", layer), ("readout", readout))
            for name, grad in module.grad.items()
        }
        copies.insert(
            0,
            Copy(
                x[t] if x.ndim > 1 else int(x[t]), states[t], states[t + 1], output[0],
                prediction[0], value, grad_prediction[0], grad_output[0], later, before, grads,
            ),
        )  # fmt: skip
        later = before
    return copies


def gradient_norms(
    layer: Recurrent, x: Any, state: Any = None, *, grad_h_n: Any = None
) -> np.ndarray:
    r"""Return how large the gradient of something at the last step is, k steps before it.

    .. math:: \| \partial L / \partial s_{T-k} \|_2, \quad k = 0, …, T

    with s the whole state (h, and of an LSTM c), for an L that reads h_T alone. Where it falls like
    a power of k gradients vanish, where it grows so they explode (Y. Bengio, P. Simard and
    P. Frasconi, IEEE Trans. Neural Networks 5, 1994; R. Pascanu, T. Mikolov and Y. Bengio,
    arXiv:1211.5063).

    Parameters
    ----------
    layer : RNN or another recurrent layer
        Of one direction, that drops nothing out. Its gradients stay as they are.
    x : array_like
        Floats (seq_len, input_size) or token ids (seq_len,).
    state : array_like or tuple of array_like, optional
        The initial state, as the layer takes it for an unbatched sequence. Zero unless given.
    grad_h_n : array_like of shape (num_layers, hidden_size), optional
        dL / dh_T. The same number for every unit of the last layer, of norm 1, unless given.

    Returns
    -------
    ndarray of float64, shape (seq_len + 1,)
        The last one is of the initial state.

    Raises
    ------
    TypeError, ValueError
        For such a layer, or as it does when called.

    Examples
    --------
    >>> import numpy as np, fastrnn
    >>> from fastrnn import unrolled
    >>> layer = fastrnn.RNN(2, 8, seed=0)
    >>> norms = unrolled.gradient_norms(layer, np.ones((20, 2), np.float32))
    >>> len(norms), bool(norms[20] < norms[10] < norms[0])
    (21, True)
    """
    if not isinstance(layer, Recurrent):
        raise TypeError(f"layer must be a recurrent layer, got {_check.describe(layer)}")
    _require_plain("layer", layer, layer)
    x = one_sequence(x, layer.dtype)
    twin = copy.deepcopy(layer).train()
    states, _ = _forward(twin, x, _first_state(layer, state))
    grads = tuple(np.zeros_like(part) for part in states[0])
    if grad_h_n is None:
        grads[0][-1] = grads[0].shape[1] ** -0.5
    else:
        given = _check.floats("grad_h_n", grad_h_n, layer.dtype)
        _check.shape("grad_h_n", given, grads[0].shape)
        grads = (given, *grads[1:])
    norms = [_norm(grads)]
    for t in reversed(range(len(x))):
        grads = _step_back(twin, x[t : t + 1], states[t], None, grads)
        norms.append(_norm(grads))
    return np.array(norms)


def _require_plain(name: str, value: Any, layer: Recurrent) -> None:
    """Require a layer whose steps can be called one after the other, of an argument's ``value``."""
    if layer.bidirectional:
        raise ValueError(
            f"{name} must read sequences in one direction to be unrolled, got {value!r}"
        )
    if layer.dropout or layer.recurrent_dropout:
        raise ValueError(f"{name} must drop nothing out to be unrolled, got {value!r}")


def one_sequence(x: Any, dtype: np.dtype) -> np.ndarray:
    """Return token ids (seq_len,) or floats (seq_len, input_size)."""
    array = _check.as_array("x", x)
    if array.dtype.kind not in "iu":
        array = _check.floats("x", x, dtype)
    if array.ndim != (1 if array.dtype.kind in "iu" else 2):
        raise ValueError(
            f"x has shape {array.shape}, expected one sequence without a batch dimension"
        )
    return array


def _first_state(layer: Recurrent, state: Any) -> State:
    """Return the parts of the state before the first step, checked as the layer checks them."""
    shapes = [(layer.num_layers, size) for size in layer.state_sizes]
    if state is None:
        return tuple(np.zeros(shape, layer.dtype) for shape in shapes)
    given = _check.named_state(state, layer.state_names) or ()
    parts = []
    for (name, part), shape in zip(given, shapes, strict=True):
        array = _check.floats(name, part, layer.dtype)
        _check.shape(name, array, shape)
        parts.append(array.copy())
    return tuple(parts)


def _forward(layer: Any, x: np.ndarray, state: State) -> tuple[list[State], np.ndarray]:
    """Return the states before all steps and after the last one, and the outputs."""
    states, outputs = [state], []
    for t in range(len(x)):
        output, after = layer(x[t : t + 1], _given(states[-1]))
        outputs.append(output[0])
        states.append(_parts(after))
    return states, np.array(outputs)


def _step_back(
    layer: Any,
    x: np.ndarray,
    state_before: State,
    grad_output: np.ndarray | None,
    grad_state: State,
) -> State:
    """Backpropagate through one step; return what reaches the state before it."""
    layer(x, _given(state_before))
    _, before = layer.backward(grad_output, *grad_state)
    return _parts(before)


def _parts(state: Any) -> State:
    return state if isinstance(state, tuple) else (state,)


def _given(state: State) -> Any:
    return state if len(state) > 1 else state[0]


def _norm(parts: State) -> float:
    return float(np.sqrt(sum(np.sum(part.astype(np.float64) ** 2) for part in parts)))
