/* Inverted assignment: centres walk cells, nearest first, and each cell keeps the nearest centre that came by. */
#include "clustering.h"

/* A place of the walk: the bits of its sum, which order as the sum does, the place in one half and that in the other. */
static inline uint64_t place_of(const float *distances, int64_t width, int64_t a, int64_t b) {
    const float sum = distances[a] + distances[width + b];
    uint32_t bits;
    memcpy(&bits, &sum, sizeof bits);
    return (uint64_t)bits << 32 | (uint64_t)a << 16 | (uint64_t)b;
}

static void sift_down(uint64_t *heap, int64_t length) {
    const uint64_t moved = heap[0];
    int64_t at = 0;
    for (int64_t child = 1; child < length; child = 2 * at + 1) {
        if (child + 1 < length && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= moved) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static void push(uint64_t *heap, int64_t length, uint64_t place) {
    int64_t at = length;
    for (; at && place < heap[(at - 1) / 2]; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = place;
}

static inline void keep_least(uint64_t *key, uint64_t offered) {
    uint64_t present = __atomic_load_n(key, __ATOMIC_RELAXED);
    while (offered < present &&
           !__atomic_compare_exchange_n(key, &present, offered, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

/* The place of a cell among those with points, or -1. */
static inline int64_t place_in(const dqh_grid *grid, int64_t cell) {
    const uint64_t word = grid->occupied[cell / 64], bit = (uint64_t)1 << (cell % 64);
    return word & bit ? (int64_t)grid->ranks[cell / 64] + dqh_bits_of(word & (bit - 1)) : -1;
}

/* One walk. DQH_ARGUMENT where ranks lead behind the cells. */
static int walk(const dqh_grid *grid, const int32_t *places, const float *distances, int64_t width, uint64_t centre,
                int64_t target, int64_t steps, uint64_t *heap, uint64_t *keys, int32_t *trail) {
    int64_t length = 1, walked = 0, step = 0, part = 0;
    heap[0] = place_of(distances, width, 0, 0);
    while (length && walked < target) {
        const uint64_t top = heap[0];
        const int64_t a = (int64_t)(top >> 16 & 0xffff), b = (int64_t)(top & 0xffff);
        const int64_t cell = place_in(grid, places[a] * grid->codewords + places[width + b]);
        if (cell >= grid->cells) return DQH_ARGUMENT;
        if (cell >= 0) {
            if (steps && walked >= part) {
                trail[step++] = (int32_t)cell;
                part = (walked * steps / target + 1) * target; /* the next one, times `steps` */
                part = part / steps + (part % steps != 0);
            }
            walked += grid->populations[cell];
            keep_least(keys + cell, (top & ~(uint64_t)0xffffffffu) | centre);
        }
        /* a row of the block goes on, and the next row begins once the first of this one is walked */
        heap[0] = b + 1 < width ? place_of(distances, width, a, b + 1) : heap[--length];
        sift_down(heap, length);
        if (b == 0 && a + 1 < width) push(heap, length++, place_of(distances, width, a + 1, 0));
    }
    for (; step < steps; step++) trail[step] = -1;
    return DQH_OK;
}

int dqh_walk_cells(const dqh_grid *grid, const int32_t *places, const float *distances, int64_t count, int64_t width,
                   int64_t first, int64_t target, int64_t steps, uint64_t *scratch, uint64_t *keys, int32_t *trail) {
    for (int64_t i = 0; i < 2 * count * width; i++)
        if (places[i] < 0 || places[i] >= grid->codewords || !(distances[i] >= 0)) return DQH_ARGUMENT;
    for (int64_t centre = 0; centre < count; centre++) {
        const int status = walk(grid, places + 2 * centre * width, distances + 2 * centre * width, width,
                                (uint64_t)(first + centre), target, steps, scratch, keys, trail + centre * steps);
        if (status != DQH_OK) return status;
    }
    return DQH_OK;
}
