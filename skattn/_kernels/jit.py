"""The one door to numba: how kernels are compiled, cached, and joined to each other by symbol.

A kernel is a plain function whose annotations are `Reals`, `Ints`, `Int`, `Real`, `Double`, `Bool` or a record
(record.py). It is compiled alone, once for float32 and once for float64, as a C function on pointers; kernels that
call it find it by symbol. So nothing is compiled twice, a new network needs no compilation, and read-only or strided
arrays are no new types.
"""

import contextlib
import functools
import gc
import hashlib
import os
import pathlib
import pickle
import threading
import types as python_types
import warnings

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile
from numba.core.ccallback import CFunc
from numba.core.runtime import rtsys
from numba.core.serialize import dumps
from numba.extending import intrinsic

from .passes import KernelCompiler
from .record import Record

Reals, Ints, Real, Double, Int, Bool = "reals", "ints", "real", "double", "int", "bool"

# fastmath=True would fold NaN and infinity checks away, and "reassoc" would leave the order of sums to the compiler.
_FLAGS = {"contract", "nsz"}
# NumPy's divisions give infinity; Python's would look for zeros, and could not raise from here anyway.
_OPTIONS = {"fastmath": _FLAGS, "error_model": "numpy", "forceinline": True}
_DTYPES = {"float32": types.float32, "float64": types.float64}
_FOLDER = pathlib.Path(__file__).parent
_lock = threading.RLock()
_counts = [0, 0]


def refuse_interpretation():
    """Say at once that kernels do not run as Python: they are written in pointers and vector instructions."""
    if numba.config.DISABLE_JIT:
        raise ImportError(
            "skattn computes in compiled code only, and numba is told not to compile: unset NUMBA_DISABLE_JIT, or set "
            "it to 0, before Python starts."
        )


refuse_interpretation()

if hasattr(os, "register_at_fork"):
    # A fork waits for compilations: numba's locks would stay locked in a child that has no thread to open them.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class ByPrecision:
    """Stands for something else in each precision; it has a meaning inside kernels only.

    Parameters
    ----------
    name : str
    make : callable (scalar) -> object
        Gives what compiled code calls, for numba's type of the numbers.
    """

    def __init__(self, name, make):
        self.name, self._make, self._made = name, make, {}

    def __call__(self, *arguments):
        raise TypeError(f"{self.name}() has a meaning inside kernels only.")

    def of(self, dtype):
        """Give what it stands for in a precision."""
        if dtype not in self._made:
            self._made[dtype] = self._make(_DTYPES[dtype])
        return self._made[dtype]


def _pointer_to(scalar):
    @intrinsic
    def pointer(typing_context, address):
        return _address_to(types.CPointer(scalar))

    return pointer


real = ByPrecision("real", lambda scalar: np.dtype(scalar.name).type)
"""Inside kernels, ``real(x)`` casts `x` to the precision that is compiled for."""

reals = ByPrecision("reals", _pointer_to)
"""Inside kernels, ``reals(address)`` gives a pointer to numbers of that precision."""


