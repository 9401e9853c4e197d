"""Which instruction set the compiled kernels use.

The choice is made once, at import: the best that the processor has, or the one that the
environment variable ``FASTRNN_ISA`` names.
"""

import os

from fastrnn._kernels cimport fr_available, fr_kernels

cdef const fr_kernels *_tables[8]
cdef int _count = fr_available(_tables, 8)


def available():
    """Return the instruction sets that this build holds and this processor runs, best last.

    Returns
    -------
    tuple of str
        Out of ``"baseline"`` (any processor), ``"x86_v3"`` (AVX2 and FMA), ``"x86_v4"``
        (AVX-512) and ``"neon"`` (64-bit Arm).

    Examples
    --------
    >>> import fastrnn.cpu
    >>> fastrnn.cpu.available()[0]
    'baseline'
    """
    return tuple(_tables[i].isa.decode() for i in range(_count))


def active():
    """Return the instruction set in use.

    Returns
    -------
    str
        One of :func:`available`.

    Examples
    --------
    >>> import fastrnn.cpu
    >>> fastrnn.cpu.active() in fastrnn.cpu.available()
    True
    """
    return table.isa.decode()


cdef const fr_kernels *_choose() except NULL:
    names = available()
    wanted = os.environ.get("FASTRNN_ISA") or names[len(names) - 1]
    known = ("baseline", "x86_v3", "x86_v4", "neon")
    if wanted not in known:
        raise ImportError(
            f"FASTRNN_ISA must be one of {', '.join(known)}, got {wanted!r}"
        )
    if wanted not in names:
        raise ImportError(
            f"FASTRNN_ISA is {wanted!r}, which this processor or build lacks; "
            f"it has {', '.join(names)}"
        )
    return _tables[names.index(wanted)]


table = _choose()
widest = _tables[_count - 1]
