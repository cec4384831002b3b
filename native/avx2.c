/* The kernels by AVX2, F16C and FMA: bits of half bytes from a table in a register. */
#include "kernels.h"

#if DQH_X86
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,f16c,fma")))
#define VECTOR __m256i
#define LANES 4
#define UNROLL _Pragma("GCC unroll 32")
#define SPREAD(value) _mm256_set1_epi64x((int64_t)(value))
#define LOAD(at) _mm256_loadu_si256((const __m256i *)(const void *)(at))
#define STORE(to, value) _mm256_storeu_si256((__m256i *)(void *)(to), value)
#define XOR(one, other) _mm256_xor_si256(one, other)
#define AND(one, other) _mm256_and_si256(one, other)
#define OR(one, other) _mm256_or_si256(one, other)
#define ADD(one, other) _mm256_add_epi64(one, other)
#define MULTIPLY(one, other) _mm256_mul_epu32(one, other)
#define COUNT(value) count(value)
#define LESSER(one, other) _mm256_min_epu32(one, other) /* distances are below 2^32 */
#define BELOW(one, other) ((unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(other, one))))
#define IF_ZERO(one, other) _mm256_and_si256(_mm256_cmpeq_epi64(one, _mm256_setzero_si256()), other)

TARGET static inline __m256i count(__m256i value) {
    const __m256i bits = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2,
                                          2, 3, 2, 3, 3, 4);
    const __m256i half = _mm256_set1_epi8(15);
    const __m256i low = _mm256_shuffle_epi8(bits, _mm256_and_si256(value, half));
    const __m256i high = _mm256_shuffle_epi8(bits, _mm256_and_si256(_mm256_srli_epi64(value, 4), half));
    return _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256());
}

/* 8 values of a row, or what is left of them, and zeros. */
TARGET static inline __m256 widened(const uint8_t *at, int64_t left) {
    uint8_t part[16] = {0};
    memcpy(part, at, (size_t)(left < 8 ? 2 * left : 16));
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)part));
}

TARGET static void squared_l2(const uint8_t *rows, int64_t size, const float *query, const int64_t *ids, int64_t count,
                              float *distances) {
    const int64_t whole = size / 16 * 16;
    float tail[16] = {0};
    memcpy(tail, query + whole, sizeof(float) * (size_t)(size - whole));
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *row = rows + 2 * size * ids[i];
        const uint8_t *next = rows + 2 * size * ids[i + 1 < count ? i + 1 : i];
        __m256 one = _mm256_setzero_ps(), other = _mm256_setzero_ps();
        for (int64_t j = 0; j < whole; j += 16) {
            if (j % 32 == 0) _mm_prefetch((const char *)next + 2 * j, _MM_HINT_T0);
            const __m256 a = _mm256_sub_ps(_mm256_loadu_ps(query + j),
                                           _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(row + 2 * j))));
            const __m256 b = _mm256_sub_ps(_mm256_loadu_ps(query + j + 8),
                                           _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(row + 2 * j + 16))));
            one = _mm256_fmadd_ps(a, a, one);
            other = _mm256_fmadd_ps(b, b, other);
        }
        for (int64_t j = whole; j < size; j += 8) {
            const __m256 a = _mm256_sub_ps(_mm256_loadu_ps(tail + (j - whole)), widened(row + 2 * j, size - j));
            one = _mm256_fmadd_ps(a, a, one);
        }
        float sums[8];
        _mm256_storeu_ps(sums, _mm256_add_ps(one, other));
        for (int half = 4; half; half /= 2)
            for (int j = 0; j < half; j++) sums[j] += sums[j + half];
        distances[i] = sums[0];
    }
}

#define BYTES __m256i
#define BYTE_LANES 32
#define BYTE_SUMS 8
#define BYTE_LOAD(at) LOAD(at)
#define BYTE_SPREAD(value) _mm256_set1_epi8((char)(value))
#define BYTE_ADD(one, other) _mm256_adds_epu8(one, other)
#define NOT_ABOVE(one, other) ((uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(one, other), one)))
#define PAIR_SPREAD(value) _mm256_set1_epi16((short)(value))
#define PAIR_ADD(one, other) _mm256_adds_epu16(one, other)
#define PAIR_LOW(values, low) AND(values, low)
#define PAIR_HIGH(values) _mm256_srli_epi16(values, 8)
#define PAIR_RAISED(values) _mm256_slli_epi16(values, 8)
#define PAIR_UPPER(values, low) _mm256_andnot_si256(low, values)
#define PAIR_NOT_ABOVE(one, other) _mm256_cmpeq_epi16(_mm256_min_epu16(one, other), one)
#define ALL_BITS(first, second, low) \
    ((uint32_t)_mm256_movemask_epi8(OR(AND(first, low), _mm256_andnot_si256(low, second))))
#define TABLE_16_LOAD(at) \
    const __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(at)))
#define TABLE_16_AT(places) _mm256_shuffle_epi8(table, places)
#define CODEWORDS 16
#include "table_bounds.h"
#define BOUNDS_16 bounds_16_sums
#define WIDE_BOUNDS_16 wide_bounds_16_sums
#define BOUNDS_256 NULL /* a register looks up 16 values */
#define WIDE_BOUNDS_256 NULL

#include "kernels_of_set.h"

const dqh_kernels dqh_avx2 = KERNELS;
#endif
