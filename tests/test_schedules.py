"""The learning rate at each share of the training, by its equation."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn import CharRNN
from fastrnn.training.schedules import SCHEDULES, learning_rate

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 20


@pytest.mark.parametrize(
    ("schedule", "shares_and_rates"),
    [
        ("constant", {0: 0.4, 0.5: 0.4, 0.999: 0.4}),
        ("linear", {0: 0.4, 0.25: 0.3, 0.5: 0.2, 0.75: 0.1, 1: 0.0}),
        ("cosine", {0: 0.4, 1 / 3: 0.3, 0.5: 0.2, 2 / 3: 0.1, 1: 0.0}),
        ("step_decay", {0: 0.4, 0.333: 0.4, 1 / 3: 0.04, 0.66: 0.04, 2 / 3: 0.004, 0.99: 0.004}),
        # lr / 25 at the start; half-way up and down the means of the ends
        ("one_cycle", {0: 0.016, 0.15: 0.208, 0.3: 0.4, 0.65: 0.2000008, 1: 1.6e-6}),
    ],
)
def test_the_values_of_each_schedule(schedule: str, shares_and_rates: dict[float, float]) -> None:
    for share, rate in shares_and_rates.items():
        assert learning_rate(schedule, 0.4, share) == pytest.approx(rate, rel=1e-9, abs=1e-17)


@pytest.mark.parametrize("steps", [3, 6, 9, 12, 30, 99, 300])
def test_the_step_decay_counts_shares_that_are_computed_from_steps(steps: int) -> None:
    rates = [learning_rate("step_decay", 1.0, step / steps) for step in range(steps)]
    third = steps // 3
    assert rates == pytest.approx([1.0] * third + [0.1] * third + [0.01] * third)


def test_the_step_decay_takes_another_factor_and_another_share() -> None:
    rates = [
        learning_rate("step_decay", 1.0, share, lr_decay=0.5, lr_decay_every=0.25)
        for share in (0, 0.24, 0.25, 0.5, 0.75, 0.9)
    ]
    assert rates == [1.0, 1.0, 0.5, 0.25, 0.125, 0.125]


@pytest.mark.parametrize("schedule", sorted(set(SCHEDULES) - {"one_cycle"}))
def test_the_warm_up_multiplies_every_schedule(schedule: str) -> None:
    for done, factor in ((0.0, 0.01), (0.05, 0.25), (0.1, 0.5), (0.2, 1.0), (0.7, 1.0)):
        expected = factor * learning_rate(schedule, 0.3, done)
        assert learning_rate(schedule, 0.3, done, warmup=0.2) == pytest.approx(expected)


@given(st.sampled_from(SCHEDULES), st.floats(0, 1, exclude_max=True), st.floats(1e-6, 10))
def test_no_rate_is_negative_or_above_lr(schedule: str, done: float, lr: float) -> None:
    assert 0 <= learning_rate(schedule, lr, done) <= lr * (1 + 1e-12)


@given(st.floats(0, 1, exclude_max=True))
def test_one_cycle_is_continuous(done: float) -> None:
    near = learning_rate("one_cycle", 1.0, done + 1e-9)
    assert math.isclose(learning_rate("one_cycle", 1.0, done), near, abs_tol=1e-7)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_training_follows_the_schedule_and_its_record_says_so(schedule: str) -> None:
    model = CharRNN(hidden_size=4).fit(VERSE, steps=12, lr=0.02, schedule=schedule)
    expected = [learning_rate(schedule, 0.02, step / 12) for step in range(12)]
    assert [record["lr"] for record in model.history] == expected


def test_training_takes_the_step_decay_s_own_options() -> None:
    options = {"schedule": "step_decay", "lr_decay": 0.5, "lr_decay_every": 0.5}
    model = CharRNN(hidden_size=4).fit(VERSE, steps=4, lr=0.02, **options)
    assert [record["lr"] for record in model.history] == [0.02, 0.02, 0.01, 0.01]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr_decay": 0.5}, r"lr_decay is for schedule 'step_decay', got lr_decay=0\.5 with"),
        ({"lr_decay_every": 0.5}, "lr_decay_every is for schedule 'step_decay'"),
        ({"schedule": "step_decay", "lr_decay": 1.0}, "lr_decay must be less than 1"),
        ({"schedule": "step_decay", "lr_decay": 0}, "lr_decay must be greater than 0"),
        ({"schedule": "step_decay", "lr_decay_every": 1}, "lr_decay_every must be less than 1"),
        ({"schedule": "one_cycle", "warmup": 0.1}, "warmup must be 0 with schedule 'one_cycle'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        CharRNN(hidden_size=4).fit(VERSE, **options)
