/* What bounds a search of codes: loops that only read and compare, beside which benchmarks/search_kernels.py puts it. */
#include <stdint.h>

/* Bits in which `count` words differ from one word, all together. */
uint64_t stream(const uint64_t *words, int64_t count, uint64_t query) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (uint64_t)__builtin_popcountll(words[i] ^ query);
    return sum;
}

/* How many of `count` words differ from each of 4 in fewer than `limit` bits; `rounds` times over. */
uint64_t compare(const uint64_t *words, int64_t count, const uint64_t *queries, uint64_t limit, int64_t rounds) {
    uint64_t near[4] = {0};
    const uint64_t a = queries[0], b = queries[1], c = queries[2], d = queries[3];
    for (int64_t round = 0; round < rounds; round++) {
        uint64_t at[4] = {0};
        for (int64_t i = 0; i < count; i++) {
            at[0] += (uint64_t)__builtin_popcountll(words[i] ^ a) < limit;
            at[1] += (uint64_t)__builtin_popcountll(words[i] ^ b) < limit;
            at[2] += (uint64_t)__builtin_popcountll(words[i] ^ c) < limit;
            at[3] += (uint64_t)__builtin_popcountll(words[i] ^ d) < limit;
        }
        for (int q = 0; q < 4; q++) near[q] += at[q];
        __asm__ volatile("" ::: "memory");
    }
    return near[0] + near[1] + near[2] + near[3];
}
