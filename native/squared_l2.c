/* Squared L2 distances to rows of float16 that lie anywhere in memory. */
#include "kernels.h"

#include <math.h>

int dqh_squared_l2(const uint8_t *rows, int64_t number, int64_t size, const float *query, const int64_t *ids,
                   int64_t count, float *distances) {
    for (int64_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= number) return DQH_ARGUMENT;
    dqh_in_use()->squared_l2(rows, size, query, ids, count, distances);
    return DQH_OK;
}

int dqh_checked_l2(const uint8_t *rows, int64_t number, int64_t size, const uint32_t *sums, const float *query,
                   const int64_t *ids, int64_t count, float *distances) {
    enum { BYTES = 1 << 18 }; /* compared together: they stay in the second cache until they are checked */
    const int64_t together = 2 * size < BYTES ? BYTES / (2 * size + 1) : 1;
    dqh_crc_tables tables;
    tables.made = 0;
    for (int64_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= number) return DQH_ARGUMENT;
    for (int64_t start = 0; start < count; start += together) {
        const int64_t stop = count - start < together ? count : start + together;
        dqh_in_use()->squared_l2(rows, size, query, ids + start, stop - start, distances + start);
        for (int64_t i = start; i < stop; i++)
            if (dqh_crc32_of(&tables, rows + 2 * size * ids[i], 2 * size) != sums[ids[i]]) distances[i] = NAN;
    }
    return DQH_OK;
}
