/* The kernels in plain C. */
#include "kernels.h"

#define TARGET
#define VECTOR uint64_t
#define LANES 1
#define UNROLL
#define SPREAD(value) ((uint64_t)(value))
#define LOAD(at) load(at)
#define STORE(to, value) (*(to) = (value))
#define XOR(one, other) ((one) ^ (other))
#define AND(one, other) ((one) & (other))
#define OR(one, other) ((one) | (other))
#define ADD(one, other) ((one) + (other))
#define MULTIPLY(one, other) ((one) * (other))
#define COUNT(value) count(value)
#define LESSER(one, other) ((one) < (other) ? (one) : (other))
#define BELOW(one, other) ((unsigned)((one) < (other)))
#define IF_ZERO(one, other) ((one) ? 0 : (other))

static inline uint64_t load(const void *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint64_t count(uint64_t value) {
#if defined(__aarch64__) || defined(__POPCNT__)
    return (uint64_t)__builtin_popcountll(value);
#else /* sums of neighbouring bits, as the built-in function is a call here */
    value -= (value >> 1) & 0x5555555555555555u;
    value = (value & 0x3333333333333333u) + ((value >> 2) & 0x3333333333333333u);
    return (((value + (value >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u) >> 56;
#endif
}

/* A float16 as float: its bits moved to where a float has them, and scaled by the difference of the exponents. */
static inline float widened(const uint8_t *at) {
    uint16_t half;
    memcpy(&half, at, sizeof half);
    uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
    float value;
    memcpy(&value, &bits, sizeof value);
    value *= 0x1p112f;
    memcpy(&bits, &value, sizeof bits);
    if ((half & 0x7c00) == 0x7c00) bits |= 0x7f800000u; /* infinity and NaN */
    bits |= (uint32_t)(half & 0x8000) << 16;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void squared_l2(const uint8_t *rows, int64_t size, const float *query, const int64_t *ids, int64_t count,
                       float *distances) {
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *row = rows + 2 * size * ids[i];
        float sums[16] = {0};
        for (int64_t j = 0; j < size; j++) {
            const float difference = query[j] - widened(row + 2 * j);
            sums[j % 16] += difference * difference;
        }
        for (int half = 8; half; half /= 2)
            for (int j = 0; j < half; j++) sums[j] += sums[j + half];
        distances[i] = sums[0];
    }
}

#define BOUNDS_16 NULL
#define BOUNDS_256 NULL
#define WIDE_BOUNDS_16 NULL
#define WIDE_BOUNDS_256 NULL
#include "kernels_of_set.h"

const dqh_kernels dqh_portable = KERNELS;
