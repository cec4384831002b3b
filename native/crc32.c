/* CRC-32 of rows, as of zlib and IEEE 802.3: the reflected polynomial 0xedb88320, all bits inverted before and after. */
#include "kernels.h"

enum { SLICES = DQH_CRC_SLICES };

/* tables[0] is of one byte; tables[s][b] of byte b with s bytes of zero behind it. */
static void make_tables(uint32_t tables[SLICES][256]) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t rest = byte;
        for (int bit = 0; bit < 8; bit++) rest = rest >> 1 ^ (rest & 1 ? 0xedb88320u : 0);
        tables[0][byte] = rest;
    }
    for (int slice = 1; slice < SLICES; slice++)
        for (int byte = 0; byte < 256; byte++) {
            const uint32_t before = tables[slice - 1][byte];
            tables[slice][byte] = before >> 8 ^ tables[0][before & 0xff];
        }
}

/* Goes on from `rest`, which is not inverted here, 8 bytes at a time. */
static uint32_t by_tables(uint32_t tables[SLICES][256], uint32_t rest, const uint8_t *at, int64_t size) {
    for (; size >= SLICES; size -= SLICES, at += SLICES) {
        const uint32_t first = (uint32_t)at[0] | (uint32_t)at[1] << 8, second = (uint32_t)at[2] | (uint32_t)at[3] << 8;
        const uint32_t low = rest ^ (first | second << 16);
        rest = tables[7][low & 0xff] ^ tables[6][low >> 8 & 0xff] ^ tables[5][low >> 16 & 0xff] ^ tables[4][low >> 24];
        rest ^= tables[3][at[4]] ^ tables[2][at[5]] ^ tables[1][at[6]] ^ tables[0][at[7]];
    }
    for (; size; size--, at++) rest = rest >> 8 ^ tables[0][(rest ^ *at) & 0xff];
    return rest;
}

#if DQH_X86
#include <immintrin.h>

#define TARGET __attribute__((target("sse4.1,pclmul")))

TARGET static inline __m128i load(const uint8_t *at) { return _mm_loadu_si128((const __m128i *)(const void *)at); }

/* 128 bits moved on by as many bits as the factors stand for. */
TARGET static inline __m128i folded(__m128i bits, __m128i factors) {
    return _mm_xor_si128(_mm_clmulepi64_si128(bits, factors, 0x00), _mm_clmulepi64_si128(bits, factors, 0x11));
}

#define WIDE_TARGET __attribute__((target("avx512f,vpclmulqdq,sse4.1,pclmul")))

WIDE_TARGET static inline __m512i wide_folded(__m512i bits, __m512i factors) {
    return _mm512_xor_si512(_mm512_clmulepi64_epi128(bits, factors, 0x00), _mm512_clmulepi64_epi128(bits, factors, 0x11));
}

/* As below, four times 512 bits, of at least 256 bytes; what is left of all whole 64 bytes is four times 128 bits. Returns
   how many bytes these are. */
WIDE_TARGET static int64_t by_wide_products(uint32_t rest, const uint8_t *at, int64_t size, __m128i *sums) {
    const __m512i by_2048 = _mm512_broadcast_i32x4(_mm_set_epi64x(0x1322d1430, 0x11542778a));
    const __m512i by_512 = _mm512_broadcast_i32x4(_mm_set_epi64x(0x1c6e41596, 0x154442bd4));
    const int64_t whole = size / 64 * 64;
    __m512i wide[4];
    for (int i = 0; i < 4; i++) wide[i] = _mm512_loadu_si512(at + 64 * i);
    wide[0] = _mm512_xor_si512(wide[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)rest)));
    int64_t done = 256;
    for (; done + 256 <= whole; done += 256) {
        _Pragma("GCC unroll 4")
        for (int i = 0; i < 4; i++)
            wide[i] = _mm512_xor_si512(wide_folded(wide[i], by_2048), _mm512_loadu_si512(at + done + 64 * i));
    }
    __m512i sum = wide[0];
    for (int i = 1; i < 4; i++) sum = _mm512_xor_si512(wide_folded(sum, by_512), wide[i]);
    for (; done < whole; done += 64) sum = _mm512_xor_si512(wide_folded(sum, by_512), _mm512_loadu_si512(at + done));
    _mm512_storeu_si512(sums, sum);
    return whole;
}

/* At least 64 bytes, a multiple of 16, by products without carries (Gopal et al., Intel 2009): four times 128 bits are
   folded over the next 64 bytes, then into one, and that is reduced as Barrett does. */
TARGET static uint32_t by_products(uint32_t rest, const uint8_t *at, int64_t size) {
    const __m128i by_512 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4), by_128 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
    const __m128i by_64 = _mm_set_epi64x(0, 0x163cd6124), reduce = _mm_set_epi64x(0x1f7011641, 0x1db710641);
    const __m128i low = _mm_setr_epi32(-1, 0, -1, 0);
    __m128i sums[4];
    if (size >= 256 && dqh_set() == DQH_AVX512) {
        const int64_t done = by_wide_products(rest, at, size, sums);
        at += done, size -= done;
    } else {
        for (int i = 0; i < 4; i++) sums[i] = load(at + 16 * i);
        sums[0] = _mm_xor_si128(sums[0], _mm_cvtsi32_si128((int)rest));
        for (at += 64, size -= 64; size >= 64; at += 64, size -= 64) {
            _Pragma("GCC unroll 4")
            for (int i = 0; i < 4; i++) sums[i] = _mm_xor_si128(folded(sums[i], by_512), load(at + 16 * i));
        }
    }
    __m128i sum = sums[0];
    for (int i = 1; i < 4; i++) sum = _mm_xor_si128(folded(sum, by_128), sums[i]);
    for (; size; at += 16, size -= 16) sum = _mm_xor_si128(folded(sum, by_128), load(at));
    sum = _mm_xor_si128(_mm_srli_si128(sum, 8), _mm_clmulepi64_si128(sum, by_128, 0x10));
    sum = _mm_xor_si128(_mm_srli_si128(sum, 4), _mm_clmulepi64_si128(_mm_and_si128(sum, low), by_64, 0x00));
    __m128i part = _mm_and_si128(_mm_clmulepi64_si128(_mm_and_si128(sum, low), reduce, 0x10), low);
    part = _mm_clmulepi64_si128(part, reduce, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(sum, part), 1);
}
#endif

uint32_t dqh_crc32_of(dqh_crc_tables *tables, const uint8_t *row, int64_t size) {
    uint32_t rest = 0xffffffffu;
    int64_t done = 0;
#if DQH_X86
    if (size >= 64 && dqh_set() != DQH_PORTABLE) {
        done = size / 16 * 16;
        rest = by_products(rest, row, done);
    }
#endif
    if (done < size && !tables->made) {
        make_tables(tables->values);
        tables->made = 1;
    }
    return ~by_tables(tables->values, rest, row + done, size - done);
}

int dqh_crc32(const uint8_t *rows, int64_t count, int64_t size, uint32_t *sums) {
    dqh_crc_tables tables;
    tables.made = 0;
    for (int64_t row = 0; row < count; row++) sums[row] = dqh_crc32_of(&tables, rows + row * size, size);
    return DQH_OK;
}
