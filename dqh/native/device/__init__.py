"""The search kernels for codes that lie on a device: in torch, and in Triton where that saves passes over memory.

    torch_kernels       what is smallest in each group of rows, and counts by distance, in operations of torch
    triton_kernels      the same in one pass over the codes; imported where Triton and a CUDA device are there
    selection           which of the two is used, and how the nearest rows are chosen from groups
    hits                all rows within a radius, likewise
    hamming_tensors     packed codes, searched by bits
    product_tensors     codewords, searched by sums of look-up tables
    histogram_tensors   packed codes counted by distance and relevance
    feature_tensors     features, for re-ranking

Answers are those of `dqh.native.twins`, bit for bit, but for squared L2 between features, whose sums are rounded in
another order. All of it imports torch, and is imported where a device is asked for.
"""
