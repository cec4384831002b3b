/* All kernels over codes of one instruction set, by its macros:

   TARGET          of a function
   VECTOR, LANES   of 64-bit numbers
   SPREAD, LOAD, STORE, XOR, AND, OR, ADD, COUNT (bits of each lane), LESSER, MULTIPLY (of numbers below 2^32)
   BELOW           bit l: lane l of the one is below that of the other
   IF_ZERO         in each lane the other where the one is zero, else zero
   UNROLL          before loops of a known length
   BOUNDS_16, BOUNDS_256, WIDE_BOUNDS_16, WIDE_BOUNDS_256   of table_bounds.h, or NULL */
#include "kernels.h"

#define STEP 4 /* blocks */
#define PARTS (8 / LANES)

/* Whether a row of STEP blocks is allowed. */
static inline uint32_t any_of(const uint8_t *allowed) {
    uint32_t bits;
    memcpy(&bits, allowed, STEP);
    return bits;
}

#define WORDS 0
#define QUERIES 1
#include "hamming_scan.h"
#define WORDS 0
#define QUERIES 4
#include "hamming_scan.h"
#define WORDS 1
#define QUERIES 1
#include "hamming_scan.h"
#define WORDS 1
#define QUERIES 4
#include "hamming_scan.h"
#define WORDS 2
#define QUERIES 1
#include "hamming_scan.h"
#define WORDS 2
#define QUERIES 4
#include "hamming_scan.h"
#define WORDS 3
#define QUERIES 1
#include "hamming_scan.h"
#define WORDS 3
#define QUERIES 4
#include "hamming_scan.h"
#define WORDS 4
#define QUERIES 1
#include "hamming_scan.h"
#define WORDS 4
#define QUERIES 4
#include "hamming_scan.h"

#include "histogram_scan.h"
#include "table_steps.h"
#include "query_tables.h"

#define KERNELS                                                                                                     \
    {                                                                                                               \
        .scans = {{scan_0_1, scan_0_4}, {scan_1_1, scan_1_4}, {scan_2_1, scan_2_4}, {scan_3_1, scan_3_4},           \
                  {scan_4_1, scan_4_4}},                                                                            \
        .histogram = histogram_scan, .histogram_pairs = histogram_pairs, .squared_l2 = squared_l2,                  \
        .table_ends = table_ends, .table_steps = table_steps, .turned_query = turned_query,                         \
        .query_table = query_table,                                                                                 \
        .bounds_16 = BOUNDS_16, .bounds_256 = BOUNDS_256, .wide_bounds_16 = WIDE_BOUNDS_16,                         \
        .wide_bounds_256 = WIDE_BOUNDS_256                                                                          \
    }
