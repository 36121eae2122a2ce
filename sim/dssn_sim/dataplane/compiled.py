"""Where compiled code lives: the ``jit`` and ``inner`` decorators, the cache of machine code, ``warm_up()``.

Nothing is compiled, and numba is not even imported, before a compiled function is called for which no machine
code lies in the cache. Importing numba and reading its own cache takes 0.6 s of CPU, more than many runs;
reading our objects takes 0.05 s with llvmlite alone.

An object's name carries a digest of all sources that it can have been made of (this package and the folder of
the function), of the versions of numba and llvmlite and of the processor. An edit, an upgrade or another machine
never meets stale code, and a read-only or editable install works the same.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib
import inspect
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

__all__ = ["bound", "cache_folder", "compile_named", "inner", "is_warm", "jit", "lazy", "warm_up"]

F = TypeVar("F", bound=Callable[..., object])

_C_TYPES: dict[str, Any] = {
    "int64": ctypes.c_int64,
    "uint64": ctypes.c_uint64,
    "float64": ctypes.c_double,
    "boolean": ctypes.c_bool,
    "void": None,
}


def cache_folder() -> Path:
    """Return the folder for compiled code: NUMBA_CACHE_DIR, else one in the user's cache."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    name = "compiled"
    for folder in (base / "dssn" / name, Path(tempfile.gettempdir()) / f"dssn-{name}-{os.getuid()}"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.gettempdir())


# ------------------------------------------------------------------ what the compiler sees


class _Lazy:
    """Stands for a compiled thing in the globals of compiled functions; made when the compiler asks for it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    def made(self) -> Any:
        """Return the thing itself."""
        if self._made is None:
            self._made = self._make()
        return self._made

    @property
    def _numba_type_(self) -> Any:  # numba asks any object for this
        from numba.core.registry import cpu_target

        made, context = self.made(), cast(Any, cpu_target.typing_context)
        context.refresh()  # it may be new
        return context.resolve_value_type(made)


def lazy(make: Callable[[], Any]) -> Any:
    """Return a stand-in for a dispatcher or intrinsic that ``make`` makes, for use in compiled code."""
    return _Lazy(make)


def _numba() -> Any:
    import numba

    return numba


#: Annotation of an argument -> its type in compiled code.
_WORDS = {"int": "int64", "float": "float64", "bool": "boolean"}
_MUCH = 8  # functions to compile from which a second process pays
_BARE = {"error_model": "numpy", "_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def inner(function: F) -> F:
    """Compile a function that only compiled code calls: no wrappers, no reference counts.

    One that takes ``mem`` and plain numbers is compiled once, for 64 bits, and not for each mixture of widths.
    """

    def make() -> Any:
        words = inspect.get_annotations(function)
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        if names[0] != "mem" or not all(words[name] in _WORDS for name in names):
            return _numba().njit(**_BARE)(function)
        from numba.core import types

        return _numba().njit(tuple(getattr(types, _WORDS[words[name]]) for name in names), **_BARE)(function)

    return lazy(make)  # type: ignore[no-any-return]


class Entry(_Lazy):
    """A compiled function that Python calls."""

    def __init__(self, function: Callable[..., object], signature: str) -> None:
        super().__init__(self._dispatcher)
        functools.update_wrapper(self, function)
        self.function = function
        self.signature = signature
        self._call: Any = None

    def __call__(self, *args: Any) -> Any:
        return self.bind()(*args)

    def bind(self) -> Any:
        """Return the machine code as a callable, compiled on first use."""
        if self._call is None:
            self._call = self.made() if "[" in self.signature else self._load()
        return self._call

    def is_warm(self) -> bool:
        """Say whether nothing has to be compiled."""
        return "[" in self.signature or self._path().exists()

    def _dispatcher(self) -> Any:
        numba = _numba()
        if "[" not in self.signature:
            return numba.njit(self.signature, **_BARE)(self.function)
        # arrays: numba unpacks them, with its own cache
        if not os.environ.get("NUMBA_CACHE_DIR") and not numba.config.CACHE_DIR:
            numba.config.CACHE_DIR = str(cache_folder() / _digest(self._folder()))
        return numba.njit(self.signature, cache=True, error_model="numpy")(self.function)

    def _folder(self) -> str:
        return str(Path(self.function.__code__.co_filename).parent)

    def _symbol(self) -> str:
        return f"{self.function.__module__}.{self.function.__qualname__}"

    def _path(self) -> Path:
        return cache_folder() / f"{self._symbol()}.{_digest(self._folder())}.o"

    def _load(self) -> Any:
        path = self._path()
        try:
            code = path.read_bytes()
        except OSError:
            code = _machine_code(self)
            part = path.with_name(f"{path.name}.{os.getpid()}")
            with contextlib.suppress(OSError):  # nowhere to keep it: compiled again next time
                path.parent.mkdir(parents=True, exist_ok=True)
                part.write_bytes(code)
                part.replace(path)
        result, _, rest = self.signature.partition("(")
        kinds = [_C_TYPES[kind.strip()] for kind in rest.rstrip(")").split(",")]
        prototype = ctypes.PYFUNCTYPE(_C_TYPES[result.strip()], *kinds)
        return prototype(_engine().add(code, self._symbol()))


def jit(signature: str) -> Callable[[F], F]:
    """Compile an entry, a function that Python calls, and keep the machine code on disk.

    Arguments and result are ``int64``, ``uint64``, ``float64`` or ``boolean``; arrays go in by address
    (``memory.floats_at``). The one signature makes sure that an integer time or size is converted, not compiled
    for. Arrays in the signature work too, at the price of importing numba.
    """

    def compile_entry(function: F) -> F:
        return Entry(function, signature)  # type: ignore[return-value]

    return compile_entry


# ------------------------------------------------------------------ machine code


@functools.cache
def _digest(folder: str) -> str:
    """Return a digest of the sources, libraries and processor that code of a folder depends on."""
    from importlib.util import find_spec

    from llvmlite import __version__, binding  # type: ignore[import-untyped]

    digest = hashlib.sha256(__version__.encode())
    numba = find_spec("numba")
    assert numba is not None
    assert numba.origin is not None
    digest.update(Path(numba.origin).with_name("_version.py").read_bytes())
    digest.update(f"{sys.version_info[:2]} {binding.get_host_cpu_name()}".encode())
    digest.update(binding.get_host_cpu_features().flatten().encode())
    for source in sorted({*Path(__file__).parent.glob("*.py"), *Path(folder).glob("*.py")}):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def _machine_code(entry: Entry) -> bytes:
    """Compile an entry with numba; return an object file with a plain C function of the entry's name."""
    from llvmlite import binding, ir

    (result,) = entry.made().overloads.values()
    convention = result.target_context.call_conv
    native = convention.get_function_type(result.fndesc.restype, result.fndesc.argtypes)
    word = {"float64": ir.DoubleType(), "void": ir.VoidType(), "boolean": ir.IntType(8)}.get(
        str(result.signature.return_type).replace("none", "void"), ir.IntType(64)
    )
    module = ir.Module()
    module.triple = binding.get_process_triple()
    callee = ir.Function(module, native, result.fndesc.llvm_func_name)
    plain = ir.Function(module, ir.FunctionType(word, native.args[2:]), entry._symbol())
    builder = ir.IRBuilder(plain.append_basic_block())
    room = builder.alloca(ir.IntType(64))  # a double or an integer
    failure = builder.alloca(ir.IntType(64))
    args = [builder.bitcast(room, native.args[0]), builder.bitcast(failure, native.args[1]), *plain.args]
    status = builder.call(callee, args)
    with builder.if_then(builder.icmp_signed("!=", status, status.type(0)), likely=False):
        text = ir.IntType(8).as_pointer()
        error = ir.GlobalVariable(module, text, "PyExc_RuntimeError")
        set_none = ir.Function(module, ir.FunctionType(ir.VoidType(), [text]), "PyErr_SetNone")
        builder.call(set_none, [builder.load(error)])
    if isinstance(word, ir.VoidType):
        builder.ret_void()
    else:
        builder.ret(builder.load(builder.bitcast(room, word.as_pointer())))
    library = result.library
    linked = library._final_module.clone()
    linked.link_in(binding.parse_assembly(str(module)))
    code: bytes = library.codegen._tm.emit_object(linked)
    return code


