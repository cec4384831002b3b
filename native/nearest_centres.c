/* The nearest of many centres to codes of a product quantizer, by sums of look-up tables.

   Tables in steps, a byte each, are summed first: of DQH_CENTRES centres in a few registers. They are rounded down, so
   that a centre whose sum of steps is above that of the nearest one so far is farther; the others are put aside, and
   summed exactly many at a time, so that none waits for the one before. */
#include <float.h>

#include "clustering.h"
#include "kernels.h"

enum { MOST_STEPS = 255, ASIDE = 1024, INFINITE_BITS = 0x7f800000 /* of an infinite float */ };

typedef struct {
    const dqh_code_distances *distances;
    const uint8_t *tables; /* (subspaces, codewords, DQH_CENTRES): steps from each codeword to that of each centre */
    const uint8_t *centres, *indices;
    int64_t first, count, points;
    uint8_t *limits; /* of each point: steps up to which a centre may be the nearest */
    uint64_t *keys;
} centre_block;

/* A bit each: whether a sum of steps is at most `limit`, and at most `slack` above the least one. */
typedef uint64_t (*step_scan)(const uint8_t *tables, const uint8_t *code, int64_t subspaces, int64_t table, int limit,
                              int slack);

static inline int lesser(int one, int other) { return one < other ? one : other; }

static uint64_t near_portable(const uint8_t *tables, const uint8_t *code, int64_t subspaces, int64_t table, int limit,
                              int slack) {
    uint8_t sums[DQH_CENTRES] = {0};
    for (int64_t subspace = 0; subspace < subspaces; subspace++) {
        const uint8_t *row = tables + subspace * table + code[subspace] * DQH_CENTRES;
        for (int lane = 0; lane < DQH_CENTRES; lane++) {
            const uint8_t sum = (uint8_t)(sums[lane] + row[lane]);
            sums[lane] = sum < row[lane] ? MOST_STEPS : sum;
        }
    }
    int least = MOST_STEPS;
    uint64_t near = 0;
    for (int lane = 0; lane < DQH_CENTRES; lane++) least = lesser(least, sums[lane]);
    limit = lesser(limit, least + slack);
    for (int lane = 0; least <= limit && lane < DQH_CENTRES; lane++) near |= (uint64_t)(sums[lane] <= limit) << lane;
    return near;
}

#if DQH_X86
#include <immintrin.h>

__attribute__((target("avx2"))) static inline int least_of(__m256i bytes) {
    const __m128i half = _mm_min_epu8(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
    return _mm_extract_epi8(_mm_minpos_epu16(_mm_min_epu8(half, _mm_srli_epi16(half, 8))), 0);
}

__attribute__((target("avx2"))) static inline uint64_t up_to(__m256i low, __m256i high, int limit) {
    const __m256i most = _mm256_set1_epi8((char)limit);
    const uint32_t first = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(low, most), low));
    const uint32_t second = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(high, most), high));
    return first | (uint64_t)second << 32;
}

__attribute__((target("avx2"))) static uint64_t near_avx2(const uint8_t *tables, const uint8_t *code, int64_t subspaces,
                                                          int64_t table, int limit, int slack) {
    __m256i low = _mm256_setzero_si256(), high = low;
    for (int64_t subspace = 0; subspace < subspaces; subspace++) {
        const uint8_t *row = tables + subspace * table + code[subspace] * DQH_CENTRES;
        low = _mm256_adds_epu8(low, _mm256_loadu_si256((const __m256i *)(const void *)row));
        high = _mm256_adds_epu8(high, _mm256_loadu_si256((const __m256i *)(const void *)(row + 32)));
    }
    const uint64_t near = up_to(low, high, limit);
    if (!(near & (near - 1))) return near;
    return up_to(low, high, lesser(limit, least_of(_mm256_min_epu8(low, high)) + slack));
}

#define AVX512 __attribute__((target("avx512f,avx512bw")))

AVX512 static uint64_t near_avx512(const uint8_t *tables, const uint8_t *code, int64_t subspaces, int64_t table,
                                   int limit, int slack) {
    __m512i sum = _mm512_setzero_si512();
    for (int64_t subspace = 0; subspace < subspaces; subspace++)
        sum = _mm512_adds_epu8(sum, _mm512_loadu_si512(tables + subspace * table + code[subspace] * DQH_CENTRES));
    const uint64_t near = _mm512_cmple_epu8_mask(sum, _mm512_set1_epi8((char)limit));
    if (!(near & (near - 1))) return near;
    const int least = least_of(_mm256_min_epu8(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1)));
    return _mm512_cmple_epu8_mask(sum, _mm512_set1_epi8((char)lesser(limit, least + slack)));
}
#endif

static step_scan scan_in_use(void) {
#if DQH_X86
    if (dqh_set() == DQH_AVX512) return near_avx512;
    if (dqh_set() == DQH_AVX2) return near_avx2;
#endif
    return near_portable;
}

