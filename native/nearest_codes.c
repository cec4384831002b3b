/* The nearest of many centres to codes, by comparing all: no limits and no branches, so that compilers make vectors of it. */
#include "clustering.h"
#include "kernels.h"

enum { TILE = 4 }; /* codes that are compared with a centre while it is in registers */

typedef struct {
    const uint64_t *codes, *columns;
    const int32_t *places;
    int64_t places_count, count;
    int32_t *ids, *distances;
} all_centres;

static inline __attribute__((always_inline)) uint64_t key_of(const uint64_t *code, const uint64_t *columns, int64_t count,
                                                             int words, uint64_t centre, int popcnt) {
    uint64_t sum = 0;
    for (int word = 0; word < words; word++) {
        const uint64_t differing = code[word] ^ columns[word * count + (int64_t)centre];
        sum += (uint64_t)(popcnt ? __builtin_popcountll(differing) : dqh_bits_of(differing));
    }
    return sum << 32 | centre;
}

static inline __attribute__((always_inline)) void compare(const all_centres *all, int words, int popcnt) {
    for (int64_t i = 0; i < all->places_count; i += TILE) {
        const int64_t number = all->places_count - i < TILE ? all->places_count - i : TILE;
        uint64_t code[TILE][4] = {{0}}, a = UINT64_MAX, b = UINT64_MAX, c = UINT64_MAX, d = UINT64_MAX;
        for (int64_t lane = 0; lane < number; lane++)
            memcpy(code[lane], all->codes + (int64_t)all->places[i + lane] * words, sizeof(uint64_t) * (size_t)words);
        for (uint64_t centre = 0; centre < (uint64_t)all->count; centre++) {
            const uint64_t of_a = key_of(code[0], all->columns, all->count, words, centre, popcnt);
            const uint64_t of_b = key_of(code[1], all->columns, all->count, words, centre, popcnt);
            const uint64_t of_c = key_of(code[2], all->columns, all->count, words, centre, popcnt);
            const uint64_t of_d = key_of(code[3], all->columns, all->count, words, centre, popcnt);
            a = of_a < a ? of_a : a;
            b = of_b < b ? of_b : b;
            c = of_c < c ? of_c : c;
            d = of_d < d ? of_d : d;
        }
        const uint64_t keys[TILE] = {a, b, c, d};
        for (int64_t lane = 0; lane < number; lane++) {
            all->ids[i + lane] = (int32_t)(keys[lane] & UINT32_MAX);
            all->distances[i + lane] = (int32_t)(keys[lane] >> 32);
        }
    }
}

static inline __attribute__((always_inline)) int compare_words(const all_centres *all, int64_t words, int popcnt) {
    if (words == 1) compare(all, 1, popcnt);
    if (words == 2) compare(all, 2, popcnt);
    if (words == 3) compare(all, 3, popcnt);
    if (words == 4) compare(all, 4, popcnt);
    return words >= 1 && words <= 4 ? DQH_OK : DQH_ARGUMENT;
}

#if DQH_X86
__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq"))) static int compare_avx512(
    const all_centres *all, int64_t words) {
    return compare_words(all, words, 1);
}

__attribute__((target("popcnt"))) static int compare_popcnt(const all_centres *all, int64_t words) {
    return compare_words(all, words, 1);
}
#endif

int dqh_nearest_codes(const uint64_t *codes, const int32_t *places, int64_t places_count, const uint64_t *columns,
                      int64_t count, int64_t words, int32_t *ids, int32_t *distances) {
    const all_centres all = {codes, columns, places, places_count, count, ids, distances};
#if DQH_X86
    if (dqh_set() == DQH_AVX512) return compare_avx512(&all, words);
    if (dqh_set() != DQH_PORTABLE) return compare_popcnt(&all, words);
#endif
    return compare_words(&all, words, 0);
}
