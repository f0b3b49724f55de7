"""How the C library treats freed memory."""

from __future__ import annotations

import ctypes
import sys
from os import environ

# Numbers from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_LIBC = ctypes.CDLL(None) if sys.platform.startswith("linux") else None


def give_back() -> None:
    """Return the free pages between blocks in use to the kernel, where the C library can (glibc); takes milliseconds.

    glibc itself gives back only what lies above the last block. Otherwise memory grows by most of a part each time in
    work whose parts differ in size and each leave something small behind.
    """
    trim = getattr(_LIBC, "malloc_trim", None)
    if trim is not None:
        trim(0)


def keep_freed_memory() -> None:
    """Make glibc keep large freed blocks, instead of returning them to the kernel each time.

    An embedding table's gradient is a block of 50 MB that every step allocates and frees. By default each is mapped
    anew and cleared page by page, which took a third of the processor time of a static tower's training; the peak of
    resident memory is the same to 2%. Other C libraries are left as they are, and glibc too where the environment sets
    MALLOC_MMAP_MAX_ or MALLOC_TRIM_THRESHOLD_.
    """
    if {"MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_"} & set(environ):
        return
    mallopt = getattr(_LIBC, "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
