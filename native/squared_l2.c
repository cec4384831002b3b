/* Squared L2 distances to rows of float16 that lie anywhere in memory. */
#include "kernels.h"

int dqh_squared_l2(const uint8_t *rows, int64_t number, int64_t size, const float *query, const int64_t *ids,
                   int64_t count, float *distances) {
    for (int64_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= number) return DQH_ARGUMENT;
    dqh_in_use()->squared_l2(rows, size, query, ids, count, distances);
    return DQH_OK;
}
