/* Histograms of Hamming distances, see histogram_scan.h: of codes of one or two words by counts of pairs of rows, of longer
   ones, of which there are too many pairs of distances, row by row. */
#include "kernels.h"

enum {
    CHUNK_BYTES = 1 << 15, /* of codes that all queries meet before the next ones, counted row by row */
    CHUNK_BLOCKS = 1 << 13, /* likewise, in pairs: a count is at most 2^16 − 8 */
    COPIES = 4,
    PAIR_WORDS = 2
};

static int64_t cells(int64_t words) { return 2 * (64 * words + 1); }

static int64_t copies_of(int64_t words) { return COPIES * cells(words); }

int64_t dqh_hamming_histograms_scratch(int64_t count, int64_t words) {
    if (count < 0 || words < 0 || words > DQH_MOST) return -1;
    if (words > PAIR_WORDS) return dqh_times(count, 4 * copies_of(words));
    return 4 * copies_of(words) + 2 * cells(words) * cells(words);
}

static void add_copies(const uint32_t *copies, int64_t size, int64_t *histogram) {
    for (int64_t copy = 0; copy < COPIES; copy++)
        for (int64_t cell = 0; cell < size; cell++) histogram[cell] += copies[copy * size + cell];
}

/* A count of pairs is one of the row that tells its first cell, and one of the row that tells its second. */
static void add_pairs(const uint16_t *pairs, int64_t size, uint32_t *seconds, int64_t *histogram) {
    for (int64_t first = 0; first < size; first++, pairs += size) {
        uint32_t sum = 0;
        for (int64_t second = 0; second < size; second++) sum += pairs[second];
        if (!sum) continue;
        for (int64_t second = 0; second < size; second++) seconds[second] += pairs[second];
        histogram[first] += sum;
    }
}

static void by_pairs(const dqh_codes *codes, const dqh_labels *labels, const uint64_t *queries,
                     const uint64_t *query_labels, int64_t count, void *scratch, int64_t *histograms) {
    const int64_t size = cells(codes->words), full = codes->last / 8, end = (codes->last + 7) / 8;
    uint32_t *copies = scratch;
    uint16_t *pairs = (uint16_t *)(copies + copies_of(codes->words));
    for (int64_t block = codes->first / 8; block < end; block += CHUNK_BLOCKS) {
        const int64_t stop = end - block < CHUNK_BLOCKS ? end : block + CHUNK_BLOCKS;
        const int64_t paired = block + ((stop < full ? stop : full) - block) / 2 * 2;
        for (int64_t query = 0; query < count; query++) {
            const uint64_t *own = queries + query * codes->words, *label = query_labels + query * labels->words;
            memset(scratch, 0, (size_t)dqh_hamming_histograms_scratch(1, codes->words));
            dqh_in_use()->histogram_pairs(codes, labels, own, label, size / 2, pairs, block, paired);
            dqh_in_use()->histogram(codes, labels, own, label, size / 2, copies, paired, stop);
            add_pairs(pairs, size, copies, histograms + query * size);
            add_copies(copies, size, histograms + query * size);
        }
    }
}

static void row_by_row(const dqh_codes *codes, const dqh_labels *labels, const uint64_t *queries,
                       const uint64_t *query_labels, int64_t count, void *scratch, int64_t *histograms) {
    const int64_t size = cells(codes->words), end = (codes->last + 7) / 8;
    uint32_t *copies = scratch;
    memset(copies, 0, (size_t)dqh_hamming_histograms_scratch(count, codes->words));
    int64_t step = CHUNK_BYTES / (64 * codes->words);
    if (step < 1) step = 1;
    for (int64_t block = codes->first / 8; block < end; block += step) {
        const int64_t stop = end - block < step ? end : block + step;
        for (int64_t query = 0; query < count; query++)
            dqh_in_use()->histogram(codes, labels, queries + query * codes->words,
                                    query_labels + query * labels->words, size / 2, copies + query * COPIES * size,
                                    block, stop);
    }
    for (int64_t query = 0; query < count; query++)
        add_copies(copies + query * COPIES * size, size, histograms + query * size);
}

int dqh_hamming_histograms(const dqh_codes *codes, const dqh_labels *labels, const uint64_t *queries,
                           const uint64_t *query_labels, int64_t count, void *scratch, int64_t *histograms) {
    if (codes->last - codes->first > UINT32_MAX) return DQH_ARGUMENT;
    const int paired = codes->words <= PAIR_WORDS;
    (paired ? by_pairs : row_by_row)(codes, labels, queries, query_labels, count, scratch, histograms);
    return DQH_OK;
}
