/* The kernels by AVX-512: bits of 8 codes at once. */
#include "kernels.h"

#if DQH_X86
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")))
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

#include "kernels_of_set.h"

const dqh_kernels dqh_avx512 = KERNELS;
#endif
