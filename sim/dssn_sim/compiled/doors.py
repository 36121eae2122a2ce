"""Doors: how separately compiled functions call each other.

numba compiles a function together with everything it calls, so a call tree of big functions is compiled many times
over. Here a big function is compiled alone (``jit``) and called through its address, which stands in the table
``doors`` of the machine; a call costs some nanoseconds more.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

import numpy as np

from dssn_sim.compiled.layout import TABLES, State
from dssn_sim.dataplane.compiled import lazy

__all__ = ["door", "install"]

#: Name of each function that is called through a door -> its signature.
SIGNATURES: Final[dict[str, str]] = {
    # the solver of the data plane
    "start_flow": "int64(int64, int64, int64, float64, float64, float64, float64, int64, float64)",
    "stop_flow": "float64(int64, int64, float64, boolean)",
    "settle": "float64(int64, float64)",
    "end_due": "int64(int64, float64)",
    # the machine
    "begin_flow": "int64(int64, int64)",
    "finish_flow": "void(int64, int64)",
    "begin_work": "void(int64, int64, float64, float64)",
    "finish_work": "void(int64, int64)",
    "cut": "void(int64, int64)",
    "request": "void(int64, int64)",
    "give_back": "void(int64, int64)",
    "choose_network": "int64(int64, int64)",
    "place": "int64(int64, int64)",
    "step": "int64(int64, int64)",
    "allocate": "void(int64, int64)",
    "clean_up": "void(int64, int64)",
    "fail": "void(int64, int64, int64, int64, int64, boolean)",
    "finish": "void(int64, int64, int64)",
    "advance": "void(int64, int64)",
}

_NAMES = list(SIGNATURES)
_TABLE = 8 * list(TABLES).index("doors")


def door(name: str) -> Any:
    """Return a function for compiled code: ``f(mem, (arguments...))`` calls the function of this name."""
    return lazy(lambda: _door(name))


def _door(name: str) -> Any:
    from llvmlite import ir  # type: ignore[import-untyped]
    from numba.core import types
    from numba.core.sigutils import normalize_signature
    from numba.extending import intrinsic

    signature: Any = normalize_signature(SIGNATURES[name])  # type: ignore[no-untyped-call]
    args, result = signature
    offset = 8 * _NAMES.index(name)

    def codegen(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        word = ir.IntType(64)

        def load(address: Any, at: int) -> Any:
            where = builder.add(address, ir.Constant(word, at))
            return builder.load(builder.inttoptr(where, word.as_pointer()))

        nothing = result == types.none
        kinds = [context.get_value_type(a) for a in args]
        function = ir.FunctionType(ir.VoidType() if nothing else context.get_value_type(result), kinds)
        target = builder.inttoptr(load(load(given[0], _TABLE), offset), function.as_pointer())
        have = signature.args[1].types
        passed = [
            context.cast(builder, builder.extract_value(given[1], i), have[i], want)
            for i, want in enumerate(args)
        ]
        answer = builder.call(target, passed)
        return context.get_dummy_value() if nothing else answer

    def call(typing: Any, mem: Any, values: Any) -> Any:
        return result(types.int64, values), codegen

    return intrinsic(call)


def install(state: State, functions: dict[str, Any]) -> None:
    """Write the addresses of the compiled functions into the machine's table."""
    addresses = [ctypes.cast(functions[name].bind(), ctypes.c_void_p).value for name in _NAMES]
    state.put("doors", np.array(addresses, np.int64))
