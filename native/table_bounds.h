/* Lower bounds of sums of look-up tables in bytes, a template over the macros of an instruction set; included once for
   each size of a table, CODEWORDS 16 or 256.

   BYTES, BYTE_LANES                     vectors of bytes
   BYTE_LOAD, BYTE_SPREAD, BYTE_ADD      the sum stays at 255
   TABLE_n_LOAD, TABLE_n_AT              n = CODEWORDS: a table in registers, and its values at some places
   NOT_ABOVE                             bit l: lane l of the one is at most that of the other
   PAIR_SPREAD, PAIR_ADD                 two bytes as a number of 16 bits, the sum stays at 65,535
   PAIR_LOW, PAIR_HIGH                   either byte of it as a number; PAIR_RAISED, PAIR_UPPER: 256 times that
   PAIR_NOT_ABOVE, ALL_BITS              of the numbers: all bits, or none; bit l: lane l of bytes is not zero

   Of the 1,024 rows of a block, bit r % 64 of near[r / 64] says whether the sum is at most `limit`: of `bounds` a sum
   of up to 255, of `wide_bounds` one of up to 65,535. */
TARGET static void DQH_JOIN(bounds, CODEWORDS, sums)(const uint8_t *block, int64_t subspaces,
                                                     const dqh_steps *tables, int limit, uint64_t *near) {
    const BYTES most = BYTE_SPREAD(limit);
    for (int start = 0; start < DQH_ROWS; start += BYTE_LANES * BYTE_SUMS) {
        BYTES sums[BYTE_SUMS];
        UNROLL
        for (int i = 0; i < BYTE_SUMS; i++) sums[i] = BYTE_SPREAD(0);
        for (int64_t subspace = 0; subspace < subspaces; subspace++) {
            const uint8_t *at = block + subspace * DQH_ROWS + start;
            DQH_JOIN(TABLE, CODEWORDS, LOAD)(tables->low + subspace * CODEWORDS);
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

/* Of four subspaces that lie far apart the bytes are added up as such, then in 16 bits: neighbours, as of principal
   components, have the longest steps together. */
TARGET static void DQH_JOIN(wide_bounds, CODEWORDS, sums)(const uint8_t *block, int64_t subspaces,
                                                          const dqh_steps *tables, int limit, uint64_t *near) {
    enum { SUMS = BYTE_SUMS / 2 };
    const BYTES most = PAIR_SPREAD(limit), low = PAIR_SPREAD(255);
    const int64_t quarter = (subspaces + 3) / 4;
    for (int start = 0; start < DQH_ROWS; start += BYTE_LANES * SUMS) {
        BYTES even[SUMS], odd[SUMS];
        UNROLL
        for (int i = 0; i < SUMS; i++) even[i] = odd[i] = BYTE_SPREAD(0);
        for (int64_t first = 0; first < quarter; first++) {
            BYTES sums[SUMS];
            UNROLL
            for (int i = 0; i < SUMS; i++) sums[i] = BYTE_SPREAD(0);
            for (int64_t subspace = first; subspace < subspaces; subspace += quarter) {
                const uint8_t *at = block + subspace * DQH_ROWS + start;
                DQH_JOIN(TABLE, CODEWORDS, LOAD)(tables->low + subspace * CODEWORDS);
                UNROLL
                for (int i = 0; i < SUMS; i++)
                    sums[i] = BYTE_ADD(sums[i], DQH_JOIN(TABLE, CODEWORDS, AT)(BYTE_LOAD(at + i * BYTE_LANES)));
            }
            UNROLL
            for (int i = 0; i < SUMS; i++) {
                even[i] = PAIR_ADD(even[i], PAIR_LOW(sums[i], low));
                odd[i] = PAIR_ADD(odd[i], PAIR_HIGH(sums[i]));
            }
        }
        for (int64_t number = 0; number < tables->heavies; number++) {
            const uint8_t *at = block + tables->heavy[number] * DQH_ROWS + start;
            for (int octet = 0; octet < 2; octet++) {
                DQH_JOIN(TABLE, CODEWORDS, LOAD)(tables->high + (2 * number + octet) * CODEWORDS);
                UNROLL
                for (int i = 0; i < SUMS; i++) {
                    const BYTES values = DQH_JOIN(TABLE, CODEWORDS, AT)(BYTE_LOAD(at + i * BYTE_LANES));
                    even[i] = PAIR_ADD(even[i], octet ? PAIR_RAISED(values) : PAIR_LOW(values, low));
                    odd[i] = PAIR_ADD(odd[i], octet ? PAIR_UPPER(values, low) : PAIR_HIGH(values));
                }
            }
        }
        UNROLL
        for (int i = 0; i < SUMS; i++) {
            const int row = start + i * BYTE_LANES;
            const BYTES first = PAIR_NOT_ABOVE(even[i], most), second = PAIR_NOT_ABOVE(odd[i], most);
            near[row / 64] |= (uint64_t)ALL_BITS(first, second, low) << (row % 64);
        }
    }
}
#undef CODEWORDS
