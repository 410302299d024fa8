"""Student's t distribution, in closed form: what intervals and tests need of it, without scipy."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_STEPS = 500
_SMALLEST = 1e-300
_MANY = 1e5
"""Degrees of freedom from which t is computed from the normal distribution, to 9 digits and more."""


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), from 0 to 1, to about 12 digits.

    By its continued fraction: Lentz's algorithm on DLMF 8.17.22 (https://dlmf.nist.gov/8.17#E22), on the side where it
    converges quickly. Raises ValueError outside a, b > 0 and 0 <= x <= 1.
    """
    if not (a > 0 and b > 0 and 0 <= x <= 1):
        raise ValueError("a and b must be above 0, x from 0 to 1")
    if x in (0, 1):
        return float(x)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    front = math.exp(
        a * math.log(x) + b * math.log1p(-x) - math.log(a) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    )
    return front / _continued_fraction(a, b, x)


def _continued_fraction(a: float, b: float, x: float) -> float:
    value, numerator, denominator = 1.0, 1.0, 0.0
    for step in range(1, _STEPS):
        half = step // 2
        if step % 2:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        denominator = 1 / _not_zero(1 + term * denominator)
        numerator = _not_zero(1 + term / numerator)
        value *= numerator * denominator
        if abs(numerator * denominator - 1) < 1e-15:
            break
    return value


def _not_zero(number: float) -> float:
    return number if abs(number) > _SMALLEST else _SMALLEST


def t_two_sided(t: float, degrees: float) -> float:
    """The chance that |T| is at least |t|: a two-sided p-value. degrees: of freedom, above 0, whole or not."""
    if math.isinf(t):
        return 0.0
    if degrees >= _MANY:  # Abramowitz and Stegun, 26.7.8
        z = t * (1 - 1 / (4 * degrees)) / math.sqrt(1 + t * t / (2 * degrees))
        return math.erfc(abs(z) / math.sqrt(2))
    square = t * t
    if square < 1:  # so that no digits are lost where t is small
        return 1 - incomplete_beta(0.5, degrees / 2, square / (degrees + square))
    return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + square))


@lru_cache(maxsize=4096)
def t_quantile(share: float, degrees: float) -> float:
    """The t that this share of Student's distribution lies below. share: above 0 and below 1.

    Newton's steps, or halves of what is left where a step would leave it, from the expansion of Abramowitz and Stegun,
    26.7.5.
    """
    if not (0 < share < 1 and degrees > 0):
        raise ValueError("the share must be above 0 and below 1, and there must be degrees of freedom")
    if share == 0.5:
        return 0.0
    if share < 0.5:
        return -t_quantile(1 - share, degrees)
    z = NormalDist().inv_cdf(share)
    found = z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
    if degrees >= _MANY:
        return found
    outside = 2 * (1 - share)
    low, high = 0.0, max(1.0, found)
    while t_two_sided(high, degrees) > outside:
        low, high = high, high * 2
    for _ in range(100):
        off = t_two_sided(found, degrees) - outside
        low, high = (found, high) if off > 0 else (low, found)
        closer = found + off / (2 * _t_density(found, degrees))
        if not low < closer < high:
            closer = (low + high) / 2
        if abs(closer - found) <= 1e-14 * found:
            return closer
        found = closer
    return found


def _t_density(t: float, degrees: float) -> float:
    front = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - math.log(degrees * math.pi) / 2
    return math.exp(front - (degrees + 1) / 2 * math.log1p(t * t / degrees))
