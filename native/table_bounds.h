/* Lower bounds of sums of look-up tables in bytes, a template over the macros of an instruction set; included once for
   each size of a table, CODEWORDS 16 or 256.

   BYTES, BYTE_LANES                     vectors of bytes
   BYTE_LOAD, BYTE_SPREAD, BYTE_ADD      the sum stays at 255
   TABLE_n, TABLE_LOAD_n, LOOK_UP_n      n = CODEWORDS: a table in registers, and its values at some places
   NOT_ABOVE                             bit l: lane l of the one is at most that of the other

   Of 1,024 rows from `indices` on, bit r % 64 of near[r / 64] says whether the sum is at most `limit`. */
TARGET static void DQH_JOIN(bounds, CODEWORDS, sums)(const uint8_t *indices, int64_t stride, int64_t subspaces,
                                                     const uint8_t *tables, int limit, uint64_t *near) {
    const BYTES most = BYTE_SPREAD(limit);
    for (int start = 0; start < DQH_ROWS; start += BYTE_LANES * BYTE_SUMS) {
        BYTES sums[BYTE_SUMS];
        UNROLL
        for (int i = 0; i < BYTE_SUMS; i++) sums[i] = BYTE_SPREAD(0);
        for (int64_t subspace = 0; subspace < subspaces; subspace++) {
            const uint8_t *at = indices + subspace * stride + start;
            DQH_JOIN(TABLE, CODEWORDS, LOAD)(tables + subspace * CODEWORDS);
            UNROLL
            for (int i = 0; i < BYTE_SUMS; i++)
                sums[i] = BYTE_ADD(sums[i], DQH_JOIN(TABLE, CODEWORDS, AT)(BYTE_LOAD(at + i * BYTE_LANES)));
        }
        UNROLL
        for (int i = 0; i < BYTE_SUMS; i++) {
            const int row = start + i * BYTE_LANES;
            near[row / 64] |= (uint64_t)NOT_ABOVE(sums[i], most) << (row % 64);
        }
    }
}
#undef CODEWORDS
