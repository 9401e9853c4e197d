"""The page's race of cells: what is drawn, how it is scored, and what is said of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.demo.models.memory import (
    CELLS,
    HELD_OUT,
    KEEPING_BIAS,
    TASKS,
    Curve,
    Race,
    Setting,
    kept,
    verdict,
)

SMALL = {"delay": 4, "hidden_size": 8}


def run(setting: Setting) -> Race:
    race = Race(setting)
    while not race.over:
        race.update()
    race.evaluate()
    return race


def with_shares(shares: dict[str, float], **options: object) -> Race:
    """A race that was seen to end like this."""
    race = Race(Setting(cells=tuple(shares), updates=100, **SMALL))
    race.done, race.guess = 100, 0.2
    race.curves = {cell: Curve([100], [0.5], [share]) for cell, share in shares.items()}
    return race


@given(delay=st.integers(1, 40), seed=st.integers(0, 99))
def test_the_answer_stands_in_the_sequence_and_the_first_step_is_needed(
    delay: int, seed: int
) -> None:
    x, sums = TASKS["Add two numbers"].draw(np.random.default_rng(seed), delay, 9)
    assert x.shape == (delay + 2, 9, 2)
    np.testing.assert_allclose((x[..., 0] * x[..., 1]).sum(axis=0), sums[:, 0], rtol=1e-6)
    np.testing.assert_array_equal(x[..., 1].sum(axis=0), 2)
    assert (x[0, :, 1] == 1).all()
    x, symbols = TASKS["Recall the first symbol"].draw(np.random.default_rng(seed), delay, 9)
    assert x.shape == (delay + 2, 9)
    np.testing.assert_array_equal(x[0], symbols)
    assert (x[1:] >= 4).all()
    assert (x[-1] == 6).all()


@pytest.mark.parametrize("task", TASKS)
def test_every_cell_learns_a_short_task_better_than_guessing(task: str) -> None:
    race = run(Setting(task=task, updates=600, lr=1e-2, delay=2, hidden_size=16))
    for cell, curve in race.curves.items():
        assert curve.updates == [0, 600]
        assert curve.accuracies[1] > race.guess + 0.3, cell
        assert curve.losses[1] < curve.losses[0], cell
    assert "gates were not needed" in " ".join(verdict(race))


def test_accuracies_are_shares_of_held_out_sequences_that_stay_the_same() -> None:
    race = Race(Setting(**SMALL))
    shares = [curve.accuracies[0] for curve in race.curves.values()]
    assert all(share * HELD_OUT == round(share * HELD_OUT) for share in shares)
    race.evaluate()
    assert [curve.accuracies[1] for curve in race.curves.values()] == shares


def test_a_guess_is_the_best_single_answer() -> None:
    adding, recalling = TASKS.values()
    assert recalling.guess(np.array([0, 1, 1, 3])) == 0.5
    sums = np.array([[0.2], [1.0], [1.05], [1.8]])
    assert adding.guess(sums) == pytest.approx(0.5)


def test_all_cells_see_the_same_and_one_seed_gives_the_same_curves() -> None:
    setting = Setting(updates=20, **SMALL)
    together, again = run(setting), run(setting)
    for cell in CELLS:
        assert together.curves[cell] == again.curves[cell]
        alone = run(Setting(updates=20, cells=(cell,), **SMALL))
        assert alone.curves[cell] == together.curves[cell]
    assert run(Setting(updates=20, seed=1, **SMALL)).curves != together.curves


def test_weights_made_to_keep_open_the_gates_that_keep() -> None:
    race = Race(Setting(start="made to keep", **SMALL))
    for cell in ("LSTM", "GRU"):
        values = race.networks[cell].state_dict()
        bias = values["rnn.bias_ih_l0"] + values["rnn.bias_hh_l0"]
        np.testing.assert_array_equal(bias[8:16], KEEPING_BIAS)
    weight = race.networks["Elman"].state_dict()["rnn.weight_hh_l0"]
    np.testing.assert_allclose(weight @ weight.T, np.eye(8), atol=1e-5)


def test_a_learning_rate_that_is_too_large_stops_that_cell_alone() -> None:
    race = run(Setting(updates=30, lr=1e30, **SMALL))
    stopped = [curve.stopped for curve in race.curves.values()]
    assert any(stopped)
    assert all("learning rate 1e+30 is too large" in why for why in stopped if why)
    assert all(np.isfinite(curve.losses).all() for curve in race.curves.values())


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"Elman": 0.22, "LSTM": 1.0, "GRU": 0.99}, "it took gates"),
        ({"Elman": 0.22, "LSTM": 0.2, "GRU": 0.99}, "hardly better than guessing"),
        ({"Elman": 1.0, "LSTM": 1.0, "GRU": 1.0}, "gates were not needed"),
        ({"Elman": 0.95, "LSTM": 0.2, "GRU": 1.0}, "did better than cells with gates"),
        ({"Elman": 0.2, "LSTM": 0.2, "GRU": 0.2}, "Nobody found it"),
        ({"Elman": 0.6, "LSTM": 0.2}, "remembered something, and not enough"),
        ({"Elman": 0.95}, "The Elman network remembered."),
    ],
)
def test_what_is_said_follows_from_what_was_seen(shares: dict[str, float], said: str) -> None:
    words = " ".join(verdict(with_shares(shares)))
    assert said in words
    for share in shares.values():
        assert f"{share:.0%}" in words
    others = {"it took gates", "not needed", "did better", "Nobody"} - {
        key for key in ("it took gates", "not needed", "did better", "Nobody") if key in said
    }
    assert not [other for other in others if other in words]


def test_nothing_is_said_before_anything_was_learned() -> None:
    assert verdict(Race(Setting(**SMALL))) == []


def test_a_verdict_names_the_task_and_the_steps_in_between() -> None:
    race = with_shares({"GRU": 0.95})
    assert "After 100 updates of “Add two numbers” with 4 steps in between" in verdict(race)[0]
    race.done = 1
    race.setting = Setting(task="Recall the first symbol", delay=1)
    assert "After 1 update of “Recall the first symbol” with 1 step in" in verdict(race)[0]


def test_no_verdict_is_given_while_the_race_is_on() -> None:
    race = with_shares({"Elman": 0.2, "LSTM": 0.95, "GRU": 0.2})
    assert len(verdict(race)) > 1
    race.done = 99
    (said,) = verdict(race)
    assert said.startswith("After 99 updates")
    race.curves["GRU"].stopped = "At update 7 it stopped."
    assert verdict(race)[1:] == ["GRU: At update 7 it stopped."]


def test_a_cell_that_stopped_is_not_said_to_have_had_all_updates_nor_judged() -> None:
    race = with_shares({"Elman": 0.2, "LSTM": 0.15, "GRU": 0.2})
    race.curves["LSTM"] = Curve([0, 2], [0.5, 0.5], [0.1, 0.15], "At update 3 it stopped.")
    said, *rest = verdict(race)
    assert "the LSTM 15% (as of update 2)" in said
    assert "the Elman network 20%," in said
    assert rest == [
        "The Elman network and the GRU did hardly better than guessing, and did not learn to keep "
        "what would be needed.",
        "LSTM: At update 3 it stopped.",
    ]


def test_a_race_is_over_when_no_cell_goes_on() -> None:
    race = run(Setting(updates=30, lr=1e30, cells=("Elman",), **SMALL))
    assert race.over
    assert race.done < 30
    assert not Race(Setting(**SMALL)).over
    assert run(Setting(updates=3, **SMALL)).over


def test_only_a_cell_that_learned_and_whose_gradient_grew_is_said_to_have_kept_more() -> None:
    race = with_shares({"Elman": 0.2, "LSTM": 0.95, "GRU": 1.0})
    before = dict.fromkeys(race.curves, 0.1)
    assert kept(race, before, {"Elman": 0.9, "LSTM": 0.9, "GRU": 0.05}).endswith(
        "It grew in the LSTM, which learned to keep."
    )
    for after in (0.05, np.nan):
        assert "grew" not in kept(race, before, dict.fromkeys(race.curves, after))
