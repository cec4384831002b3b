/* Counts of rows by Hamming distance and relevance, for one query; included by kernels_of_set.h.

   The distance of a relevant row is increased by `width`, so that one count makes both histograms. */
TARGET static inline VECTOR cell_of(const dqh_codes *codes, const dqh_labels *labels, const uint64_t *query,
                                    const uint64_t *query_label, VECTOR shift, int64_t block, int64_t at) {
    const int64_t words = codes->words, size = labels->words;
    const uint8_t *code = codes->blocks + block * words * 64 + at, *own = labels->blocks + block * size * 64 + at;
    VECTOR sum = COUNT(XOR(LOAD(code), SPREAD(query[0])));
    for (int64_t word = 1; word < words; word++)
        sum = ADD(sum, COUNT(XOR(LOAD(code + word * 64), SPREAD(query[word]))));
    if (!labels->shared) return ADD(sum, IF_ZERO(XOR(LOAD(own), SPREAD(query_label[0])), shift));
    VECTOR both = AND(LOAD(own), SPREAD(query_label[0]));
    for (int64_t word = 1; word < size; word++)
        both = OR(both, AND(LOAD(own + word * 64), SPREAD(query_label[word])));
    return ADD(sum, XOR(shift, IF_ZERO(both, shift)));
}

/* Blocks `block` to `end`. Four copies of the histograms take turns, since an addition to memory waits for the one before
   it at the same place. */
TARGET static void histogram_scan(const dqh_codes *codes, const dqh_labels *labels, const uint64_t *query,
                                  const uint64_t *query_label, int64_t width, uint32_t *copies, int64_t block,
                                  int64_t end) {
    const VECTOR shift = SPREAD(width);
    for (; block < end; block++) {
        uint64_t cell[8];
        UNROLL
        for (int part = 0; part < PARTS; part++)
            STORE(cell + part * LANES, cell_of(codes, labels, query, query_label, shift, block,
                                               part * (int64_t)sizeof(VECTOR)));
        if (codes->last - block * 8 < 8) {
            for (int64_t lane = 0; lane < codes->last - block * 8; lane++) copies[cell[lane]]++;
        } else {
            UNROLL
            for (int lane = 0; lane < 8; lane++) copies[lane % 4 * 2 * width + (int64_t)cell[lane]]++;
        }
    }
}

/* Blocks `block` to `end`, an even number of full ones, in pairs: a row and one of the next block are one addition to
   `pairs` (2 width, 2 width), and no pair of blocks can make a count overflow where there are up to 2^13 blocks. */
TARGET static void histogram_pairs(const dqh_codes *codes, const dqh_labels *labels, const uint64_t *query,
                                   const uint64_t *query_label, int64_t width, uint16_t *pairs, int64_t block,
                                   int64_t end) {
    const VECTOR shift = SPREAD(width), side = SPREAD(2 * width);
    for (; block < end; block += 2) {
        uint64_t cell[8];
        UNROLL
        for (int part = 0; part < PARTS; part++) {
            const int64_t at = part * (int64_t)sizeof(VECTOR);
            const VECTOR one = cell_of(codes, labels, query, query_label, shift, block, at);
            const VECTOR other = cell_of(codes, labels, query, query_label, shift, block + 1, at);
            STORE(cell + part * LANES, ADD(MULTIPLY(one, side), other));
        }
        UNROLL
        for (int lane = 0; lane < 8; lane++) pairs[cell[lane]]++;
    }
}
