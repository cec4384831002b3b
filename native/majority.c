/* Binary centres: of each bit what most codes of a group have. */
#include "clustering.h"

int dqh_majority(const int64_t *offsets, const int32_t *order, int64_t first, int64_t last, const uint64_t *codes,
                 const uint32_t *weights, int64_t words, int64_t *scratch, uint64_t *centres) {
    for (int64_t group = first; group < last; group++) {
        int64_t half = 0; /* twice of what is set is compared with all */
        memset(scratch, 0, sizeof(int64_t) * (size_t)(64 * words));
        for (int64_t at = offsets[group]; at < offsets[group + 1]; at++) {
            const uint64_t *code = codes + order[at] * words;
            const int64_t weight = weights[order[at]];
            half += weight;
            for (int64_t word = 0; word < words; word++)
                for (int bit = 0; bit < 64; bit++) scratch[64 * word + bit] += weight & -(int64_t)(code[word] >> bit & 1);
        }
        if (!half) continue;
        for (int64_t word = 0; word < words; word++) {
            uint64_t centre = 0;
            for (int bit = 0; bit < 64; bit++)
                centre |= (uint64_t)(scratch[64 * word + bit] && 2 * scratch[64 * word + bit] >= half) << bit;
            centres[group * words + word] = centre;
        }
    }
    return DQH_OK;
}
