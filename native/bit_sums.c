/* What binary centres are made of: of each bit how many codes of a group have it. */
#include "clustering.h"

enum { MOST = 255 }; /* codes that bytes count */

/* The bits of a byte as bytes of 0 or 1, the lowest one first. */
static inline uint64_t spread(uint64_t byte) {
    const uint64_t bits = byte * 0x0101010101010101u & 0x8040201008040201u;
    return (bits + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u;
}

/* Adds how many of at most MOST codes have each bit of a word, of those that come once. */
static void count_once(const int32_t *order, int64_t number, const uint64_t *codes, const uint32_t *weights,
                       int64_t words, int64_t word, int64_t *counts) {
    uint64_t sums[8] = {0};
    for (int64_t i = 0; i < number; i++) {
        const uint64_t code = weights[order[i]] == 1 ? codes[order[i] * words + word] : 0;
        for (int byte = 0; byte < 8; byte++) sums[byte] += spread(code >> 8 * byte & 255);
    }
    for (int bit = 0; bit < 64; bit++) counts[bit] += sums[bit / 8] >> 8 * (bit % 8) & 255;
}

/* Adds the weights of codes that come more than once, or never, to the bits that they have. */
static void count_often(const int32_t *order, int64_t number, const uint64_t *codes, const uint32_t *weights,
                        int64_t words, int64_t *counts) {
    for (int64_t i = 0; i < number; i++) {
        const int64_t weight = weights[order[i]];
        if (weight == 1) continue;
        for (int64_t bit = 0; bit < 64 * words; bit++)
            counts[bit] += weight & -(int64_t)(codes[order[i] * words + bit / 64] >> bit % 64 & 1);
    }
}

void dqh_bit_sums(const int64_t *offsets, const int32_t *order, int64_t first, int64_t last, const uint64_t *codes,
                  const uint32_t *weights, int64_t words, int64_t *sums) {
    for (int64_t group = first; group < last; group++) {
        int64_t *own = sums + 64 * words * group;
        memset(own, 0, sizeof(int64_t) * (size_t)(64 * words));
        for (int64_t at = offsets[group]; at < offsets[group + 1]; at += MOST) {
            const int64_t number = offsets[group + 1] - at < MOST ? offsets[group + 1] - at : MOST;
            for (int64_t word = 0; word < words; word++)
                count_once(order + at, number, codes, weights, words, word, own + 64 * word);
            count_often(order + at, number, codes, weights, words, own);
        }
    }
}
