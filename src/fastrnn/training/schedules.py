"""The course of the learning rate, as a function of how much of the training is done."""

from __future__ import annotations

import math

SCHEDULES = ("cosine", "linear", "constant", "step_decay", "one_cycle")

# Of the step decay, unless told otherwise: a tenth after each third.
LR_DECAY = 0.1
LR_DECAY_EVERY = 1 / 3

# Of the one-cycle schedule, as in torch.optim.lr_scheduler.OneCycleLR: the share in which the
# rate rises, what its start is divided by, and what its end is divided by once more.
_RISE = 0.3
_START_DIVISOR = 25.0
_END_DIVISOR = 1e4

# A share such as 2 / 3 that is computed from steps may fall short of itself by rounding.
_ROUNDING = 1e-9


def learning_rate(
    schedule: str,
    lr: float,
    done: float,
    warmup: float = 0.0,
    *,
    lr_decay: float = LR_DECAY,
    lr_decay_every: float = LR_DECAY_EVERY,
) -> float:
    r"""Return the learning rate where a share ``done``, in [0, 1), of the training is done.

    With p for ``done``:

    - ``"constant"``: lr;
    - ``"linear"``: lr (1 - p);
    - ``"cosine"``: lr (1 + cos(pi p)) / 2 (Loshchilov & Hutter, "SGDR", arXiv:1608.03983, without
      restarts);
    - ``"step_decay"``: lr ``lr_decay`` to the power of floor(p / ``lr_decay_every``);
    - ``"one_cycle"``: half a cosine from lr / 25 up to lr in the first 0.3 of the training and
      another down to lr / 250,000 in the rest (Smith & Topin, arXiv:1708.07120, with the shape
      and the constants of ``torch.optim.lr_scheduler.OneCycleLR``; momentum stays).

    During the first ``warmup`` of the training all are multiplied by p / ``warmup``, 0.01 at
    least.

    Examples
    --------
    >>> [round(learning_rate("cosine", 1.0, step / 4), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    >>> [round(learning_rate("linear", 1.0, step / 4, warmup=0.5), 3) for step in range(4)]
    [0.01, 0.375, 0.5, 0.25]
    >>> [round(learning_rate("step_decay", 1.0, step / 6), 3) for step in range(6)]
    [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]
    >>> [round(learning_rate("one_cycle", 1.0, step / 10), 3) for step in range(0, 10, 3)]
    [0.04, 1.0, 0.611, 0.05]
    """
    if done < warmup:
        lr *= max(0.01, done / warmup)
    if schedule == "cosine":
        return _between(lr, 0.0, done)
    if schedule == "linear":
        return lr * (1.0 - done)
    if schedule == "step_decay":
        return lr * lr_decay ** math.floor(done / lr_decay_every + _ROUNDING)
    if schedule == "one_cycle":
        start = lr / _START_DIVISOR
        if done < _RISE:
            return _between(start, lr, done / _RISE)
        return _between(lr, start / _END_DIVISOR, (done - _RISE) / (1 - _RISE))
    return lr


def _between(start: float, end: float, share: float) -> float:
    """Return what lies after this share of half a cosine from ``start`` to ``end``."""
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * share))
