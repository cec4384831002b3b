/* Counts of rows by Hamming distance and relevance, for one query; included by kernels_of_set.h.

   The distance of a relevant row is increased by `width`, so that one count makes both histograms. Four copies of them
   take turns, since an addition to memory waits for the one before it at the same place. */
TARGET static void histogram_scan(const dqh_codes *codes, const dqh_labels *labels, const uint64_t *query,
                                  const uint64_t *query_label, int64_t width, uint32_t *copies, int64_t block,
                                  int64_t end) {
    const int64_t words = codes->words, size = labels->words;
    const VECTOR shift = SPREAD(width), first = SPREAD(query[0]), label = SPREAD(query_label[0]);
    for (; block < end; block++) {
        const uint8_t *code = codes->blocks + block * words * 64, *own = labels->blocks + block * size * 64;
        uint64_t place[8];
        UNROLL
        for (int part = 0; part < PARTS; part++) {
            const int64_t at = part * (int64_t)sizeof(VECTOR);
            VECTOR sum = COUNT(XOR(LOAD(code + at), first));
            for (int64_t word = 1; word < words; word++)
                sum = ADD(sum, COUNT(XOR(LOAD(code + word * 64 + at), SPREAD(query[word]))));
            if (labels->shared) {
                VECTOR both = AND(LOAD(own + at), label);
                for (int64_t word = 1; word < size; word++)
                    both = OR(both, AND(LOAD(own + word * 64 + at), SPREAD(query_label[word])));
                sum = ADD(sum, XOR(shift, IF_ZERO(both, shift)));
            } else {
                sum = ADD(sum, IF_ZERO(XOR(LOAD(own + at), label), shift));
            }
            STORE(place + part * LANES, sum);
        }
        if (codes->last - block * 8 < 8) {
            for (int64_t lane = 0; lane < codes->last - block * 8; lane++) copies[place[lane]]++;
        } else {
            UNROLL
            for (int lane = 0; lane < 8; lane++) copies[lane % 4 * 2 * width + (int64_t)place[lane]]++;
        }
    }
}
