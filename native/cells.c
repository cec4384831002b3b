/* Inverted assignment: centres walk cells, nearest first, and each cell keeps the nearest centre that came by.

   A walk takes all cells up to a limit, then those up to the next one, and so on; what matters is who is in, not in what
   order, but for the cells among which the walk ends: of these, those with points are sorted. */
#include <math.h>

#include "clustering.h"

enum { WANTED = 256 }; /* cells between two limits, about; there is room for DQH_BUCKET */

typedef struct {
    const dqh_grid *grid;
    const int32_t *places;
    const float *distances;
    int64_t width, target, steps;
    uint64_t centre, *keys;
    int32_t *trail;
    int32_t *next, *before;          /* of each row of the block its first cell that is not taken; and before this limit */
    uint64_t *taken, *offered;       /* sum, row, column of cells; and the keys that those with points are offered */
    int32_t *cells;                  /* places of those with points */
    int64_t rows, left, walked;
} walk_state;

static inline uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline void keep_least(uint64_t *key, uint64_t offered) {
    uint64_t present = __atomic_load_n(key, __ATOMIC_RELAXED);
    while (offered < present &&
           !__atomic_compare_exchange_n(key, &present, offered, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

/* The number of the cell in a row and a column of the block. */
static inline int64_t number_of(const walk_state *walk, int64_t row, int64_t column) {
    return walk->places[row] * walk->grid->codewords + walk->places[walk->width + column];
}

/* The place of a cell among those with points, or -1. */
static inline int64_t place_in(const dqh_grid *grid, int64_t cell) {
    const uint64_t word = grid->occupied[cell / 64], bit = (uint64_t)1 << (cell % 64);
    return word & bit ? (int64_t)grid->ranks[cell / 64] + dqh_bits_of(word & (bit - 1)) : -1;
}

/* Takes cells with sums up to a limit, row by row, as far as there is room, and returns how many. */
static int64_t take(walk_state *walk, float limit) {
    const float *columns = walk->distances + walk->width;
    int64_t length = 0;
    for (int64_t row = 0; row < walk->width; row++) {
        const float own = walk->distances[row];
        if (row == walk->rows) {
            if (own + columns[0] > limit) break;
            walk->next[walk->rows++] = 0;
        }
        int64_t column = walk->next[row];
        for (; column < walk->width && length < DQH_BUCKET; column++) {
            const float sum = own + columns[column];
            if (sum > limit) break;
            const int64_t cell = number_of(walk, row, column);
            __builtin_prefetch(walk->grid->occupied + cell / 64);
            __builtin_prefetch(walk->grid->ranks + cell / 64);
            walk->taken[length++] = (uint64_t)bits_of(sum) << 32 | (uint64_t)row << 16 | (uint64_t)column;
        }
        walk->next[row] = (int32_t)column;
        if (length == DQH_BUCKET) break;
    }
    return length;
}

static inline int64_t place_of(const walk_state *walk, uint64_t taken) {
    return place_in(walk->grid, number_of(walk, (int64_t)(taken >> 16 & 0xffff), (int64_t)(taken & 0xffff)));
}

/* Numbers that places look like by chance, times `steps`: the high half is a column of the trail. */
static inline uint64_t drawn(const walk_state *walk, int64_t place) {
    return (uint64_t)(uint32_t)((uint32_t)place * 2654435769u) * (uint64_t)walk->steps;
}

/* Keeps a cell in its column of the trail, where that is free or has one with a larger low half. */
static inline void remember(walk_state *walk, int64_t place) {
    const uint64_t number = drawn(walk, place);
    int32_t *kept = walk->trail + (number >> 32);
    if (*kept < 0 || (uint32_t)number < (uint32_t)drawn(walk, *kept)) *kept = (int32_t)place;
}

/* One cell with points after another, until the walk has met its target. */
static void meet_in_order(walk_state *walk, int64_t length) {
    dqh_sort_keys(walk->taken, length);
    for (int64_t i = 0; i < length && walk->walked < walk->target; i++) {
        const int64_t cell = place_of(walk, walk->taken[i]);
        if (walk->steps) remember(walk, cell);
        walk->walked += walk->grid->populations[cell];
        keep_least(walk->keys + cell, (walk->taken[i] & ~(uint64_t)0xffffffffu) | walk->centre);
    }
}

/* Offers the centre to the cells that were taken. DQH_ARGUMENT where ranks lead behind the cells. */
static int meet(walk_state *walk, int64_t length) {
    int64_t filled = 0, points = 0;
    for (int64_t i = 0; i < length; i++) {
        const int64_t cell = place_of(walk, walk->taken[i]);
        if (cell < 0) continue;
        if (cell >= walk->grid->cells) return DQH_ARGUMENT;
        __builtin_prefetch(walk->grid->populations + cell);
        __builtin_prefetch(walk->keys + cell, 1);
        walk->offered[filled] = (walk->taken[i] & ~(uint64_t)0xffffffffu) | walk->centre;
        walk->taken[filled] = walk->taken[i];
        walk->cells[filled++] = (int32_t)cell;
    }
    for (int64_t i = 0; i < filled; i++) points += walk->grid->populations[walk->cells[i]];
    if (walk->walked + points > walk->target) {
        meet_in_order(walk, filled);
    } else {
        for (int64_t i = 0; i < filled; i++) keep_least(walk->keys + walk->cells[i], walk->offered[i]);
        walk->walked += points;
        for (int64_t i = 0; walk->steps && i < filled; i++) remember(walk, walk->cells[i]);
    }
    return DQH_OK;
}

/* The next limit; whether no sum lies between the two. */
static int raise_limit(float *limit, float last, float stride) {
    const uint32_t bits = bits_of(last) + 1;
    memcpy(limit, &bits, sizeof bits);
    if (last + stride <= *limit) return 1;
    *limit = last + stride;
    return 0;
}

static int walk_from(walk_state *walk) {
    const float *rows = walk->distances, *columns = rows + walk->width;
    float last = 0, limit = rows[0] + columns[0];
    float stride = (rows[walk->width - 1] - rows[0] + (columns[walk->width - 1] - columns[0])) / 64;
    if (!(stride < INFINITY)) stride = 1e38f;
    for (int64_t step = 0; step < walk->steps; step++) walk->trail[step] = -1;
    int equal = 1; /* all sums up to the limit that are not taken are equal, and thus in order as they are taken */
    while (walk->left && walk->walked < walk->target) {
        const int64_t opened = walk->rows;
        memcpy(walk->before, walk->next, sizeof(int32_t) * (size_t)opened);
        const int64_t length = take(walk, limit);
        if (length == DQH_BUCKET && !equal) {
            memcpy(walk->next, walk->before, sizeof(int32_t) * (size_t)opened);
            walk->rows = opened;
            stride /= 2;
            equal = raise_limit(&limit, last, stride);
            continue;
        }
        walk->left -= length;
        if (meet(walk, length) != DQH_OK) return DQH_ARGUMENT;
        if (length == DQH_BUCKET) continue;
        if (length < WANTED / 2) stride *= 2;
        if (length > 2 * WANTED) stride /= 2;
        last = limit;
        equal = raise_limit(&limit, last, stride);
    }
    return DQH_OK;
}

int dqh_walk_cells(const dqh_grid *grid, const int32_t *places, const float *distances, int64_t count, int64_t width,
                   int64_t first, int64_t target, int64_t steps, uint64_t *scratch, uint64_t *keys, int32_t *trail) {
    for (int64_t i = 0; i < 2 * count * width; i++)
        if (places[i] < 0 || places[i] >= grid->codewords || !(distances[i] >= 0)) return DQH_ARGUMENT;
    int32_t *numbers = (int32_t *)(void *)(scratch + 2 * DQH_BUCKET);
    for (int64_t centre = 0; centre < count; centre++) {
        walk_state walk = {.grid = grid, .places = places + 2 * centre * width, .width = width, .target = target,
                           .distances = distances + 2 * centre * width, .steps = steps, .keys = keys,
                           .centre = (uint64_t)(first + centre), .trail = trail + centre * steps, .taken = scratch,
                           .offered = scratch + DQH_BUCKET, .cells = numbers, .next = numbers + DQH_BUCKET,
                           .before = numbers + DQH_BUCKET + width, .left = width * width};
        const int status = walk_from(&walk);
        if (status != DQH_OK) return status;
    }
    return DQH_OK;
}
