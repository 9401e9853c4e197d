"""Derive the coefficients in kernels/math.h (needs NumPy and mpmath).

Lawson's method: weighted least squares on Chebyshev nodes, each weight multiplied by the
error it met, converges to the minimax fit of the relative error.

    python csrc/derive_activations.py
"""

import mpmath as mp
import numpy as np

mp.mp.dps = 40
NODES = 400


def chebyshev_nodes(low, high):
    angles = [mp.pi * (2 * i + 1) / (2 * NODES) for i in range(NODES)]
    return [low + (high - low) * (mp.cos(angle) + 1) / 2 for angle in angles]


def lawson(design, target, error, sweeps=80):
    """Solve design @ s ~ target; `error(s)` returns relative errors and the next row scale."""
    weights, scale = np.ones(len(target)), np.ones(len(target))
    best_error, best = np.inf, None
    for _ in range(sweeps):
        rows = np.sqrt(weights) * scale
        solution = np.linalg.lstsq(design * rows[:, None], target * rows, rcond=None)[0]
        errors, scale = error(solution)
        if errors.max() < best_error:
            best_error, best = errors.max(), solution.copy()
        weights = weights * (errors + 1e-30)
        weights /= weights.sum()
    return best_error, best


def tanh_rational(clamp, degree):
    """tanh(x) = x P(x^2) / Q(x^2), Q(0) = 1, P and Q of this degree, |x| <= clamp."""
    nodes = chebyshev_nodes(mp.mpf(0), clamp)
    value = np.array([float(mp.tanh(x) / x) for x in nodes])
    u = np.array([float((x / clamp) ** 2) for x in nodes])
    powers = np.stack([u**i for i in range(degree + 1)], axis=1)
    design = np.concatenate([powers, -value[:, None] * powers[:, 1:]], axis=1)

    def error(solution):
        p = powers @ solution[: degree + 1]
        q = 1 + powers[:, 1:] @ solution[degree + 1 :]
        return np.abs(p / q / value - 1), 1 / (value * q)

    bound, solution = lawson(design, value, error)
    units = [float(clamp) ** (2 * i) for i in range(degree + 1)]
    p = [s / unit for s, unit in zip(solution[: degree + 1], units, strict=True)]
    q = [1.0] + [s / unit for s, unit in zip(solution[degree + 1 :], units[1:], strict=True)]
    return bound, p, q


def exp_polynomial(degree):
    """exp(r) = 1 + r + r^2 P(r), |r| <= ln(2) / 2."""
    half = mp.log(2) / 2 * mp.mpf("1.0005")
    r = np.array([float(x) for x in chebyshev_nodes(-half, half)])
    value = np.exp(r)
    design = np.stack([r**k for k in range(2, degree + 1)], axis=1)

    def error(solution):
        return np.abs((1 + r + design @ solution) / value - 1), 1 / value

    return lawson(design, value - 1 - r, error)


def show(name, values):
    print(name, ", ".join(f"{np.float32(value)!s}f" for value in values))


if __name__ == "__main__":
    bound, p, q = tanh_rational(mp.mpf("7.98"), 4)
    print(f"tanh: relative error before rounding {bound:.2e}")
    show("P", p)
    show("Q", q)
    bound, c = exp_polynomial(6)
    print(f"exp: relative error before rounding {bound:.2e}")
    show("C", c)
    high = np.float32(float(mp.floor(mp.log(2) * 2**15) / 2**15))
    print("ln2", f"{high!s}f", f"{np.float32(float(mp.log(2) - mp.mpf(float(high))))!s}f")
