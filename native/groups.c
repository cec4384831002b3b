/* Cells grouped by the centre that they belong to, and the sums of each group. */
#include "clustering.h"

int dqh_group(const int32_t *labels, int64_t count, int64_t groups, int64_t *offsets, int32_t *order) {
    memset(offsets, 0, sizeof(int64_t) * (size_t)(groups + 1));
    for (int64_t i = 0; i < count; i++) {
        if (labels[i] < -1 || labels[i] >= groups) return DQH_ARGUMENT;
        if (labels[i] >= 0) offsets[labels[i] + 1]++;
    }
    for (int64_t group = 0; group < groups; group++) offsets[group + 1] += offsets[group];
    for (int64_t i = 0; i < count; i++)
        if (labels[i] >= 0) order[offsets[labels[i]]++] = (int32_t)i;
    for (int64_t group = groups; group > 0; group--) offsets[group] = offsets[group - 1]; /* back by one group */
    offsets[0] = 0;
    return DQH_OK;
}

int dqh_mean_sums(const int64_t *offsets, const int32_t *order, int64_t first, int64_t last,
                  const uint32_t *populations, const int32_t *rows, const float *means, int64_t size, double *sums) {
    for (int64_t group = first; group < last; group++) {
        double *sum = sums + group * size;
        memset(sum, 0, sizeof(double) * (size_t)size);
        for (int64_t at = offsets[group]; at < offsets[group + 1]; at++) {
            const double weight = populations[order[at]];
            const float *mean = means + rows[order[at]] * size;
            for (int64_t column = 0; column < size; column++) sum[column] += weight * (double)mean[column];
        }
    }
    return DQH_OK;
}

/* Adds the codeword that a cell names in one half as often as points of the group have it, where none has yet. */
static void add_codeword(uint64_t *times, const float *codeword, int64_t half, double *sum) {
    const double weight = (double)*times;
    if (!*times) return;
    *times = 0;
    for (int64_t column = 0; column < half; column++) sum[column] += weight * (double)codeword[column];
}

int dqh_codeword_sums(const int64_t *offsets, const int32_t *order, int64_t first, int64_t last,
                      const uint32_t *populations, const uint32_t *numbers, int64_t codewords, const float *codebooks,
                      int64_t half, uint64_t *scratch, double *sums) {
    for (int64_t group = first; group < last; group++) {
        double *sum = sums + 2 * group * half;
        memset(sum, 0, sizeof(double) * (size_t)(2 * half));
        for (int64_t at = offsets[group]; at < offsets[group + 1]; at++) {
            const uint32_t number = numbers[order[at]];
            if (number / codewords >= codewords) return DQH_ARGUMENT;
            scratch[number / codewords] += populations[order[at]];
            scratch[codewords + number % codewords] += populations[order[at]];
        }
        for (int64_t at = offsets[group]; at < offsets[group + 1]; at++) {
            const int64_t i = numbers[order[at]] / codewords, j = codewords + numbers[order[at]] % codewords;
            add_codeword(scratch + i, codebooks + i * half, half, sum);
            add_codeword(scratch + j, codebooks + j * half, half, sum + half);
        }
    }
    return DQH_OK;
}
