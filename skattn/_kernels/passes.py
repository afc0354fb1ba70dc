"""The passes of numba that kernels go through, and how C calls what comes out.

A kernel has numbers, pointers and loops, so most passes find nothing to do, and took a fifth of the time.
"""

from llvmlite import ir
from numba.core import compiler, lowering, typed_passes, untyped_passes
from numba.core.compiler_machinery import PassManager, register_pass


class _Lower(lowering.Lower):
    """Lowers a kernel together with its C function, which the kernel's own code is moved into.

    numba's C functions call the code, and print what it raises; but kernels raise nothing.
    """

    def lower_normal_function(self, fndesc):
        super().lower_normal_function(fndesc)
        # Nobody else calls it.
        self.function.linkage = "internal"
        kinds = [self.context.get_value_type(kind) for kind in fndesc.argtypes]
        signature = ir.FunctionType(self.context.get_value_type(fndesc.restype), kinds)
        wrapper = ir.Function(self.module, signature, fndesc.llvm_cfunc_wrapper_name)
        builder = ir.IRBuilder(wrapper.append_basic_block("entry"))
        _, result = self.call_conv.call_function(builder, self.function, fndesc.restype, fndesc.argtypes, wrapper.args)
        builder.ret(result)

    def create_cfunc_wrapper(self):
        """Leave it: it is there."""


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(typed_passes.NativeLowering):
    """Lowers a kernel."""

    _name = "kernel_lowering"

    @property
    def lowering_class(self):
        return _Lower


_PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    _Lowering,
    typed_passes.NoPythonBackend,
)


class KernelCompiler(compiler.CompilerBase):
    """Compiles kernels."""

    def define_pipelines(self):
        passes = PassManager("kernel")
        for kind in _PASSES:
            passes.add_pass(kind, kind._name)
        passes.finalize()
        return [passes]
