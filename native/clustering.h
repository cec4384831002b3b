/* Kernels of clustering: plain C11, no state, no allocation. `dqh/native/cell_twins.py` has each of them in numpy.

   Cells are pairs (i, j) of codewords of two halves, numbered i · codewords + j; those that hold points have a place
   each, in order of their numbers. */
#ifndef DQH_CLUSTERING_H
#define DQH_CLUSTERING_H

#include "dqh_native.h"

enum { DQH_MOST_CODEWORDS = 1 << 15, DQH_MOST_WINDOW = 1 << 15, DQH_BUCKET = 1024 };

/* The `width` smallest of `columns` values of each of `rows` rows, ascending, equal ones by column; what is written is
   the value plus the offset of its row, at least 0. Scratch: `columns` + `width` 64-bit words a call. */
int dqh_smallest(const float *values, int64_t rows, int64_t columns, const float *offsets, int64_t width,
                 uint64_t *scratch, int32_t *places, float *smallest);

/* Cells with points: bit n % 64 of word n / 64 of `occupied` says that cell n is one, and `ranks` how many lie before
   the word. */
typedef struct {
    const uint64_t *occupied;
    const uint32_t *ranks, *populations;
    int64_t cells, codewords;
} dqh_grid;

/* Each of `count` centres walks the cells of its `width` nearest codewords a half, `places` and `distances` (count, 2,
   width), in order of the sum of both distances, equal ones by place, until the cells walked hold `target` points. Each
   cell keeps the least of `keys`: the bits of the sum << 32 | number of the centre, from `first` on; several threads may
   write them. `trail` (count, steps): cells of the walk, in column ⌊h · steps / 2^32⌋, h = place · 2654435769 mod 2^32,
   the one with the least h, -1 for none. Scratch: `width` + 3 DQH_BUCKET 64-bit words. */
int dqh_walk_cells(const dqh_grid *grid, const int32_t *places, const float *distances, int64_t count, int64_t width,
                   int64_t first, int64_t target, int64_t steps, uint64_t *scratch, uint64_t *keys, int32_t *trail);

/* For each of `cells` numbers of cells the least sum of a value of row i of `one` and that of row j of `other`, both
   (codewords, count) and at least 0: the key of the centre with it, of equal ones the first, where that is below the one
   that the cell has. */
int dqh_nearest_sums(const float *one, const float *other, int64_t codewords, int64_t count, const uint32_t *numbers,
                     int64_t cells, int64_t first, uint64_t *keys);

/* Distances between codewords of a product quantizer, `values` (subspaces, codewords, codewords), at least 0, and the same
   in `steps`, ⌊value · scale⌋ or 255 where that is more. */
typedef struct {
    const float *values;
    const uint8_t *steps;
    int64_t subspaces, codewords;
    double scale;
} dqh_code_distances;

/* For each of `points` codes of a product quantizer, `indices` (points, subspaces), the nearest of `count` centres
   (count, subspaces), as a key that lowers the one it has: the sum of the values in rows of its codewords and columns of
   those of the centre, from the first subspace on. Scratch: subspaces · codewords · DQH_CENTRES + points. */
enum { DQH_CENTRES = 64, DQH_MOST_SUBSPACES = 1024 };
int dqh_nearest_centres(const dqh_code_distances *distances, const uint8_t *centres, int64_t count,
                        const uint8_t *indices, int64_t points, uint8_t *scratch, uint64_t *keys);

/* Places of each group in their order, those of group g from offsets[g] to offsets[g + 1]; a label of -1 is in none. */
int dqh_group(const int32_t *labels, int64_t count, int64_t groups, int64_t *offsets, int32_t *order);

/* Groups `first` to `last`: sums (groups, size) of rows of means, each times the population of its cell. */
int dqh_mean_sums(const int64_t *offsets, const int32_t *order, int64_t first, int64_t last,
                  const uint32_t *populations, const int32_t *rows, const float *means, int64_t size, double *sums);

/* The same of codewords (2, codewords, half) that stand for the cells. Scratch: 2 codewords of 64-bit zeros, which it
   leaves as zeros. */
int dqh_codeword_sums(const int64_t *offsets, const int32_t *order, int64_t first, int64_t last,
                      const uint32_t *populations, const uint32_t *numbers, int64_t codewords, const float *codebooks,
                      int64_t half, uint64_t *scratch, double *sums);

/* Of each group `first` to `last` how many of its codes (words) have each bit, each counted as often as its weight says:
   sums (groups, 64 words). */
void dqh_bit_sums(const int64_t *offsets, const int32_t *order, int64_t first, int64_t last, const uint64_t *codes,
                  const uint32_t *weights, int64_t words, int64_t *sums);

/* Codes (rows, words), and which of them have each value of each of `count` parts of 16 bits: places starts[value] to
   starts[value + 1] of the ids (count, rows), starts (count, 2^16 + 1). `flips` are all 2^16 values by their number of
   bits, those of n bits from levels[n] to levels[n + 1]. */
typedef struct {
    const uint64_t *codes;
    const int32_t *starts, *ids, *levels;
    const uint16_t *flips;
    int64_t rows, words, count;
} dqh_parts;

/* The nearest code of each query and its distance, of equal ones the first. */
int dqh_multi_index_nearest(const dqh_parts *parts, const uint64_t *queries, int64_t count, int32_t *ids,
                            int32_t *distances);

/* Codes of groups `first` to `last`: which of `count` centres is the nearest to each, of equal ones the first, and its
   distance. Group g is of codes that centre g had; -1 for both where more than `most` centres lie within twice the
   distance of the code from it, itself counted. Scratch: 2 `count` + DQH_COUNTS (64 `words` + 1) numbers. */
enum { DQH_COUNTS = 4 }; /* of equal distances, so that none waits for the one before */
int dqh_nearest_by_last(const int64_t *offsets, const int32_t *order, int64_t first, int64_t last, const uint64_t *codes,
                        const uint64_t *centres, int64_t count, int64_t words, int64_t most, int32_t *scratch,
                        int32_t *ids, int32_t *distances);

/* The nearest of `count` centres to codes (·, words) at `places_count` places, of equal ones the first, and its distance.
   `columns` (words, count) are the centres; `words` is at most 4. */
int dqh_nearest_codes(const uint64_t *codes, const int32_t *places, int64_t places_count, const uint64_t *columns,
                      int64_t count, int64_t words, int32_t *ids, int32_t *distances);

/* Sorts keys that differ. */
void dqh_sort_keys(uint64_t *keys, int64_t length);

/* Bits that are set. */
static inline int dqh_bits_of(uint64_t word) {
    word -= (word >> 1) & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + ((word >> 2) & 0x3333333333333333u);
    return (int)((((word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u) >> 56);
}

#endif
