/* Search kernels: plain C11, no state but the instruction set, no allocation, no exceptions.

   Every function works in one thread, on memory that its caller owns, and returns a status. `dqh/native/twins.py` has
   each of them in numpy, under the same name and with the same arguments. */
#ifndef DQH_NATIVE_H
#define DQH_NATIVE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { DQH_OK = 0, DQH_ARGUMENT = 1, DQH_FULL = 2 };

enum { DQH_MOST_WORDS = 1 << 16 }; /* of a code: distances are below 2^24 */

/* instruction sets, from the slowest to the quickest */
enum { DQH_PORTABLE = 0, DQH_AVX2 = 1, DQH_AVX512 = 2, DQH_SETS = 3 };

int dqh_best_set(void); /* the quickest that this processor has */
int dqh_set(void);      /* the one in use */
int dqh_use_set(int set); /* DQH_ARGUMENT where the processor lacks it */

#if defined(__GNUC__)
#define DQH_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define DQH_FIRST_BIT(bits) __builtin_ctz(bits)
#else
#error "gcc or clang is needed; on Windows clang as well"
#endif

#if defined(__x86_64__)
#define DQH_X86 1
#endif

/* Codes of `words` × 64 bits in blocks of 8 codes: 8 times the first word, 8 times the second, …; the last block is
   filled up. Rows `first` (a multiple of 8) to `last` are looked at. Bit r % 8 of byte r / 8 of `allowed` says whether
   row r may be in an answer; NULL: all may. */
typedef struct {
    const uint8_t *blocks;
    const uint8_t *allowed;
    int64_t rows, words, first, last;
} dqh_codes;

/* Functions that end with `scratch` say how many bytes of memory a search needs; -1 where a number is negative or beyond
   2^48, or the size beyond 2^62. */

/* Hamming distances, queries (count, words). Rows of equal distance are in order of their number.

   nearest: the k nearest rows of each query, ids and distances (count, k); what is missing is -1 and INT32_MAX.
   within:  all rows up to `radius` bits away, in two steps. With ids NULL `cursors` (count, radius + 1) are increased by
            the number of rows at each distance; else they are where the next row at each distance is put. */
int64_t dqh_hamming_scratch(int64_t count, int64_t rows, int64_t words, int64_t k);
int dqh_hamming_nearest(const dqh_codes *codes, const uint64_t *queries, int64_t count, int64_t k, void *scratch,
                        int64_t *ids, int32_t *distances);
int dqh_hamming_within(const dqh_codes *codes, const uint64_t *queries, int64_t count, int64_t radius, void *scratch,
                       int64_t *cursors, int64_t capacity, int64_t *ids, int32_t *distances);

/* Labels of the rows of codes, in blocks as codes are: one number each, or with `shared` `words` × 64 bits, of which a
   query and a row that it answers have one in common. */
typedef struct {
    const uint8_t *blocks;
    int64_t words;
    int shared;
} dqh_labels;

/* Rows at each distance, 0 to 64 words, of each query: first irrelevant, then relevant ones, (count, 2, 64 words + 1),
   which are increased. `allowed` is not read. */
int64_t dqh_hamming_histograms_scratch(int64_t count, int64_t words);
int dqh_hamming_histograms(const dqh_codes *codes, const dqh_labels *labels, const uint64_t *queries,
                           const uint64_t *query_labels, int64_t count, void *scratch, int64_t *histograms);

/* Squared L2 distance of a query (size) in float32 to rows `ids` (count) of float16, in float32. */
int dqh_squared_l2(const uint8_t *rows, int64_t number, int64_t size, const float *query, const int64_t *ids,
                   int64_t count, float *distances);

enum { DQH_ROWS = 1024 }; /* of a block of codewords, whose sums of tables are bounded together */

/* Codewords of rows, a byte each, in blocks of DQH_ROWS rows: those of the first subspace, then those of the second, …;
   the last block is filled up. The number of codewords is a power of two up to 256.

   With `scales` (rows), which are 1 / ‖x‖ of a row x or 0, a distance is 1 + scale · sum. Then norms follow the codewords
   of a block: a byte n a row, or with up to 16 codewords its low and then its high half a row, so that ‖x‖ is at least
   norm_least + n norm_step, and less than norm_least + 256 norm_step. */
typedef struct {
    const uint8_t *blocks;
    const uint8_t *allowed;
    const float *scales;
    double norm_least, norm_step;
    int64_t rows, subspaces, codewords, first, last;
} dqh_products;

/* Sums of look-up tables (count, subspaces, codewords) in float32, added up in order of the subspaces.

   nearest: the k nearest rows, ids and distances (count, k), equal distances by row; what is missing is -1 and infinity.
   within:  all rows up to `radius` away in order of their number, in two steps. With ids NULL `cursors` (count) are
            increased by the number of rows; else they are where the next row is put. */
int64_t dqh_tables_scratch(int64_t count, int64_t rows, int64_t subspaces, int64_t codewords, int64_t k);
int dqh_tables_nearest(const dqh_products *products, const float *tables, int64_t count, int64_t k, void *scratch,
                       int64_t *ids, float *distances);
int dqh_tables_within(const dqh_products *products, const float *tables, int64_t count, float radius, void *scratch,
                      int64_t *cursors, int64_t capacity, int64_t *ids, float *distances);

/* The same to rows that are as they were written: NaN where the CRC-32 of a row is not that of `sums` (number). */
int dqh_checked_l2(const uint8_t *rows, int64_t number, int64_t size, const uint32_t *sums, const float *query,
                   const int64_t *ids, int64_t count, float *distances);

/* Look-up tables (count, subspaces, codewords) of queries (count, subspaces × width): of each part of a query, times the
   rotation where there is one, and each codeword the squared L2 distance, or the product. In float64, sums from the first
   dimension to the last, rounded to float32. Columns of the codewords (subspaces, width, codewords), their squared norms
   (subspaces, codewords); scratch (subspaces × width). */
int dqh_query_tables(const double *queries, int64_t count, const float *rotation, const float *columns,
                     const double *norms, int64_t subspaces, int64_t codewords, int64_t width, int squared,
                     double *scratch, float *tables);

/* CRC-32, as of zlib, of each of `count` rows of `size` bytes. */
int dqh_crc32(const uint8_t *rows, int64_t count, int64_t size, uint32_t *sums);

#endif
