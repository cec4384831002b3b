/* Histograms of Hamming distances, see histogram_scan.h. */
#include "kernels.h"

enum { CHUNK_BYTES = 1 << 15, COPIES = 4 };

static int64_t cells(int64_t words) { return 2 * (64 * words + 1); }

int64_t dqh_hamming_histograms_scratch(int64_t count, int64_t words) { return 4 * COPIES * cells(words) * count; }

int dqh_hamming_histograms(const dqh_codes *codes, const dqh_labels *labels, const uint64_t *queries,
                           const uint64_t *query_labels, int64_t count, void *scratch, int64_t *histograms) {
    const int64_t width = cells(codes->words) / 2, end = (codes->last + 7) / 8;
    if (codes->last - codes->first > UINT32_MAX) return DQH_ARGUMENT;
    uint32_t *copies = scratch;
    memset(copies, 0, (size_t)dqh_hamming_histograms_scratch(count, codes->words));
    int64_t step = CHUNK_BYTES / (64 * codes->words);
    if (step < 1) step = 1;
    for (int64_t block = codes->first / 8; block < end; block += step) {
        const int64_t stop = end - block < step ? end : block + step;
        for (int64_t query = 0; query < count; query++)
            dqh_in_use()->histogram(codes, labels, queries + query * codes->words,
                                    query_labels + query * labels->words, width, copies + query * 2 * COPIES * width,
                                    block, stop);
    }
    for (int64_t query = 0; query < count; query++)
        for (int64_t copy = 0; copy < COPIES; copy++)
            for (int64_t cell = 0; cell < 2 * width; cell++)
                histograms[query * 2 * width + cell] += copies[(query * COPIES + copy) * 2 * width + cell];
    return DQH_OK;
}
