"""Calls of kernels by their addresses: whoever calls so does not name them, and they are compiled where they are used.

Kernels that are named are compiled with those that name them. An address is that of this process, and nothing that
outlives it may hold one.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic


def _invoke(*arguments):
    """Type and write the call of a kernel at an address, the first of the arguments."""

    def generate(context, builder, signature, values):
        kinds = [context.get_value_type(argument) for argument in signature.args[1:]]
        pointer = ir.FunctionType(ir.VoidType(), kinds).as_pointer()
        builder.call(builder.inttoptr(values[0], pointer), values[1:])
        return context.get_dummy_value()

    return types.void(*arguments), generate


@intrinsic
def invoke_item(typing_context, address, arguments, item, worker):
    """Call what a region shares out."""
    return _invoke(address, arguments, item, worker)


@intrinsic
def invoke_operation(typing_context, address, row, call):
    """Call a kernel of an operation's pair."""
    return _invoke(address, row, call)


@intrinsic
def invoke_head(typing_context, address, head):
    """Call a kernel of one head."""
    return _invoke(address, head)


@intrinsic
def invoke_block(typing_context, address, head, strand, keys, block, k, n):
    """Call a kernel of a block of queries and `n` keys from `k` on."""
    return _invoke(address, head, strand, keys, block, k, n)


@intrinsic
def invoke_gather(typing_context, address, rows, row, n_rows, width, room):
    """Call the kernel that copies rows to where they lie together."""
    return _invoke(address, rows, row, n_rows, width, room)
