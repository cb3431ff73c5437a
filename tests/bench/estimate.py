# SPDX-License-Identifier: MIT
"""Medians, their intervals, and what they say about a goal.

The interval of a median is that of the order statistics (as benchstat's): it assumes nothing about the distribution.
The widest pair of ranks that still covers the median with 95 % is the binomial's; below six values no pair does, and the
interval is then the smallest and the largest value.
"""
import math
import statistics

LEVEL = 0.95
MET, MISSED, UNKNOWN = 'met', 'missed', 'unknown'


def rank(count, level=LEVEL):
    """The k for which [k-th smallest, k-th largest] covers the median with at least this level; at least 1."""
    below, best = 0.0, 1
    for k in range(1, count // 2 + 1):
        below += math.comb(count, k - 1) / 2 ** count
        if 1 - 2 * below < level:
            break
        best = k
    return best


def summary(values):
    """{"median", "low", "high"} of the values."""
    ordered = sorted(values)
    k = rank(len(ordered))
    return {'median': statistics.median(ordered), 'low': ordered[k - 1], 'high': ordered[-k]}


def ratios(ours, peer, more_is_better):
    """Round by round, oriented so that more is better; a round's sides ran next to each other."""
    return [mine / other if more_is_better else other / mine for mine, other in zip(ours, peer, strict=True)]


def apart(one, other):
    """By what part the larger exceeds the smaller: a ratio of 0.5 is as far from 1 as one of 2."""
    return max(one / other, other / one) - 1


def spread(ratio):
    """How far from 1 the interval of an A/A ratio reaches, either way: what this machine cannot tell from nothing."""
    return max(apart(ratio['low'], 1), apart(ratio['high'], 1))


def verdict(ratio, goal, noise):
    """Met or missed only where the whole interval says so and the median is further from the goal than A/A's spread, if any."""
    if noise > 0 and apart(ratio['median'], goal) <= noise:
        return UNKNOWN
    if ratio['low'] >= goal:
        return MET
    if ratio['high'] < goal:
        return MISSED
    return UNKNOWN
