/* What is written once for each instruction set, in portable.c, avx2.c and avx512.c. */
#ifndef DQH_KERNELS_H
#define DQH_KERNELS_H

#include "dqh_native.h"

enum {
    DQH_TILE = 4,   /* queries that are compared with a code while it is in registers */
    DQH_LENGTHS = 5 /* lengths of codes that have scans of their own: 1 to 4 words, and 0 for any number of them */
};

/* The answer of one query while it grows. A row enters where its distance is below `limit`. */
typedef struct dqh_answer {
    uint64_t limit;
    void (*take)(struct dqh_answer *answer, int64_t row, unsigned near, const uint64_t *distances);
    int64_t wanted;           /* nearest: k */
    int64_t nearer;           /* nearest: rows below the limit */
    int64_t length, capacity; /* nearest: of keys; within: capacity of ids */
    uint32_t *histogram;      /* nearest: rows at each distance, (64 words + 1) */
    uint64_t *keys;           /* nearest: distance << 40 | row, in order of the rows */
    int64_t *cursors, *ids;   /* within */
    int32_t *distances;       /* within */
    int full;                 /* within: more rows than capacity */
} dqh_answer;

/* Blocks `block` to `end` for one query or for a tile of them. */
typedef void (*dqh_scan)(const dqh_codes *codes, const uint64_t *queries, dqh_answer *answers, int64_t block,
                         int64_t end);

/* The same blocks counted, for one query, and in pairs, see histogram_scan.h. */
typedef void (*dqh_histogram)(const dqh_codes *codes, const dqh_labels *labels, const uint64_t *query,
                              const uint64_t *query_label, int64_t width, uint32_t *copies, int64_t block,
                              int64_t end);
typedef void (*dqh_histogram_pairs)(const dqh_codes *codes, const dqh_labels *labels, const uint64_t *query,
                                    const uint64_t *query_label, int64_t width, uint16_t *pairs, int64_t block,
                                    int64_t end);

/* Look-up tables in steps: bytes, and for sums of 16 bits low and high bytes of the subspaces `heavy`, whose steps are
   more; these have zeros in the place of bytes. */
typedef struct {
    uint8_t *low, *high;
    int32_t *heavy;
    int64_t heavies;
} dqh_steps;

/* The least value of a table, the largest magnitude, and the mean. */
typedef struct {
    double least, largest, mean;
} dqh_ends;

/* Lower bounds of sums of tables, see table_bounds.h. */
typedef void (*dqh_bounds)(const uint8_t *block, int64_t subspaces, const dqh_steps *tables, int limit, uint64_t *near);

typedef struct {
    dqh_scan scans[DQH_LENGTHS][2]; /* [length][0: one query, 1: a tile] */
    dqh_histogram histogram;
    dqh_histogram_pairs histogram_pairs;
    void (*squared_l2)(const uint8_t *rows, int64_t size, const float *query, const int64_t *ids, int64_t count,
                       float *distances);
    void (*table_ends)(const float *table, int64_t codewords, dqh_ends *ends);
    int64_t (*table_steps)(const float *table, int64_t codewords, double least, double scale, uint8_t *octets,
                           int32_t *whole);
    void (*turned_query)(const double *query, const float *rotation, int64_t size, double *turned);
    void (*query_table)(const double *query, const float *columns, const double *norms, int64_t subspaces,
                        int64_t codewords, int64_t width, int squared, float *table);
    dqh_bounds bounds_16, bounds_256; /* by the size of a table; NULL: there are none */
    dqh_bounds wide_bounds_16, wide_bounds_256;
} dqh_kernels;

#define DQH_MOST ((int64_t)1 << 48) /* of rows, words, subspaces and answers: sizes of a query stay below 2^62 */

/* A product of sizes, or -1 where it is beyond 2^62. */
static inline int64_t dqh_times(int64_t count, int64_t size) {
    return size && count > ((int64_t)1 << 62) / size ? -1 : count * size;
}

#define DQH_ROUNDING 1e-13 /* of squared norms: what is left of their difference below this share is rounding */

enum { DQH_CRC_SLICES = 8 };

/* Made when they are first needed. */
typedef struct {
    int made;
    uint32_t values[DQH_CRC_SLICES][256];
} dqh_crc_tables;

uint32_t dqh_crc32_of(dqh_crc_tables *tables, const uint8_t *row, int64_t size);

extern const dqh_kernels dqh_portable;
#if DQH_X86
extern const dqh_kernels dqh_avx2, dqh_avx512;
#endif

const dqh_kernels *dqh_in_use(void);

#define DQH_JOIN_(a, b, c) a##_##b##_##c
#define DQH_JOIN(a, b, c) DQH_JOIN_(a, b, c)

#endif
