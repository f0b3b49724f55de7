"""The random streams of a batch's rows: those of `numpy.random.default_rng(words)`, without making one for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int, UInt32, UInt64

# The constants of numpy.random.SeedSequence and of PCG64 (O'Neill, HMC-CS-2014-0905).
INIT_A, MULT_A, INIT_B, MULT_B = 0x43B0D7E5, 0x931E8875, 0x8B51F9DD, 0x58F38DED
MIX_LEFT, MIX_RIGHT, SHIFT = np.uint32(0xCA01F9DD), np.uint32(0x4973F715), np.uint32(16)
PCG_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
POOL = 4


class RowStreams:
    """Hands out one generator again and again, each time at the start of another row's stream.

    Making a generator takes longer than drawing from it: numpy hashes its seed number by number. Here the seeds of
    all rows are hashed at once, and each row's stream is that of `default_rng((seed, epoch, query, stream))`.
    """

    def __init__(self, seed: int) -> None:
        self.seed = _words(seed)
        self._generator = np.random.Generator(np.random.PCG64(0))

    def each(
        self, epochs: Int[np.ndarray, " n"], queries: Int[np.ndarray, " n"], stream: int
    ) -> Iterator[np.random.Generator]:
        """Yield a generator for each row; it is good until the next one is asked for."""
        rows = [np.full(len(queries), word, np.uint32) for word in self.seed]
        rows += [epochs.astype(np.uint32), queries.astype(np.uint32)]
        rows += [np.full(len(queries), word, np.uint32) for word in _words(stream)]
        inner: dict[str, int] = {}
        state = {"bit_generator": "PCG64", "state": inner, "has_uint32": 0, "uinteger": 0}
        bits = self._generator.bit_generator
        for high, low, inc_high, inc_low in seed_states(rows).tolist():
            increment = ((inc_high << 64 | inc_low) << 1 | 1) % 2**128
            inner["inc"] = increment
            inner["state"] = ((increment + (high << 64 | low)) * PCG_MULTIPLIER + increment) % 2**128
            bits.state = state  # type: ignore[assignment]
            yield self._generator


def seed_states(words: Sequence[UInt32[np.ndarray, " n"]]) -> UInt64[np.ndarray, "n 4"]:
    """Return what `SeedSequence((word, word, ...)).generate_state(4, uint64)` is for each row of `words`."""
    entropy = np.stack([*words, *[np.zeros_like(words[0])] * (POOL - len(words))])
    constants = _Constants(INIT_A, MULT_A)
    pool = constants.hashed(entropy[:POOL])
    for source in range(POOL):
        others = [place for place in range(POOL) if place != source]
        pool[others] = _mixed(pool[others], constants.hashed(pool[[source] * (POOL - 1)]))
    for more in entropy[POOL:]:
        pool = _mixed(pool, constants.hashed(np.stack([more] * POOL)))
    halves = _Constants(INIT_B, MULT_B).hashed(np.concatenate([pool, pool])).astype(np.uint64)
    return (halves[1::2] << np.uint64(32) | halves[::2]).T


class _Constants:
    """The constant of each hash in turn: every use moves it on."""

    def __init__(self, first: int, multiplier: int) -> None:
        self.now, self.multiplier = first, multiplier

    def hashed(self, values: UInt32[np.ndarray, "m n"]) -> UInt32[np.ndarray, "m n"]:
        """Hash row after row, each with its own constant."""
        chain = [self.now]
        for _ in values:
            chain.append(chain[-1] * self.multiplier % 2**32)
        self.now = chain[-1]
        steps = np.array(chain, np.uint32)[:, None]
        found = (values ^ steps[:-1]) * steps[1:]
        return found ^ found >> SHIFT


def _mixed(left: UInt32[np.ndarray, "m n"], right: UInt32[np.ndarray, "m n"]) -> UInt32[np.ndarray, "m n"]:
    found: np.ndarray = MIX_LEFT * left - MIX_RIGHT * right
    return found ^ found >> SHIFT


def _words(number: int) -> list[int]:
    """Cut a whole number into words of 32 bits, the lowest first, as numpy does with a seed."""
    if number < 0:
        raise ValueError(f"a seed must not be negative, got {number}")
    words = [number % 2**32]
    while number := number >> 32:
        words.append(number % 2**32)
    return words
