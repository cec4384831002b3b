/* The nearest centres of codes that had one before (Phillips 2002: sorted means).

   A code lies d bits from the centre that it had, and that one D bits from another centre, which then is D - d bits or
   more from the code. So centres are looked at by D, until D - d is beyond the nearest one. */
#include "clustering.h"
#include "kernels.h"

typedef struct {
    const int64_t *offsets;
    const int32_t *order;
    const uint64_t *codes, *centres;
    int64_t count, words, most;
    int32_t *between, *near, *ends; /* of each centre its distance to that of the group; centres by it; counts and ends by distance */
    int32_t *ids, *distances;
} by_last;

static inline __attribute__((always_inline)) int32_t distance_of(const uint64_t *one, const uint64_t *other,
                                                                 int64_t words, int popcnt) {
    int32_t sum = 0;
    for (int64_t word = 0; word < words; word++)
        sum += popcnt ? __builtin_popcountll(one[word] ^ other[word]) : dqh_bits_of(one[word] ^ other[word]);
    return sum;
}

/* Puts the centres up to the largest distance that at most `most` of them have in order, and returns the distance. */
static inline __attribute__((always_inline)) int64_t sort_centres(const by_last *all, int64_t group, int64_t words,
                                                                  int popcnt) {
    const int64_t bits = 64 * words;
    memset(all->ends, 0, sizeof(int32_t) * (size_t)(DQH_COUNTS * (bits + 1)));
    for (int64_t centre = 0; centre < all->count; centre++)
        all->between[centre] = distance_of(all->centres + group * words, all->centres + centre * words, words, popcnt);
    for (int64_t centre = 0; centre < all->count; centre++)
        all->ends[centre % DQH_COUNTS * (bits + 1) + all->between[centre]]++;
    for (int64_t bit = 0; bit <= bits; bit++)
        for (int64_t other = 1; other < DQH_COUNTS; other++) all->ends[bit] += all->ends[other * (bits + 1) + bit];
    int64_t radius = -1;
    for (int32_t sum = 0; radius < bits && sum + all->ends[radius + 1] <= all->most; radius++) {
        const int32_t here = all->ends[radius + 1];
        all->ends[radius + 1] = sum; /* where the first one is put, and at last the end */
        sum += here;
    }
    for (int64_t centre = 0; centre < all->count; centre++)
        if (all->between[centre] <= radius) all->near[all->ends[all->between[centre]]++] = (int32_t)centre;
    return radius;
}

static inline __attribute__((always_inline)) void assign(const by_last *all, int64_t group, int64_t words, int popcnt) {
    const int64_t radius = sort_centres(all, group, words, popcnt), count = radius < 0 ? 0 : all->ends[radius];
    for (int64_t at = all->offsets[group]; at < all->offsets[group + 1]; at++) {
        const int64_t place = all->order[at];
        const uint64_t *code = all->codes + place * words;
        const int32_t own = distance_of(code, all->centres + group * words, words, popcnt);
        int32_t id = (int32_t)group, least = own;
        if (2 * own > radius) {
            all->ids[place] = all->distances[place] = -1;
            continue;
        }
        for (int64_t i = 0; i < count && all->between[all->near[i]] <= own + least; i++) {
            const int32_t other = all->near[i];
            const int32_t distance = distance_of(code, all->centres + other * words, words, popcnt);
            if (distance > least || (distance == least && other >= id)) continue;
            least = distance;
            id = other;
        }
        all->ids[place] = id;
        all->distances[place] = least;
    }
}

static inline __attribute__((always_inline)) void assign_groups(const by_last *all, int64_t first, int64_t last,
                                                                int popcnt) {
    for (int64_t group = first; group < last; group++) {
        if (all->offsets[group] == all->offsets[group + 1]) continue;
        if (all->words == 1)
            assign(all, group, 1, popcnt);
        else
            assign(all, group, all->words, popcnt);
    }
}

#if DQH_X86
__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq,popcnt"))) static void assign_avx512(
    const by_last *all, int64_t first, int64_t last) {
    assign_groups(all, first, last, 1);
}

__attribute__((target("popcnt"))) static void assign_popcnt(const by_last *all, int64_t first, int64_t last) {
    assign_groups(all, first, last, 1);
}
#endif

int dqh_nearest_by_last(const int64_t *offsets, const int32_t *order, int64_t first, int64_t last, const uint64_t *codes,
                        const uint64_t *centres, int64_t count, int64_t words, int64_t most, int32_t *scratch,
                        int32_t *ids, int32_t *distances) {
    const by_last all = {offsets, order, codes, centres, count, words, most,
                         scratch, scratch + count, scratch + 2 * count, ids, distances};
#if DQH_X86
    if (dqh_set() != DQH_PORTABLE) {
        (dqh_set() == DQH_AVX512 ? assign_avx512 : assign_popcnt)(&all, first, last);
        return DQH_OK;
    }
#endif
    assign_groups(&all, first, last, 0);
    return DQH_OK;
}
