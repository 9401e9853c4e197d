from fastrnn._kernels cimport fr_kernels

# The kernels every compiled module of the package calls; chosen once, when cpu is imported.
cdef const fr_kernels *table

# Those of the best instruction set that the processor has, whichever was chosen.
cdef const fr_kernels *widest
