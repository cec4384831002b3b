/* Scans of rows of floats, a template over the macros of an instruction set; included once for each by float_scans.c.

   SET, TARGET                     what its functions end with, and their attribute
   FLOATS, WIDTH, PUT, LEAST       a vector of floats, its length, into memory, and the lesser in each lane
   TAKE, FILL, SUM                 out of memory, a number in all lanes, and a sum
   UNDER                           bit l: lane l of the one is below that of the other */

/* Keys of the columns `column` to `stop` of a row that are below a limit, and how many. */
TARGET static int64_t DQH_JOIN(columns, below, SET)(const float *values, int64_t column, int64_t stop, float limit,
                                                    uint64_t *keys) {
    const FLOATS bound = FILL(limit);
    int64_t length = 0;
    for (; column + 4 * WIDTH <= stop; column += 4 * WIDTH) {
        uint64_t near = 0;
        for (int part = 0; part < 4; part++)
            near |= (uint64_t)UNDER(TAKE(values + column + part * WIDTH), bound) << (part * WIDTH);
        for (; near; near &= near - 1) {
            const int64_t place = column + __builtin_ctzll(near);
            keys[length++] = (uint64_t)ordered(values[place]) << 32 | (uint64_t)place;
        }
    }
    for (; column < stop; column++)
        if (values[column] < limit) keys[length++] = (uint64_t)ordered(values[column]) << 32 | (uint64_t)column;
    return length;
}

/* The least sum of two rows. */
TARGET static float DQH_JOIN(least, sum, SET)(const float *one, const float *other, int64_t count) {
    FLOATS least[4];
    for (int part = 0; part < 4; part++) least[part] = FILL(INFINITY);
    int64_t at = 0;
    for (; at + 4 * WIDTH <= count; at += 4 * WIDTH)
        for (int part = 0; part < 4; part++)
            least[part] = LEAST(least[part], SUM(TAKE(one + at + part * WIDTH), TAKE(other + at + part * WIDTH)));
    for (; at + WIDTH <= count; at += WIDTH) least[0] = LEAST(least[0], SUM(TAKE(one + at), TAKE(other + at)));
    float lanes[WIDTH], smallest = INFINITY;
    PUT(lanes, LEAST(LEAST(least[0], least[1]), LEAST(least[2], least[3])));
    for (int lane = 0; lane < WIDTH; lane++)
        if (lanes[lane] < smallest) smallest = lanes[lane];
    for (; at < count; at++)
        if (one[at] + other[at] < smallest) smallest = one[at] + other[at];
    return smallest;
}

#undef SET
#undef TARGET
#undef FLOATS
#undef WIDTH
#undef PUT
#undef TAKE
#undef FILL
#undef SUM
#undef LEAST
#undef UNDER
