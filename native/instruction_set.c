/* Which instructions this processor, and its system, let a program use. */
#include "kernels.h"

static int in_use = DQH_PORTABLE;

#if DQH_X86
#include <cpuid.h>

/* The registers that the system keeps when it switches between programs. */
static uint64_t kept_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

int dqh_best_set(void) {
    unsigned a, b, c, d;
    const unsigned osxsave = 1u << 27, f16c = 1u << 29, fma = 1u << 12, pclmul = 1u << 1;
    const unsigned wanted = osxsave | f16c | fma | pclmul;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & wanted) != wanted) return DQH_PORTABLE;
    const uint64_t kept = kept_registers();
    if ((kept & 0x06) != 0x06 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return DQH_PORTABLE;
    const unsigned avx2 = 1u << 5, f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31; /* of b */
    const unsigned vbmi = 1u << 1, vpclmulqdq = 1u << 10, vpopcntdq = 1u << 14;               /* of c */
    const unsigned all = f | dq | bw | vl;
    if (!(b & avx2)) return DQH_PORTABLE;
    const unsigned more = vbmi | vpclmulqdq | vpopcntdq;
    const int wide = (kept & 0xe6) == 0xe6 && (b & all) == all && (c & more) == more;
    return wide ? DQH_AVX512 : DQH_AVX2;
}
#else
int dqh_best_set(void) { return DQH_PORTABLE; }
#endif

int dqh_set(void) { return in_use; }

int dqh_use_set(int set) {
    if (set < 0 || set > dqh_best_set()) return DQH_ARGUMENT;
    in_use = set;
    return DQH_OK;
}

const dqh_kernels *dqh_in_use(void) {
#if DQH_X86
    if (in_use == DQH_AVX2) return &dqh_avx2;
    if (in_use == DQH_AVX512) return &dqh_avx512;
#endif
    return &dqh_portable;
}
