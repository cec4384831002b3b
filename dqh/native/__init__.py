"""Kernels of `dqh._native`, the optional extension in C: exact search of codes, and clustering of them.

    extension            whether the extension can be used
    twins                kernels of Hamming distances, features and checksums in numpy, of the same name and arguments
    hamming_codes        packed codes in the layout of the kernels, searched by threads
    hamming_histograms   packed codes counted by distance and relevance
    product_codes        codewords, searched by sums of look-up tables
    query_tables         look-up tables of queries
    table_twins          the kernels of look-up tables in numpy
    row_distances        squared L2 to rows of float16 features, checked or not
    row_checksums        CRC-32 of rows
    cell_twins           the kernels of clustering in numpy
    cell_kernels         those kernels by threads
    code_twins           the kernels of clustering packed codes in numpy
    code_kernels         those kernels by threads
    threads, sharing     calls side by side, and what each of them takes
    memory               arrays that begin a line of the cache
    device               the same for codes on a device, by torch and Triton

Kernels work in one thread on memory of their caller and return a status; what they refuse is a fault of this package.
"""
