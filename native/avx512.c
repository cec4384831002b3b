/* The kernels by AVX-512: bits of 8 codes at once. */
#include "kernels.h"

#if DQH_X86
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vpopcntdq")))
#define VECTOR __m512i
#define LANES 8
#define UNROLL _Pragma("GCC unroll 32")
#define SPREAD(value) _mm512_set1_epi64((int64_t)(value))
#define LOAD(at) _mm512_loadu_si512(at)
#define STORE(to, value) _mm512_storeu_si512(to, value)
#define XOR(one, other) _mm512_xor_si512(one, other)
#define AND(one, other) _mm512_and_si512(one, other)
#define OR(one, other) _mm512_or_si512(one, other)
#define ADD(one, other) _mm512_add_epi64(one, other)
#define MULTIPLY(one, other) _mm512_mul_epu32(one, other)
#define COUNT(value) _mm512_popcnt_epi64(value)
#define LESSER(one, other) _mm512_min_epu32(one, other) /* distances are below 2^32; that of 64 bits is slower */
#define BELOW(one, other) ((unsigned)_mm512_cmplt_epu64_mask(one, other))
#define IF_ZERO(one, other) _mm512_maskz_mov_epi64(_mm512_testn_epi64_mask(one, one), other)

/* Differences of 16 values of a row, those of `these`, from the query, squared and added to a sum. */
TARGET static inline __m512 added(__m512 sum, const float *query, const uint8_t *row, __mmask16 these) {
    const __m512 values = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(these, row));
    const __m512 difference = _mm512_sub_ps(_mm512_maskz_loadu_ps(these, query), values);
    return _mm512_fmadd_ps(difference, difference, sum);
}

TARGET static void squared_l2(const uint8_t *rows, int64_t size, const float *query, const int64_t *ids, int64_t count,
                              float *distances) {
    const int64_t whole = size / 32 * 32;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *row = rows + 2 * size * ids[i];
        const uint8_t *next = rows + 2 * size * ids[i + 1 < count ? i + 1 : i];
        __m512 one = _mm512_setzero_ps(), other = _mm512_setzero_ps();
        for (int64_t j = 0; j < whole; j += 32) {
            _mm_prefetch((const char *)next + 2 * j, _MM_HINT_T0); /* the next row is anywhere in memory */
            one = added(one, query + j, row + 2 * j, 0xffff);
            other = added(other, query + j + 16, row + 2 * j + 32, 0xffff);
        }
        for (int64_t j = whole; j < size; j += 16) {
            const int left = size - j < 16 ? (int)(size - j) : 16;
            one = added(one, query + j, row + 2 * j, (__mmask16)((1u << left) - 1));
        }
        distances[i] = _mm512_reduce_add_ps(_mm512_add_ps(one, other));
    }
}

#define BYTES __m512i
#define BYTE_LANES 64
#define BYTE_SUMS 16
#define BYTE_LOAD(at) LOAD(at)
#define BYTE_SPREAD(value) _mm512_set1_epi8((char)(value))
#define BYTE_ADD(one, other) _mm512_adds_epu8(one, other)
#define NOT_ABOVE(one, other) _mm512_cmple_epu8_mask(one, other)
#define PAIR_SPREAD(value) _mm512_set1_epi16((short)(value))
#define PAIR_ADD(one, other) _mm512_adds_epu16(one, other)
#define PAIR_LOW(values, low) AND(values, low)
#define PAIR_HIGH(values) _mm512_srli_epi16(values, 8)
#define PAIR_RAISED(values) _mm512_slli_epi16(values, 8)
#define PAIR_UPPER(values, low) _mm512_andnot_si512(low, values)
#define PAIR_NOT_ABOVE(one, other) _mm512_movm_epi16(_mm512_cmple_epu16_mask(one, other))
#define ALL_BITS(first, second, low) _mm512_movepi8_mask(OR(AND(first, low), _mm512_andnot_si512(low, second)))
#define TABLE_16_LOAD(at) \
    const __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)(at)))
#define TABLE_16_AT(places) _mm512_shuffle_epi8(table, places)
#define TABLE_256_LOAD(at)                                        \
    const __m512i first = LOAD(at), second = LOAD((at) + 64);     \
    const __m512i third = LOAD((at) + 128), fourth = LOAD((at) + 192)
#define TABLE_256_AT(places) of_256(first, second, third, fourth, places)

/* Values of a table of 256: of either half by the low 7 bits of a place, chosen by its highest one. */
TARGET static inline __m512i of_256(__m512i first, __m512i second, __m512i third, __m512i fourth, __m512i places) {
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(places), _mm512_permutex2var_epi8(first, places, second),
                                  _mm512_permutex2var_epi8(third, places, fourth));
}

#define CODEWORDS 16
#include "table_bounds.h"
#define CODEWORDS 256
#include "table_bounds.h"
#define BOUNDS_16 bounds_16_sums
#define BOUNDS_256 bounds_256_sums
#define WIDE_BOUNDS_16 wide_bounds_16_sums
#define WIDE_BOUNDS_256 wide_bounds_256_sums

#include "kernels_of_set.h"

const dqh_kernels dqh_avx512 = KERNELS;
#endif
