"""A network with an embedding does what it does with the embedded vectors, and learns them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles.sweeps import DTYPES, split_small_problems
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import _threads, scoring
from fastrnn.cells import make_network
from fastrnn.layers import embedding as embedding_module
from fastrnn.sampling import generate_ids

TOKENS, FEATURES, HIDDEN = 11, 6, 9

LAYERS: dict[str, Any] = {
    "rnn": lambda **o: fastrnn.RNN(FEATURES, HIDDEN, seed=0, **o),
    "gru": lambda **o: fastrnn.GRU(FEATURES, HIDDEN, 2, bidirectional=True, seed=0, **o),
    "lstm": lambda **o: fastrnn.LSTM(FEATURES, HIDDEN, 2, seed=0, **o),
    "normalised": lambda **o: fastrnn.GRU(FEATURES, HIDDEN, layer_norm=True, seed=0, **o),
    "projected": lambda **o: fastrnn.LSTM(FEATURES, HIDDEN, proj_size=6, seed=0, **o),
    "jordan": lambda **o: fastrnn.Jordan(FEATURES, HIDDEN, TOKENS, seed=0, **o),
}


def networks(name: str, dtype: Any) -> tuple[fastrnn.Network, fastrnn.Network, Any]:
    """A network with an embedding, the same network of its vectors, and the embedding."""
    embedding = fastrnn.Embedding(TOKENS, FEATURES, dtype=dtype, seed=2)
    parts = []
    for _ in range(2):
        layer = LAYERS[name](dtype=dtype)
        readout = None
        if name != "jordan":
            readout = fastrnn.Linear(layer.output_size, TOKENS, dtype=dtype, seed=1)
        parts.append((layer, readout))
    return fastrnn.Network(*parts[0], embedding=embedding), fastrnn.Network(*parts[1]), embedding


@pytest.mark.parametrize("lengths", [None, [4, 0, 7]], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LAYERS)
def test_ids_are_what_their_vectors_are(name: str, dtype: Any, lengths: Any) -> None:
    net, plain, embedding = networks(name, dtype)
    rng = np.random.default_rng(0)
    ids, targets = rng.integers(TOKENS, size=(2, 7, 3))
    vectors = embedding(ids)
    np.testing.assert_array_equal(vectors, embedding.weight[ids])
    y, _ = net(ids, lengths=lengths)
    expected, _ = plain(vectors, lengths=lengths)
    assert_within(y, expected, rounding(dtype))

    loss, _ = net.loss_and_grad(ids, targets, lengths=lengths)
    wanted, _ = plain.loss_and_grad(vectors, targets, lengths=lengths)
    assert abs(loss - wanted) <= rounding(dtype) * wanted
    for module, other in zip(net.modules, plain.modules, strict=False):
        for parameter, grad in module.grad.items():
            assert_within(grad, other.grad[parameter], rounding(dtype))


@pytest.mark.parametrize("name", LAYERS)
def test_the_gradient_of_an_embedding_is_the_slope_of_the_loss(name: str) -> None:
    net, _, embedding = networks(name, np.float64)
    rng = np.random.default_rng(0)
    ids, targets = rng.integers(TOKENS, size=(2, 7, 3))
    net.loss_and_grad(ids, targets)
    weight, along = np.array(embedding.weight), rng.standard_normal(embedding.weight.shape)
    losses = []
    for step in (1e-6, -1e-6):
        embedding.weight = weight + step * along
        losses.append(net.loss(ids, targets)[0])
    slope = (losses[0] - losses[1]) / 2e-6
    assert abs((embedding.grad["weight"] * along).sum() - slope) < 1e-8 * max(1, abs(slope))


def test_a_tied_weight_gets_the_gradients_of_both_its_uses() -> None:
    layer = fastrnn.LSTM(HIDDEN, HIDDEN, seed=0, dtype=np.float64)
    readout = fastrnn.Linear(HIDDEN, TOKENS, seed=1, dtype=np.float64)
    tied = fastrnn.Network(layer, readout, embedding="tied")
    assert tied.modules == (layer, readout)
    assert tied.num_parameters == layer.num_parameters + readout.num_parameters
    embedding = fastrnn.Embedding(TOKENS, HIDDEN, dtype=np.float64)
    embedding.weight = readout.weight
    apart = fastrnn.Network(layer, readout, embedding=embedding)
    ids, targets = np.random.default_rng(0).integers(TOKENS, size=(2, 7, 3))
    wanted, _ = apart.loss_and_grad(ids, targets)
    both = readout.grad["weight"] + embedding.grad["weight"]
    tied.zero_grad()
    loss, _ = tied.loss_and_grad(ids, targets)
    assert loss == wanted
    assert_within(readout.grad["weight"], both, rounding(np.float64))


def test_a_changed_embedding_is_seen_at_once() -> None:
    net, _, embedding = networks("gru", np.float32)
    ids = np.arange(5)
    before, _ = net(ids)
    embedding.weight = embedding.weight * 2
    after, _ = net(ids)
    assert not np.array_equal(before, after)


@pytest.mark.parametrize("name", ["rnn", "lstm", "normalised", "projected", "jordan"])
def test_text_is_written_with_the_embedding(name: str) -> None:
    net, _, _ = networks(name, np.float64)
    text = [3, 1]
    for _ in range(10):
        text.append(int(net(np.array(text))[0][-1].argmax()))
    assert generate_ids(net, [3, 1], 10, temperature=0)[0].tolist() == text[2:]


def test_ids_out_of_range_and_floats_are_refused() -> None:
    net, _, _ = networks("gru", np.float32)
    with pytest.raises(ValueError, match="x must hold ids from 0 to 10, got 11"):
        net(np.array([[11]]))
    with pytest.raises(ValueError, match=r"x must be integer ids .* which are embedded"):
        net(np.zeros((3, 1, FEATURES), np.float32))


@pytest.mark.parametrize(
    ("embedding", "error", "message"),
    [
        ("tie", TypeError, 'embedding must be an Embedding or "tied"'),
        ("tied", ValueError, "embedding gives vectors of 9 features, .* input_size = 6"),
        (fastrnn.Embedding(3, 5), ValueError, "vectors of 5 features, .* input_size = 6"),
        (fastrnn.Embedding(3, 6, dtype=np.float64), TypeError, "embedding has dtype float64"),
    ],
)
def test_an_embedding_that_does_not_fit_is_refused(
    embedding: Any, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        fastrnn.Network(LAYERS["rnn"](), fastrnn.Linear(HIDDEN, TOKENS), embedding=embedding)


def test_an_embedding_by_itself_gathers_and_scatters() -> None:
    embedding = fastrnn.Embedding(4, 2, seed=0)
    y = embedding([[1, 3], [1, 0]])
    embedding.backward(np.ones_like(y))
    assert embedding.grad["weight"].tolist() == [[1, 1], [2, 2], [0, 0], [1, 1]]
    assert embedding([]).shape == (0, 2)
    with pytest.raises(TypeError, match="ids must hold integers"):
        embedding([0.5])
    with pytest.raises(ValueError, match="from 0 to 3, got 4"):
        embedding([4])


@pytest.mark.parametrize("name", [*LAYERS, "one_hot", "one_hot_normalised"])
def test_few_of_many_tokens_are_read_as_all_would_be(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def results(times: int) -> list[np.ndarray]:
        monkeypatch.setattr(embedding_module, "_FEW_NUMBERS", 0)
        monkeypatch.setattr(embedding_module, "_FEW_TIMES", times)
        if name.startswith("one_hot"):
            layer = fastrnn.GRU(200, HIDDEN, layer_norm=name.endswith("ed"), seed=0)
            net = fastrnn.Network(layer, fastrnn.Linear(HIDDEN, 200, seed=1))
        else:
            layer, size = LAYERS[name](), 200 if name != "jordan" else TOKENS
            readout = None if name == "jordan" else fastrnn.Linear(layer.output_size, 200, seed=1)
            of = fastrnn.Embedding(size, FEATURES, seed=2)
            net = fastrnn.Network(layer, readout, embedding=of)
        ids = np.array([[3, 7], [3, 3], [9, 7]])
        loss, _ = net.loss_and_grad(ids, ids[::-1])
        return [np.array(loss), *(np.array(g) for m in net.modules for g in m.grad.values())]

    for few, all_of_them in zip(results(0), results(10**9), strict=True):
        assert_within(few, all_of_them, rounding(np.float32))


def test_one_layer_reads_each_embedding_as_what_it_is() -> None:
    layer = fastrnn.GRU(FEATURES, HIDDEN, seed=0)
    ids = np.arange(5)
    for seed in (1, 2, 1):
        embedding = fastrnn.Embedding(TOKENS, FEATURES, seed=seed)
        net = fastrnn.Network(layer, fastrnn.Linear(HIDDEN, TOKENS, seed=3), embedding=embedding)
        expected, _ = fastrnn.Network(layer, net.readout)(embedding(ids))
        assert_within(net(ids)[0], expected, rounding(np.float32))


def test_the_state_that_a_softmax_follows_is_not_it() -> None:
    layer = fastrnn.Jordan(3, 5, 2, seed=0)
    x = np.random.default_rng(0).standard_normal((4, 2, 3)).astype(np.float32)
    _, y_n = layer(x)
    for outputs in ("all", "last"):
        _, final = fastrnn.Network(layer, output="softmax")(x, outputs=outputs)
        np.testing.assert_array_equal(final, y_n)


def test_text_of_a_layer_with_batches_first_is_that_of_any() -> None:
    def network(batch_first: bool) -> fastrnn.Network:
        layer = fastrnn.GRU(TOKENS, HIDDEN, batch_first=batch_first, seed=0)
        return fastrnn.Network(layer, fastrnn.Linear(HIDDEN, TOKENS, seed=1))

    one, other = network(False), network(True)
    prompt = [1, 2, 3, 4]
    np.testing.assert_array_equal(
        generate_ids(one, prompt, 6, num_samples=3), generate_ids(other, prompt, 6, num_samples=3)
    )
    ids = np.arange(9) % TOKENS
    parts = [np.concatenate(list(scoring.log_probs(net, ids))) for net in (one, other)]
    np.testing.assert_array_equal(*parts)


def test_a_text_has_no_probability_read_from_its_end() -> None:
    layer = fastrnn.GRU(TOKENS, HIDDEN, bidirectional=True, seed=0)
    net = fastrnn.Network(layer, fastrnn.Linear(2 * HIDDEN, TOKENS, seed=1))
    with pytest.raises(ValueError, match="bidirectional layer reads sequences from their end"):
        list(scoring.log_probs(net, np.arange(5)))


@split_small_problems
@pytest.mark.parametrize("name", LAYERS)
def test_no_more_threads_are_used_than_asked_for(name: str, monkeypatch: Any) -> None:
    net, _, _ = networks(name, np.float32)
    ids = np.arange(20).reshape(10, 2) % TOKENS
    ask, used = _threads.threads_for, []
    monkeypatch.setattr(
        _threads, "threads_for", lambda *given: used.append(ask(*given)) or used[-1]
    )
    fastrnn.set_num_threads(3)
    try:
        net.loss_and_grad(ids, ids, num_threads=1)
        assert set(used) == {1}
        net.loss_and_grad(ids, ids)
        assert max(used) > 1
    finally:
        fastrnn.set_num_threads(None)


@pytest.mark.parametrize("options", [{"proj_size": 4}, {"bidirectional": True}], ids=str)
def test_a_tied_embedding_has_the_size_of_what_the_layer_puts_out(options: Any) -> None:
    net = make_network(
        "lstm", 7, 8, 7, nonlinearity="tanh", dtype=np.float32, seed=0, tied=True, **options
    )
    assert net.layer.input_size == net.layer.output_size == net.readout.in_features
