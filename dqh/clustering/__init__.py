"""Clustering of codes: fit and predict, for many more points than fit a clustering of vectors. One method a file.

iq_means        IQ-means: points become cells of a grid, centres walk the cells near them
cell_codebooks  the quantizer that makes points cells
cell_points     points as cells: populations, means, and the space of the codebooks
cell_assignment which centre a cell belongs to: inverted, by walks, or exactly
cell_starts     where centres start
cell_iterations assignment and update in turns, until nothing changes
overlap         centres that overlap a larger one are purged, which decides how many there are
    binary_kmeans   packed bits by Hamming distance
    binary_space    what is near there, and what centres are
    pq_kmeans       product-quantized codes by look-up tables
    code_clusters   what both have in common
    code_iterations assignment and update in turns
    code_starts     random, k-means++, AFK-MC²
    distinct_codes  equal codes merged
    vector_codes    codes of vectors, a part at a time
vector_kmeans   plain k-means, all vectors compared with all centres
near_duplicates codes within a Hamming radius, in groups
groups_page     pictures in groups
resuming        what a long clustering keeps, to go on from once it was interrupted
"""