/* Steps that a sum of tables may have for its distance to be at most that of a key. Sums are rounded in float32. */
static uint8_t steps_of(const dqh_code_distances *distances, uint64_t key) {
    const uint32_t bits = (uint32_t)(key >> 32);
    float distance;
    if (bits >= INFINITE_BITS) return MOST_STEPS;
    memcpy(&distance, &bits, sizeof distance);
    const double steps = distance * distances->scale * (1 + (double)(distances->subspaces + 4) * FLT_EPSILON);
    return steps < MOST_STEPS ? (uint8_t)steps : MOST_STEPS;
}

/* Sums of those aside, each point << 8 | centre of the block, and keys lowered to them. */
static void sum_exactly(const centre_block *block, const uint64_t *aside, int64_t length) {
    const dqh_code_distances *distances = block->distances;
    const int64_t subspaces = distances->subspaces, codewords = distances->codewords;
    for (int64_t i = 0; i < length; i++) {
        const int64_t point = (int64_t)(aside[i] >> 8), lane = (int64_t)(aside[i] & 0xff);
        const uint8_t *code = block->indices + point * subspaces, *centre = block->centres + lane * subspaces;
        float sum = 0;
        for (int64_t subspace = 0; subspace < subspaces; subspace++)
            sum += distances->values[(subspace * codewords + code[subspace]) * codewords + centre[subspace]];
        uint32_t bits;
        memcpy(&bits, &sum, sizeof bits);
        const uint64_t offered = (uint64_t)bits << 32 | (uint64_t)(block->first + lane);
        if (offered >= block->keys[point]) continue;
        block->keys[point] = offered;
        block->limits[point] = steps_of(distances, offered);
    }
}

static void compare(const centre_block *block, step_scan scan) {
    const int64_t subspaces = block->distances->subspaces, table = block->distances->codewords * DQH_CENTRES;
    const uint64_t present = ~(uint64_t)0 >> (DQH_CENTRES - block->count);
    uint64_t aside[ASIDE + DQH_CENTRES];
    int64_t length = 0;
    for (int64_t point = 0; point < block->points; point++) {
        const uint8_t *code = block->indices + point * subspaces;
        uint64_t near = scan(block->tables, code, subspaces, table, block->limits[point], (int)subspaces) & present;
        for (; near; near &= near - 1) aside[length++] = (uint64_t)point << 8 | (uint64_t)__builtin_ctzll(near);
        if (length < ASIDE) continue;
        sum_exactly(block, aside, length);
        length = 0;
    }
    sum_exactly(block, aside, length);
}

/* The tables of a block: for each codeword its steps to those of the centres, as many as there can be to none. */
static void make_tables(const centre_block *block, uint8_t *tables) {
    const int64_t subspaces = block->distances->subspaces, codewords = block->distances->codewords, count = block->count;
    const uint8_t *steps = block->distances->steps;
    uint8_t own[DQH_CENTRES] = {0}, row[DQH_CENTRES];
    memset(row, MOST_STEPS, sizeof row);
    for (int64_t subspace = 0; subspace < subspaces; subspace++) {
        for (int64_t lane = 0; lane < count; lane++) own[lane] = block->centres[lane * subspaces + subspace];
        for (int64_t codeword = 0; codeword < codewords; codeword++, tables += DQH_CENTRES, steps += codewords) {
            for (int64_t lane = 0; lane < count; lane++) row[lane] = steps[own[lane]];
            memcpy(tables, row, sizeof row);
        }
    }
}

static int are_codewords(const uint8_t *indices, int64_t count, int64_t codewords) {
    int largest = 0;
    for (int64_t i = 0; i < count; i++) largest = indices[i] > largest ? indices[i] : largest;
    return largest < codewords;
}

int dqh_nearest_centres(const dqh_code_distances *distances, const uint8_t *centres, int64_t count,
                        const uint8_t *indices, int64_t points, uint8_t *scratch, uint64_t *keys) {
    const step_scan scan = scan_in_use();
    const int64_t subspaces = distances->subspaces;
    uint8_t *limits = scratch + subspaces * distances->codewords * DQH_CENTRES;
    if (!are_codewords(centres, count * subspaces, distances->codewords) ||
        !are_codewords(indices, points * subspaces, distances->codewords) || !(distances->scale >= 0))
        return DQH_ARGUMENT;
    for (int64_t point = 0; point < points; point++) limits[point] = steps_of(distances, keys[point]);
    for (int64_t first = 0; first < count; first += DQH_CENTRES) {
        const int64_t lanes = count - first < DQH_CENTRES ? count - first : DQH_CENTRES;
        const centre_block block = {distances, scratch, centres + first * subspaces, indices, first,
                                    lanes,     points,  limits,                      keys};
        make_tables(&block, scratch);
        compare(&block, scan);
    }
    return DQH_OK;
}
