"""Records: what kernels are told, in fields that have names, of eight bytes each."""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_BYTES = 8


class Record:
    """A struct in memory: it annotates parameters of kernels, which read and write its fields as attributes.

    Inside kernels, calling a record with an address gives the struct that lies there, and without one a new struct
    that lasts as long as the call, its fields yet to be written. A field is loaded anew wherever
    it is named, for all that a compiler knows any store may have changed it: kernels read what they need into locals
    before their loops.

    Parameters
    ----------
    *names : str
        Fields that hold whole numbers, or addresses.
    doubles : tuple of str
        Fields behind these that hold float64.
    """

    def __init__(self, *names, doubles=()):
        self.names = (*names, *doubles)
        self.index = {name: place for place, name in enumerate(self.names)}
        self.type = types.Record(
            [
                (name, {"type": types.float64 if name in doubles else types.int64, "offset": _BYTES * place})
                for name, place in self.index.items()
            ],
            size=_BYTES * max(len(self.names), 1),
            aligned=True,
        )
        self.cast = _cast_to(self.type)
        self._doubles = frozenset(doubles)

    def __len__(self):
        return len(self.names)

    def __call__(self, address):
        """Stand for the cast of an address, inside kernels."""
        raise TypeError("A record is called inside kernels only.")

    def new(self, **numbers):
        """Give an array of whole numbers that holds one such record: all fields 0 but those given."""
        return self.write(np.zeros(len(self), np.int64), **numbers)

    def write(self, array, **numbers):
        """Write some fields of a record, or of many that are rows of an array; what is no field raises KeyError.

        Of many, a number is for all, or there is one for each. The array is given back.
        """
        for name, number in numbers.items():
            target = array.view(np.float64) if name in self._doubles else array
            target[..., self.index[name]] = number
        return array

    def repeat(self, array, n):
        """Give so many copies of a record, each a row."""
        return np.tile(array, (n, 1))


def _cast_to(struct):
    @intrinsic
    def cast(typing_context, address=None):
        def room(context, builder, signature, arguments):
            words = cgutils.alloca_once(builder, ir.ArrayType(ir.IntType(64), struct.size // _BYTES))
            return builder.bitcast(words, context.get_value_type(struct))

        def generate(context, builder, signature, arguments):
            kind = context.get_value_type(struct)
            is_pointer = isinstance(arguments[0].type, ir.PointerType)
            return (builder.bitcast if is_pointer else builder.inttoptr)(arguments[0], kind)

        return (struct(types.none), room) if address is None else (struct(address), generate)

    return cast