class _Engine:
    """Machine code in this process."""

    def __init__(self) -> None:
        from llvmlite import binding

        for name in ("initialize", "initialize_native_target", "initialize_native_asmprinter"):
            with contextlib.suppress(RuntimeError):  # newer versions do it themselves
                getattr(binding, name)()
        self._binding = binding
        machine = binding.Target.from_default_triple().create_target_machine()
        self._engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)

    def add(self, code: bytes, symbol: str) -> int:
        """Load an object file; return the address of a function in it."""
        self._engine.add_object_file(self._binding.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        return int(self._engine.get_function_address(symbol))


@functools.cache
def _engine() -> _Engine:
    return _Engine()


# ------------------------------------------------------------------ many at once


def _entries(module: Any) -> dict[str, Entry]:
    return {name: value for name, value in vars(module).items() if isinstance(value, Entry)}


def bound(module: Any) -> SimpleNamespace:
    """Return the entries of a module, ready to be called often."""
    return SimpleNamespace(**{name: entry.bind() for name, entry in _entries(module).items()})


def _all_entries(modules: tuple[Any, ...]) -> list[Entry]:
    from dssn_sim.dataplane import events, groups

    return [entry for module in (events, groups, *modules) for entry in _entries(module).values()]


def is_warm(*modules: Any) -> bool:
    """Say whether the machine code of the data plane (and of further modules) is there; else see :func:`warm_up`."""
    return all(entry.is_warm() for entry in _all_entries(modules))


def warm_up(*modules: Any) -> None:
    """Compile everything that the data plane (and further modules) use: some 12 s once, else a cache read.

    Where much is to be compiled, a second process begins at the other end of the list.
    """
    entries = _all_entries(modules)
    cold = [entry._symbol() for entry in entries if not entry.is_warm()]
    helper = None
    if len(cold) > _MUCH and (os.cpu_count() or 1) > 1:
        code = (
            "import sys; from dssn_sim.dataplane.compiled import compile_named; compile_named(sys.argv[1:])"
        )
        path = os.pathsep.join(p for p in sys.path if p)
        helper = subprocess.Popen(
            [sys.executable, "-c", code, *reversed(cold)], env={**os.environ, "PYTHONPATH": path}
        )
    for entry in entries:
        entry.bind()
    if helper is not None:
        helper.terminate()  # what it may still compile is there already
        helper.wait()


def compile_named(symbols: Iterable[str]) -> None:
    """Compile the entries of these names that nobody has compiled meanwhile."""
    for symbol in symbols:
        module, _, name = symbol.rpartition(".")
        entry = getattr(importlib.import_module(module), name)
        if not entry.is_warm():
            entry.bind()
