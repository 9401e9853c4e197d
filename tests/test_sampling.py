"""Tokens are drawn as the reference draws them, and as the options say."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracles.implementations import CELLS, LAYERS

import fastrnn
from fastrnn import _reference, _team
from fastrnn.layers import steps
from fastrnn.sampling import generate_ids

VOCABULARY = 11


def network(cell: str = "rnn", seed: int = 0) -> fastrnn.Network:
    layer = LAYERS[cell](VOCABULARY, 19, dtype=np.float64, seed=seed)
    readout = fastrnn.Linear(19, VOCABULARY, dtype=np.float64, seed=seed + 1)
    readout.weight = 4 * readout.weight
    return fastrnn.Network(layer, readout)


def generate_slowly(
    net: fastrnn.Network,
    prompt: list[int],
    length: int,
    seed: int,
    repetition_window: int | None = None,
    **options: Any,
) -> list[int]:
    """The same text by the reference: one layer call, one draw, one token at a time."""
    child = np.random.SeedSequence(seed).spawn(1)[0]
    numbers = np.random.Generator(np.random.PCG64(child))
    text = list(prompt)
    state = None
    for token in prompt[:-1]:
        _, state = net(np.array([[token]]), state)
    for _ in range(length):
        y, state = net(np.array([[text[-1]]]), state)
        u = numbers.random() if options["temperature"] else 0.0
        recent = text if repetition_window is None else text[-repetition_window:]
        text.append(_reference.sample(y[0, 0], u=u, seen=recent, **options))
    return text[len(prompt) :]


@given(
    cell=st.sampled_from(CELLS),
    prompt=st.sampled_from([[3], [3, 1], [3, 1, 4, 1, 5]]),
    seed=st.integers(0, 1000),
    temperature=st.sampled_from([0, 0.3, 1.0, 2.5]),
    top_k=st.sampled_from([None, 1, 2, 5, VOCABULARY, 1000]),
    top_p=st.sampled_from([None, 1e-9, 0.3, 0.9, 1.0]),
    min_p=st.sampled_from([None, 0.0, 0.05, 0.4, 1.0]),
    repetition_penalty=st.sampled_from([1.0, 1.3, 5.0, 0.7]),
    repetition_window=st.sampled_from([None, 1, 2, 3, 7, 1000]),
)
def test_the_compiled_loop_draws_what_the_reference_draws(cell, prompt, seed, **options):
    net = network(cell, seed)
    drawn = generate_ids(net, prompt, 30, seed=seed, **options)
    assert drawn[0].tolist() == generate_slowly(net, prompt, 30, seed, **options)


@pytest.mark.parametrize("prompt", [[5], [5, 2, 0]])
@pytest.mark.parametrize("cell", CELLS)
def test_a_sample_does_not_depend_on_its_neighbours(cell, prompt):
    net = network(cell)
    many = generate_ids(net, prompt, 40, seed=7, num_samples=5)
    assert many[0].tolist() == generate_ids(net, prompt, 40, seed=7)[0].tolist()
    assert len({tuple(row) for row in many.tolist()}) == 5


@pytest.mark.usefixtures("always_split")
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", [{}, {"top_k": 3, "stop": [[1]], "repetition_penalty": 1.5}])
def test_threads_that_share_the_samples_draw_the_same(cell: str, options: dict[str, Any]) -> None:
    net = network(cell)

    def drawn(threads: int) -> list[list[int]]:
        fastrnn.set_num_threads(threads)
        try:
            return generate_ids(net, [5, 2], 40, seed=7, num_samples=50, **options).tolist()
        finally:
            fastrnn.set_num_threads(None)

    helped = _team.helped()
    assert drawn(3) == drawn(1)
    for _ in range(100):
        if _team.helped() > helped:
            return
        drawn(3)
    pytest.fail("no other thread helped in 100 calls")


@pytest.mark.parametrize("cell", CELLS)
def test_a_prompt_read_in_pieces_leads_to_the_same_tokens(
    cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, prompt = network(cell), np.arange(100) % VOCABULARY
    whole = generate_ids(net, prompt, 20)
    monkeypatch.setattr(steps, "PROMPT_STEPS", 7)
    assert generate_ids(net, prompt, 20).tolist() == whole.tolist()


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"temperature": 0}, {"top_k": 2}, {"top_p": 0.5}], ids=str)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_an_error(
    value: float, options: dict[str, Any], dtype: Any
) -> None:
    layer = fastrnn.RNN(VOCABULARY, 3, nonlinearity="relu", dtype=dtype, seed=0)
    net = fastrnn.Network(layer, fastrnn.Linear(3, VOCABULARY, dtype=dtype, seed=1))
    largest = np.finfo(dtype).max
    layer.bias_ih_l0 = np.full_like(layer.bias_ih_l0, largest)
    weight = np.zeros_like(net.readout.weight)
    if np.isnan(value):
        weight[4] = [2, -2, 0]
    else:
        weight[4 if value > 0 else slice(None)] = np.sign(value) * 2
    net.readout.weight = weight
    with pytest.raises(fastrnn.NonFiniteLossError, match=f"drawn.*{np.dtype(dtype).name}"):
        generate_ids(net, [0], 5, num_samples=2, **options)


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


PATTERNS = {
    "spread": lambda rng, size: rng.normal(0, 2, size),
    "ties": lambda rng, size: rng.integers(-2, 3, size) / 2.0,
    "equal": lambda rng, size: np.zeros(size),
    "zeros": lambda rng, size: np.where(rng.random(size) < 0.7, -1e4, rng.normal(0, 1, size)),
    "peaked": lambda rng, size: rng.normal(0, 20, size),
    "ascending": lambda rng, size: np.sort(rng.normal(0, 1, size)),
}
# Shares that no number of equal probabilities reaches exactly.
TOP_P = [1e-9, 0.12345678, 0.54321987, 0.90123456, 0.99912345, float(np.nextafter(1, 0)), 1.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(
    size=st.integers(1, 300) | st.sampled_from([1000, 6000]),
    pattern=st.sampled_from(sorted(PATTERNS)),
    top_k=st.sampled_from(["all", "one", "all but one"]) | st.integers(1, 300),
    top_p=st.sampled_from(TOP_P),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_stays_of_any_row_is_what_a_full_sort_keeps(
    dtype: Any, size: int, pattern: str, top_k: int | str, top_p: float, seed: int
) -> None:
    logits = PATTERNS[pattern](np.random.default_rng(seed), size).astype(dtype)
    named = {"all": size, "one": 1, "all but one": max(1, size - 1)}
    top_k = named[top_k] if isinstance(top_k, str) else top_k
    close = 1e-5 if dtype == np.float32 else 1e-12  # of a total: what rounding may decide

    p = np.exp(logits - logits.max(), dtype=np.float64)
    ranked = np.argsort(-p, kind="stable")[:top_k]
    reached = np.cumsum(p[ranked]) / p[ranked].sum()
    assume(not np.any((np.abs(reached - top_p) < close) & (1 - reached > close)))
    kept = np.sort(ranked[: np.count_nonzero(reached < top_p) + 1])
    cumulative = np.cumsum(p[kept]) / p[kept].sum()

    readout = fastrnn.Linear(1, size, dtype=dtype, seed=0)
    readout.weight, readout.bias = np.zeros_like(readout.weight), logits
    net = fastrnn.Network(fastrnn.RNN(size, 1, dtype=dtype, seed=0), readout)
    options: dict[str, Any] = {"top_k": top_k, "top_p": top_p, "seed": seed, "num_samples": 40}
    drawn = generate_ids(net, [0], 1, **options)[:, 0]
    for token, child in zip(drawn, np.random.SeedSequence(seed).spawn(40), strict=True):
        u = np.random.Generator(np.random.PCG64(child)).random()
        if np.abs(cumulative - u).min() > close:
            assert token == kept[np.searchsorted(cumulative, u, side="right")]


# The order of the options: penalty, temperature, top_k, top_p, min_p


def probabilities_of(*shares: float) -> fastrnn.Network:
    """A network that predicts tokens with these probabilities, whatever came before."""
    net = network()
    net.readout.weight = np.zeros_like(net.readout.weight)
    bias = np.full(VOCABULARY, -1e3)
    bias[: len(shares)] = np.log(shares)
    net.readout.bias = bias
    return net


def drawn_from(net: fastrnn.Network, prompt: int = VOCABULARY - 1, **options: Any) -> set[int]:
    return set(generate_ids(net, [prompt], 1, num_samples=400, **options)[:, 0].tolist())


def test_min_p_keeps_what_is_likely_enough_beside_the_most_likely() -> None:
    net = probabilities_of(0.1, 0.4, 0.19, 0.01, 0.3)
    assert drawn_from(net) == {0, 1, 2, 3, 4}
    assert drawn_from(net, min_p=0.2) == {0, 1, 2, 4}
    assert drawn_from(net, min_p=0.5) == {1, 4}
    assert drawn_from(net, min_p=1.0) == {1}
    assert drawn_from(net, min_p=0.0) == {0, 1, 2, 3, 4}


def test_the_temperature_applies_before_min_p() -> None:
    net = probabilities_of(0.64, 0.32, 0.04)
    assert drawn_from(net, min_p=0.2) == {0, 1}
    assert drawn_from(net, min_p=0.2, temperature=2.0) == {0, 1, 2}  # 1 : 0.71 : 0.25
    assert drawn_from(net, min_p=0.2, temperature=0.4) == {0}  # 1 : 0.18 : 0.001


def test_top_p_applies_to_what_top_k_leaves() -> None:
    net = probabilities_of(0.4, 0.25, 0.2, 0.15)
    assert drawn_from(net, top_p=0.6) == {0, 1}
    assert drawn_from(net, top_k=2, top_p=0.6) == {0}  # of 0.65, 0.4 is more than 0.6


def test_top_p_applies_before_min_p() -> None:
    net = probabilities_of(0.5, 0.2, 0.15, 0.1, 0.05)
    assert drawn_from(net, min_p=0.25) == {0, 1, 2}
    # Of the three that min_p leaves, the first two would hold 0.82.
    assert drawn_from(net, min_p=0.25, top_p=0.82) == {0, 1, 2}


def test_the_penalty_applies_to_the_logits_before_the_temperature() -> None:
    net = probabilities_of(1.0)
    bias = np.full(VOCABULARY, -1e3)
    bias[:3] = 2.0, 1.5, -0.5
    net.readout.bias = bias
    # 2 / 1.6 = 1.25 is below 1.5; of the logits divided by 0.1, 20 / 1.6 would be, too, but
    # 1.5 is then ahead of it by more than 2.4.
    assert drawn_from(net, 0, temperature=0.1, repetition_penalty=1.6, min_p=0.2) == {1}
    assert drawn_from(net, 0, temperature=0, repetition_penalty=1.6) == {1}
    assert drawn_from(net, 0, temperature=0, repetition_penalty=1.3) == {0}
    assert drawn_from(net, 2, temperature=0, repetition_penalty=1.6) == {0}


def test_a_negative_logit_is_penalised_as_a_positive_one() -> None:
    net = probabilities_of(1.0)
    net.readout.bias = np.concatenate([[-1.0, -1.2], np.full(VOCABULARY - 2, -1e3)])
    assert drawn_from(net, 0, temperature=0) == {0}
    assert drawn_from(net, 0, temperature=0, repetition_penalty=1.3) == {1}
    assert drawn_from(net, 1, temperature=0, repetition_penalty=0.7) == {1}


def test_the_penalty_counts_the_prompt_and_what_was_drawn_within_the_window() -> None:
    net = probabilities_of(*[1.0] * VOCABULARY)  # equal: the lowest id that was not seen is next
    net.readout.bias = np.ones(VOCABULARY)
    options: dict[str, Any] = {"temperature": 0, "repetition_penalty": 2.0}
    assert generate_ids(net, [1, 0], 5, **options).tolist() == [[2, 3, 4, 5, 6]]
    drawn = generate_ids(net, [1, 0], 6, repetition_window=2, **options)
    assert drawn.tolist() == [[2, 1, 0, 2, 1, 0]]
    drawn = generate_ids(net, [1, 0], 4, repetition_window=1, **options)
    assert drawn.tolist() == [[1, 0, 1, 0]]


def test_samples_are_penalised_each_for_its_own_text() -> None:
    net = network()
    options: dict[str, Any] = {"seed": 7, "repetition_penalty": 3.0, "repetition_window": 5}
    many = generate_ids(net, [5, 2, 0], 40, num_samples=5, **options)
    assert many[0].tolist() == generate_ids(net, [5, 2, 0], 40, **options)[0].tolist()
    assert len({tuple(row) for row in many.tolist()}) == 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("penalty", [1e-320, 1e-30, 1e30, 1e308])
def test_an_extreme_penalty_gives_tokens(dtype: Any, penalty: float) -> None:
    net = fastrnn.Network(
        fastrnn.RNN(VOCABULARY, 19, dtype=dtype, seed=0),
        fastrnn.Linear(19, VOCABULARY, dtype=dtype, seed=1),
    )
    net.readout.bias = net.readout.bias - 5  # all logits are negative
    drawn = generate_ids(net, [0], 30, repetition_penalty=penalty, repetition_window=3)[0]
    assert ((drawn >= 0) & (drawn < VOCABULARY)).all()
    if penalty > 1:  # no token comes again within the window
        assert all(len(set(drawn[i : i + 4].tolist())) == 4 for i in range(26))


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
        ({"min_p": -0.1}, ValueError, "min_p must be at least 0"),
        ({"min_p": 1.5}, ValueError, "min_p must be at most 1"),
        ({"repetition_penalty": 0}, ValueError, "repetition_penalty must be greater than 0"),
        ({"repetition_penalty": None}, TypeError, "repetition_penalty must be a number"),
        ({"repetition_window": 0}, ValueError, "repetition_window must be between 1"),
        ({"stop": None}, TypeError, "stop must be a list of sequences of ids, got None"),
        ({"stop": [[]]}, ValueError, "a sequence of stop must be at least one integer id"),
        ({"stop": [[VOCABULARY]]}, ValueError, "ids from 0 to 10, got 11"),
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
