"""Search kernels of `dqh._native`, the optional extension in C: exact search of packed codes by Hamming distance.

    extension      whether the extension can be used
    twins          every kernel in numpy, of the same name and arguments
    hamming_codes  codes in the layout of the kernels, searched by threads

Kernels work in one thread on memory of their caller and return a status; what they refuse is a fault of this package.
"""
