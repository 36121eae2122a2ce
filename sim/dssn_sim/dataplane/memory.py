"""Tables by address: how compiled code reaches the solver's arrays.

A numpy array handed to compiled code costs an unpacking per call and a reference count per use; the
solver has two dozen. So the compiled side gets one number instead, the address of a short table
that holds the address of each array (``layout.State`` keeps both alive). The functions here turn
an entry of that table into an array without owner; LLVM reduces them to one load.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dssn_sim.dataplane import layout
from dssn_sim.dataplane.compiled import lazy

__all__ = [
    "CAPS",
    "DIRTY",
    "DLINKS",
    "ENDED",
    "ENDS",
    "FHEAP",
    "FKEY",
    "FLOWS",
    "FPOS",
    "FREE_LEGS",
    "GROUP",
    "LEGS",
    "LINKS",
    "MARKS",
    "MISC",
    "NODES",
    "NODE_OF",
    "ORDER",
    "PAIRS",
    "TABLE",
    "THEAP",
    "TKEY",
    "TOPS",
    "TOUCHED",
    "TPOS",
    "array_at",
    "bytes_at",
    "floats_at",
    "ints_at",
]

_MANY = 1 << 40  # arrays have no length here; the caller keeps within the tables


def array_at(dtype: Any, offset: int | None = None) -> Any:
    """Return the function (for compiled code) that turns an address into an array without owner.

    With an ``offset`` the address is that of a table, and the array's own address stands there.
    """
    return lazy(lambda: _array_at(np.dtype(dtype), offset))


def _array_at(dtype: np.dtype[Any], offset: int | None) -> Any:
    import numba
    from llvmlite import ir  # type: ignore[import-untyped]
    from numba.core import types
    from numba.extending import intrinsic

    kind = types.Array(numba.from_dtype(dtype), 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(64)
        where = args[0]
        if offset is not None:
            slot = builder.add(where, ir.Constant(word, offset))
            where = builder.load(builder.inttoptr(slot, word.as_pointer()))
        array = context.make_array(kind)(context, builder)
        context.populate_array(
            array,
            data=builder.inttoptr(where, array.data.type),
            shape=[ir.Constant(word, _MANY)],
            strides=[ir.Constant(word, dtype.itemsize)],
            itemsize=ir.Constant(word, dtype.itemsize),
            meminfo=None,
        )
        return array._getvalue()

    def array_at(typing: Any, address: Any) -> Any:
        return kind(types.int64), codegen

    return intrinsic(array_at)


def _table(name: str, dtype: Any) -> Any:
    """Return the function that turns ``mem`` into table ``name``."""
    return array_at(dtype, 8 * layout.State._fields.index(name))


floats_at = array_at(np.float64)
ints_at = array_at(np.int64)
bytes_at = array_at(np.uint8)
LINKS = _table("links", layout.LINK)
NODES = _table("nodes", layout.NODE)
FLOWS = _table("flows", layout.FLOW)
LEGS = _table("legs", layout.LEG)
PAIRS = _table("pairs", layout.PAIR)
ENDS = _table("ends", layout.HEAP)
CAPS = _table("caps", layout.HEAP)
TOPS = _table("tops", layout.HEAP)
TABLE = _table("table", np.int32)
FHEAP = _table("fheap", np.int32)
FKEY = _table("fkey", np.float64)
FPOS = _table("fpos", np.int32)
THEAP = _table("theap", np.int32)
TKEY = _table("tkey", np.float64)
TPOS = _table("tpos", np.int32)
NODE_OF = _table("node_of", np.int32)
ORDER = _table("order", np.int32)
GROUP = _table("group", np.int32)
MARKS = _table("marks", np.int32)
DIRTY = _table("dirty", np.int32)
DLINKS = _table("dlinks", np.int32)
TOUCHED = _table("touched", np.int32)
ENDED = _table("ended", np.int32)
FREE_LEGS = _table("free_legs", np.int32)
MISC = _table("misc", layout.MISC)
