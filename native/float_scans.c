/* The smallest values of rows, and the least sums of two rows: scans of floats by each instruction set. */
#include <math.h>

#include "clustering.h"
#include "kernels.h"

enum { CHUNK = 1024 }; /* columns that are compared with one limit */

/* A float as a number that is ordered as floats are, -0 as +0. */
static inline uint32_t ordered(float value) {
    uint32_t bits;
    value += 0.0f;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static inline float of_ordered(uint32_t bits) {
    float value;
    bits = bits & 0x80000000u ? bits & 0x7fffffffu : ~bits;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#define SET portable
#define TARGET
#define FLOATS float
#define WIDTH 1
#define PUT(to, value) (*(to) = (value))
#define TAKE(at) (*(at))
#define FILL(value) (value)
#define SUM(one, other) ((one) + (other))
#define LEAST(one, other) ((one) < (other) ? (one) : (other))
#define UNDER(one, other) ((one) < (other))
#include "float_scans.h"

#if DQH_X86
#include <immintrin.h>

#define SET avx2
#define TARGET __attribute__((target("avx2,f16c,fma")))
#define FLOATS __m256
#define WIDTH 8
#define PUT(to, value) _mm256_storeu_ps(to, value)
#define TAKE(at) _mm256_loadu_ps(at)
#define FILL(value) _mm256_set1_ps(value)
#define SUM(one, other) _mm256_add_ps(one, other)
#define LEAST(one, other) _mm256_min_ps(one, other)
#define UNDER(one, other) ((uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(one, other, _CMP_LT_OQ)))
#include "float_scans.h"

#define SET avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#define FLOATS __m512
#define WIDTH 16
#define PUT(to, value) _mm512_storeu_ps(to, value)
#define TAKE(at) _mm512_loadu_ps(at)
#define FILL(value) _mm512_set1_ps(value)
#define SUM(one, other) _mm512_add_ps(one, other)
#define LEAST(one, other) _mm512_min_ps(one, other)
#define UNDER(one, other) _mm512_cmp_ps_mask(one, other, _CMP_LT_OQ)
#include "float_scans.h"
#endif

typedef int64_t (*below_scan)(const float *values, int64_t column, int64_t stop, float limit, uint64_t *keys);
typedef float (*sum_scan)(const float *one, const float *other, int64_t count);

static below_scan columns_below(void) {
#if DQH_X86
    if (dqh_set() == DQH_AVX512) return columns_below_avx512;
    if (dqh_set() == DQH_AVX2) return columns_below_avx2;
#endif
    return columns_below_portable;
}

static sum_scan least_sum(void) {
#if DQH_X86
    if (dqh_set() == DQH_AVX512) return least_sum_avx512;
    if (dqh_set() == DQH_AVX2) return least_sum_avx2;
#endif
    return least_sum_portable;
}

static inline void swap(uint64_t *one, uint64_t *other) {
    const uint64_t kept = *one;
    *one = *other;
    *other = kept;
}

/* Moves what is below a key of the middle before what is not, and returns where the second part begins: keys differ. */
static int64_t split(uint64_t *keys, int64_t length) {
    const int64_t last = length - 1, middle = last / 2;
    if (keys[middle] < keys[0]) swap(keys + middle, keys);
    if (keys[last] < keys[0]) swap(keys + last, keys);
    if (keys[middle] < keys[last]) swap(keys + middle, keys + last);
    const uint64_t pivot = keys[last]; /* the middle one of three */
    int64_t start = 0;
    for (int64_t i = 0; i < last; i++)
        if (keys[i] < pivot) swap(keys + i, keys + start++);
    swap(keys + start, keys + last);
    return start;
}

/* Puts the `width` smallest keys first. */
static void select_smallest(uint64_t *keys, int64_t length, int64_t width) {
    while (length > width && width > 0) {
        const int64_t start = split(keys, length);
        if (start >= width) {
            length = start;
        } else {
            keys += start + 1;
            length -= start + 1;
            width -= start + 1;
        }
    }
}

void dqh_sort_keys(uint64_t *keys, int64_t length) {
    while (length > 16) { /* the shorter part by a call, so that calls nest no deeper than log2 of the length */
        const int64_t start = split(keys, length), rest = length - start - 1;
        if (start < rest) {
            dqh_sort_keys(keys, start);
            keys += start + 1;
            length = rest;
        } else {
            dqh_sort_keys(keys + start + 1, rest);
            length = start;
        }
    }
    for (int64_t i = 1; i < length; i++)
        for (int64_t j = i; j > 0 && keys[j] < keys[j - 1]; j--) swap(keys + j, keys + j - 1);
}

/* The largest of keys, as a float. */
static float largest_of(const uint64_t *keys, int64_t length) {
    uint64_t largest = 0;
    for (int64_t i = 0; i < length; i++)
        if (keys[i] > largest) largest = keys[i];
    return of_ordered((uint32_t)(largest >> 32));
}

/* Keys of the columns below what, by each 16th of them, should have the `width` smallest under it, by three deviations;
   where that says nothing, or too few are, none. */
static int64_t likely(below_scan scan, const float *values, int64_t columns, int64_t width, uint64_t *keys) {
    const int64_t looked_at = columns / 16, mean = width / 16 + 1;
    int64_t wanted = mean + 4;
    while ((wanted - mean) * (wanted - mean) < 9 * mean) wanted++;
    if (3 * wanted > looked_at) return 0;
    for (int64_t i = 0; i < looked_at; i++) keys[i] = (uint64_t)ordered(values[16 * i]) << 32 | (uint64_t)i;
    select_smallest(keys, looked_at, wanted);
    const int64_t length = scan(values, 0, columns, largest_of(keys, wanted), keys);
    return length < width ? 0 : length;
}

int dqh_smallest(const float *values, int64_t rows, int64_t columns, const float *offsets, int64_t width,
                 uint64_t *scratch, int32_t *places, float *smallest) {
    if (width < 1 || width > columns || columns > INT32_MAX) return DQH_ARGUMENT;
    const below_scan scan = columns_below();
    for (int64_t row = 0; row < rows; row++, values += columns) {
        int64_t length = likely(scan, values, columns, width, scratch);
        const int is_done = length > 0;
        float limit = INFINITY;
        for (int64_t column = 0; column < columns && !is_done; column += CHUNK) {
            const int64_t stop = columns - column < CHUNK ? columns : column + CHUNK;
            length += scan(values, column, stop, limit, scratch + length);
            if (length < 2 * width && column) continue;
            select_smallest(scratch, length, width);
            if (length >= width) {
                length = width;
                limit = largest_of(scratch, width);
            }
        }
        if (length < width) return DQH_ARGUMENT; /* values that are not finite */
        select_smallest(scratch, length, width);
        dqh_sort_keys(scratch, width);
        for (int64_t i = 0; i < width; i++) {
            const float value = of_ordered((uint32_t)(scratch[i] >> 32)) + offsets[row];
            places[row * width + i] = (int32_t)(scratch[i] & 0xffffffffu);
            smallest[row * width + i] = value > 0 ? value : 0;
        }
    }
    return DQH_OK;
}

int dqh_nearest_sums(const float *one, const float *other, int64_t codewords, int64_t count, const uint32_t *numbers,
                     int64_t cells, int64_t first, uint64_t *keys) {
    const sum_scan scan = least_sum();
    for (int64_t cell = 0; cell < cells; cell++) {
        const int64_t i = numbers[cell] / codewords, j = numbers[cell] % codewords;
        if (i >= codewords) return DQH_ARGUMENT;
        const float *left = one + i * count, *right = other + j * count;
        const float least = scan(left, right, count) + 0.0f;
        uint32_t bits;
        memcpy(&bits, &least, sizeof bits);
        if ((uint64_t)bits > keys[cell] >> 32) continue;
        int64_t place = 0;
        while (place < count && left[place] + right[place] != least) place++;
        if (place == count) return DQH_ARGUMENT; /* values that are not numbers */
        const uint64_t key = (uint64_t)bits << 32 | (uint64_t)(first + place);
        if (key < keys[cell]) keys[cell] = key;
    }
    return DQH_OK;
}
