"""Tokens are drawn as the reference draws them, and as the options say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.implementations import CELLS, LAYERS

import fastrnn
from fastrnn import _reference
from fastrnn.sampling import generate_ids

VOCABULARY = 11


def network(cell: str = "rnn", seed: int = 0) -> fastrnn.Network:
    layer = LAYERS[cell](VOCABULARY, 19, dtype=np.float64, seed=seed)
    readout = fastrnn.Linear(19, VOCABULARY, dtype=np.float64, seed=seed + 1)
    readout.weight = 4 * readout.weight
    return fastrnn.Network(layer, readout)


def generate_slowly(
    net: fastrnn.Network, prompt: list[int], length: int, seed: int, **options: float | None
) -> list[int]:
    """The same text by the reference: one layer call, one draw, one token at a time."""
    child = np.random.SeedSequence(seed).spawn(1)[0]
    numbers = np.random.Generator(np.random.PCG64(child))
    tokens: list[int] = []
    state = None
    for token in prompt[:-1]:
        _, state = net(np.array([[token]]), state)
    token = prompt[-1]
    for _ in range(length):
        y, state = net(np.array([[token]]), state)
        u = numbers.random() if options["temperature"] else 0.0
        token = _reference.sample(y[0, 0], u=u, **options)
        tokens.append(token)
    return tokens


@given(
    cell=st.sampled_from(CELLS),
    prompt=st.sampled_from([[3], [3, 1], [3, 1, 4, 1, 5]]),
    seed=st.integers(0, 1000),
    temperature=st.sampled_from([0, 0.3, 1.0, 2.5]),
    top_k=st.sampled_from([None, 1, 2, 5, VOCABULARY, 1000]),
    top_p=st.sampled_from([None, 1e-9, 0.3, 0.9, 1.0]),
)
def test_the_compiled_loop_draws_what_the_reference_draws(
    cell, prompt, seed, temperature, top_k, top_p
):
    net = network(cell, seed)
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    drawn = generate_ids(net, prompt, 30, seed=seed, **options)
    assert drawn[0].tolist() == generate_slowly(net, prompt, 30, seed, **options)


@pytest.mark.parametrize("prompt", [[5], [5, 2, 0]])
@pytest.mark.parametrize("cell", CELLS)
def test_a_sample_does_not_depend_on_its_neighbours(cell, prompt):
    net = network(cell)
    many = generate_ids(net, prompt, 40, seed=7, num_samples=5)
    assert many[0].tolist() == generate_ids(net, prompt, 40, seed=7)[0].tolist()
    assert len({tuple(row) for row in many.tolist()}) == 5


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 2e-39, 1e-307, 1e-320])
def test_a_vanishing_temperature_is_greedy(temperature: float) -> None:
    for dtype in (np.float32, np.float64):
        layer = fastrnn.RNN(VOCABULARY, 19, dtype=dtype, seed=0)
        readout = fastrnn.Linear(19, VOCABULARY, dtype=dtype, seed=1)
        readout.weight = 50 * readout.weight
        net = fastrnn.Network(layer, readout)
        greedy = generate_ids(net, [2], 30, temperature=0)
        np.testing.assert_array_equal(generate_ids(net, [2], 30, temperature=temperature), greedy)


@pytest.mark.parametrize("scale", [1e3, 1e30])
def test_large_logits_do_not_overflow(scale: float) -> None:
    net = fastrnn.Network(fastrnn.RNN(4, 8, seed=0), fastrnn.Linear(8, 4, seed=1))
    net.readout.bias = np.array([1, 2, 5, 3], np.float32) * np.float32(scale)
    assert set(generate_ids(net, [0], 20)[0].tolist()) == {2}


def test_frequencies_follow_the_softmax():
    net = network()
    y, _ = net(np.array([[2]]))
    expected = _reference.softmax(y[0, 0])
    drawn = generate_ids(net, [2], 1, seed=1, num_samples=20_000)[:, 0]
    measured = np.bincount(drawn, minlength=VOCABULARY) / drawn.size
    # Five standard errors of a frequency.
    assert np.all(np.abs(measured - expected) <= 5 * np.sqrt(expected / drawn.size) + 1e-12)


def test_top_k_keeps_the_lowest_of_equal_tokens():
    net = network()
    net.readout.weight = np.zeros_like(net.readout.weight)
    net.readout.bias = np.zeros(VOCABULARY)
    drawn = generate_ids(net, [0], 200, top_k=3, seed=0)
    assert set(drawn[0].tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"length": 0}, ValueError, "length must be between 1"),
        ({"length": 2.5}, TypeError, "length must be an integer"),
        ({"length": 2**31 - 1, "num_samples": 2**31 - 1}, MemoryError, "the generated samples"),
        ({"temperature": -1}, ValueError, "temperature must be at least 0"),
        ({"temperature": float("nan")}, ValueError, "temperature must be finite"),
        ({"top_k": 0}, ValueError, "top_k must be between 1"),
        ({"top_p": 0}, ValueError, "top_p must be greater than 0"),
        ({"top_p": 1.5}, ValueError, "top_p must be at most 1"),
        ({"num_samples": 0}, ValueError, "num_samples must be between 1"),
        ({"num_samples": 10**8}, MemoryError, "the generated samples"),
        ({"seed": -1}, ValueError, "seed must be between 0"),
        ({"seed": 1.5}, TypeError, "seed must be an integer"),
        ({"network": None}, TypeError, "network must be a Network, got None"),
        ({"prompt_ids": [[1, 2], [3]]}, ValueError, "prompt_ids cannot be read as an array"),
        ({"prompt_ids": []}, ValueError, "prompt_ids must be at least one"),
        ({"prompt_ids": [0.5]}, ValueError, "prompt_ids must be at least one integer"),
        ({"prompt_ids": [VOCABULARY]}, ValueError, "ids from 0 to 10, got 11"),
    ],
)
def test_bad_arguments_are_refused_with_a_sentence(arguments, error, message):
    given_arguments = {"network": network(), "prompt_ids": [0], "length": 5, **arguments}
    with pytest.raises(error, match=message):
        generate_ids(**given_arguments)


def test_a_network_that_does_not_map_tokens_to_tokens_is_refused():
    net = fastrnn.Network(fastrnn.RNN(4, 3), fastrnn.Linear(3, 5))
    with pytest.raises(ValueError, match="one logit per input token, got 5 outputs for 4 tokens"):
        generate_ids(net, [0], 1)