def _address_within(scalar):
    @intrinsic
    def address_at(typing_context, address, place):
        def generate(context, builder, signature, arguments):
            address, place = arguments
            return builder.add(address, builder.mul(place, ir.IntType(64)(scalar.bitwidth // 8)))

        return types.int64(types.int64, types.int64), generate

    return address_at


address_at = ByPrecision("address_at", _address_within)
"""Inside kernels, ``address_at(address, place)`` gives the address of one of the numbers at an address."""


@intrinsic
def ints(typing_context, address):
    """Cast an address to a pointer to int64."""
    return _address_to(types.CPointer(types.int64))


@intrinsic
def address_of(typing_context, pointer):
    """Give the address that a pointer holds, as a whole number."""

    def generate(context, builder, signature, arguments):
        return builder.ptrtoint(arguments[0], ir.IntType(64))

    return types.int64(pointer), generate


def _address_to(pointer):
    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.int64), generate


@intrinsic
def doubles(typing_context, address):
    """Cast an address to a pointer to float64, whatever the precision."""
    return _address_to(types.CPointer(types.float64))


@intrinsic
def singles(typing_context, address):
    """Cast an address to a pointer to float32, whatever the precision."""
    return _address_to(types.CPointer(types.float32))


@intrinsic
def octets(typing_context, address):
    """Cast an address to a pointer to bytes."""
    return _address_to(types.CPointer(types.uint8))


_TYPES = {
    dtype: {
        Reals: types.CPointer(scalar),
        Ints: types.CPointer(types.int64),
        Real: scalar,
        Double: types.float64,
        Int: types.int64,
        Bool: types.boolean,
        None: types.void,
    }
    for dtype, scalar in _DTYPES.items()
}


def _type(word, dtype):
    return word.type if isinstance(word, Record) else _TYPES[dtype][word]


class Kernel:
    """A function that is compiled when it is first needed, in each precision.

    Parameters
    ----------
    function : callable
        Its annotations name the type of each parameter and of what it returns.
    """

    def __init__(self, function):
        self.function = function
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self._compiled = {}

    def symbol(self, dtype):
        """Give the name that compiled callers know this kernel by."""
        return f"{self.function.__module__}.{self.__name__}.{dtype}"

    def signature(self, dtype):
        """Give the numba signature in a precision."""
        annotations = dict(self.function.__annotations__)
        returns = annotations.pop("return", None)
        return _type(returns, dtype)(*(_type(word, dtype) for word in annotations.values()))

    def external(self, dtype):
        """Give what a compiled caller uses in place of this kernel."""
        return types.ExternalFunction(self.symbol(dtype), self.signature(dtype))

    def address(self, dtype):
        """Give the address of the machine code, compiling it or loading it from disk at first."""
        compiled = self._compiled.get(dtype)
        if compiled is None:
            with _lock, _no_collection():
                compiled = self._compiled.get(dtype) or self._compile(dtype)
        return compiled.address

    def is_ready(self, dtype):
        """Tell whether this process has the machine code already."""
        return dtype in self._compiled

    def _compile(self, dtype):
        names = self.function.__code__.co_names
        scope = dict(self.function.__globals__)
        for name in names:
            item = scope.get(name)
            if isinstance(item, Kernel):
                # Its symbol must be known before this kernel's code is linked.
                item.address(dtype)
                scope[name] = item.external(dtype)
            elif isinstance(item, ByPrecision):
                scope[name] = item.of(dtype)
            elif isinstance(item, Record):
                scope[name] = item.cast
        function = python_types.FunctionType(self.function.__code__, scope, self.__name__)
        function.__module__ = self.function.__module__
        signature = self.signature(dtype)
        compiled = CFunc(function, (signature.args, signature.return_type), {}, _OPTIONS, KernelCompiler)
        compiled._cache = _cache(function, dtype) or compiled._cache
        compiled.compile()
        _count(loaded=compiled.cache_hits > 0)
        llvmlite.binding.add_symbol(self.symbol(dtype), compiled.address)
        self._compiled[dtype] = compiled
        return compiled


@contextlib.contextmanager
def _no_collection():
    """Let Python look for no cycles meanwhile: going through all that a process holds took a tenth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def kernel(function):
    """Make a kernel of a function."""
    return Kernel(function)


def region(function, signature, *, parallel):
    """Compile a function that shares work out to threads (or its serial twin), without the interpreter lock."""
    twin = python_types.FunctionType(
        function.__code__, function.__globals__, function.__name__ + ("_parallel" if parallel else "_serial")
    )
    twin.__module__ = function.__module__
    dispatcher = numba.njit(nogil=True, parallel=parallel)(twin)
    cache = _cache(twin, "parallel" if parallel else "serial")
    if cache is not None:
        dispatcher._cache = cache
    with _lock:
        dispatcher.compile(signature)
    _count(loaded=bool(dispatcher.stats.cache_hits))
    return dispatcher


def counts():
    """Give how many functions this process has compiled, and how many it has loaded from disk."""
    return tuple(_counts)


def _count(*, loaded):
    _counts[int(loaded)] += 1


def cache_folder():
    """Give the folder that compiled functions are kept in, or None where none can be written."""
    cache = _cache(cache_folder, "")
    return None if cache is None else cache.cache_path


def cpu_features():
    """Give the instruction sets that code is compiled for, as a set of LLVM feature names."""
    features = numba.core.registry.cpu_target.target_context.codegen().magic_tuple()[2]
    return {name[1:] for name in features.split(",") if name.startswith("+")}


def _source_digest():
    """Hash every kernel file: code inlined from one file into another must never outlive a change."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for path in sorted(_FOLDER.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


# Now, not when something is compiled: files that are edited later are not what this process runs.
_stamp = _source_digest()


def _cache(function, variant):
    """Give the on-disk cache of one compiled function, or None where none can be written."""
    try:
        return _KernelCache(function, variant)
    except (RuntimeError, OSError):
        # Containers and read-only installs have nowhere to write: compile in memory.
        return None


class _CheckedResult(CompileResultCacheImpl):
    """A compiled function, with a digest that ties it to the sources and the CPU that it is of.

    Machine code with a flipped bit would be run; and numba writes its index before the code, under names that another
    CPU's code may have had, so that a process that stops in between, or works at the same time, leaves wrong pairs.
    """

    def reduce(self, cres):
        data = dumps(super().reduce(cres))
        return self._digest(cres.library.codegen, data), data

    def rebuild(self, target_context, payload):
        digest, data = payload
        if digest != self._digest(target_context.codegen(), data):
            raise ValueError("the cached code is damaged, or of other sources or another CPU")
        return super().rebuild(target_context, pickle.loads(data))

    def _digest(self, codegen, data):
        return hashlib.sha256(_stamp.encode() + _describe(codegen) + data).digest()


@functools.cache
def _describe(codegen):
    """Name the CPU that code is for; asking LLVM anew for each kernel would take a tenth of the time to load them."""
    return repr(codegen.magic_tuple()).encode()


class _KernelCache(FunctionCache):
    """numba's cache, keyed by all kernel sources, for which a damaged file is a missing one."""

    _impl_class = _CheckedResult

    def __init__(self, function, variant):
        super().__init__(function)
        variant = "-".join([self._impl.filename_base, variant, os.environ.get("SKATTN_VECTOR_BITS", "native")])
        self._cache_file = IndexDataCacheFile(self._cache_path, variant, _stamp)

    def load_overload(self, sig, target_context):
        try:
            # numba's own would first fill its registries of typed functions, which only compilations need: a third of
            # the time that loading all kernels takes.
            rtsys.initialize(target_context)
            return self._load_overload(sig, target_context)
        except Exception:
            # Truncated or foreign bytes can raise anything on unpickling; what follows is a compilation.
            self._discard()
            return None

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except Exception as error:
            self._discard()
            if not isinstance(error, OSError):
                warnings.warn(
                    f"{self._name} is compiled but could not be cached: {error}", RuntimeWarning, stacklevel=2
                )

    def _discard(self):
        try:
            os.unlink(self._cache_file._index_path)
        except OSError:
            pass
