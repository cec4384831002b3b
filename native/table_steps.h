/* Look-up tables of one subspace as a bound needs them, a template over TARGET, which the compiler makes vectors of. */
enum { STEP_LANES = 16 };

/* The least value, the largest magnitude, and the mean, nearly; of a power of two of them. */
TARGET static void table_ends(const float *table, int64_t codewords, dqh_ends *ends) {
    float low[STEP_LANES], high[STEP_LANES], sums[STEP_LANES];
    const int lanes = codewords < STEP_LANES ? (int)codewords : STEP_LANES;
    for (int lane = 0; lane < STEP_LANES; lane++) low[lane] = table[lane % lanes], high[lane] = sums[lane] = 0;
    if (lanes == STEP_LANES) {
        for (int64_t start = 0; start < codewords; start += STEP_LANES)
            for (int lane = 0; lane < STEP_LANES; lane++) {
                const float value = table[start + lane], size = value < 0 ? -value : value;
                low[lane] = value < low[lane] ? value : low[lane];
                high[lane] = size > high[lane] ? size : high[lane];
                sums[lane] += value;
            }
    } else {
        for (int lane = 0; lane < lanes; lane++) high[lane] = low[lane] < 0 ? -low[lane] : low[lane], sums[lane] = low[lane];
    }
    *ends = (dqh_ends){low[0], high[0], 0};
    for (int lane = 0; lane < lanes; lane++) {
        ends->least = low[lane] < ends->least ? low[lane] : ends->least;
        ends->largest = high[lane] > ends->largest ? high[lane] : ends->largest;
        ends->mean += (double)sums[lane] / (double)codewords;
    }
}

/* Steps of values, up to 256, above the least of them, rounded down, as bytes up to 255 and whole, up to 65,535. Returns
   their sum beyond the bytes. */
TARGET static int64_t table_steps(const float *table, int64_t codewords, double least, double scale, uint8_t *octets,
                                  int32_t *whole) {
    int32_t lost = 0;
    for (int64_t i = 0; i < codewords; i++) {
        const double steps = (table[i] - least) * scale;
        whole[i] = (int32_t)(steps < 65535 ? steps : 65535);
    }
    for (int64_t i = 0; i < codewords; i++) {
        const int32_t octet = whole[i] < 255 ? whole[i] : 255;
        octets[i] = (uint8_t)octet;
        lost += whole[i] - octet;
    }
    return lost;
}
