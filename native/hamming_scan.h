/* One scan, a template: included by hamming_lengths.h for each number of words and of queries.

   WORDS    64-bit words a code, 0: as many as the codes say
   QUERIES  compared at a time

   Of STEP blocks only the least distance to each query is compared with the limit of that query; where it is below, the
   blocks are looked at once more, one by one. */
#if WORDS
#define OF_QUERY(query, word) broadcast[(query) * WORDS + (word)]
#else
#define OF_QUERY(query, word) SPREAD(queries[(query) * words + (word)])
#endif

#if QUERIES == 1
/* Hands the rows of a block that are below the limit to the answer. */
TARGET static inline void DQH_JOIN(look, at, WORDS)(const dqh_codes *codes, const uint64_t *queries,
                                                    dqh_answer *answer, int64_t block) {
    const int64_t words = WORDS ? WORDS : codes->words;
    const VECTOR limit = SPREAD(answer->limit);
    const uint8_t *start = codes->blocks + block * words * 64;
    VECTOR sums[PARTS];
    unsigned near = 0;
    UNROLL
    for (int part = 0; part < PARTS; part++) {
        sums[part] = SPREAD(0);
        for (int64_t word = 0; word < words; word++)
            sums[part] = ADD(
                sums[part], COUNT(XOR(LOAD(start + word * 64 + part * sizeof(VECTOR)), SPREAD(queries[word]))));
        near |= (unsigned)BELOW(sums[part], limit) << (part * LANES);
    }
    if (codes->allowed) near &= codes->allowed[block];
    if (codes->last - block * 8 < 8) near &= (1u << (codes->last - block * 8)) - 1;
    if (!near) return;
    uint64_t distances[8];
    for (int part = 0; part < PARTS; part++) STORE(distances + part * LANES, sums[part]);
    answer->take(answer, block * 8, near, distances);
}
#endif

TARGET static void DQH_JOIN(scan, WORDS, QUERIES)(const dqh_codes *codes, const uint64_t *queries,
                                                  dqh_answer *answers, int64_t block, int64_t end) {
#if WORDS
    enum { words = WORDS };
    VECTOR broadcast[QUERIES * WORDS];
    for (int i = 0; i < QUERIES * WORDS; i++) broadcast[i] = SPREAD(queries[i]);
#else
    const int64_t words = codes->words;
#endif
    VECTOR limits[QUERIES];
    for (int query = 0; query < QUERIES; query++) limits[query] = SPREAD(answers[query].limit);
    for (; block + STEP <= end; block += STEP) {
        if (codes->allowed && !any_of(codes->allowed + block)) continue;
        const uint8_t *start = codes->blocks + block * words * 64;
        VECTOR least[QUERIES];
        UNROLL
        for (int part = 0; part < STEP * PARTS; part++) {
            const uint8_t *at = start + (part / PARTS) * words * 64 + (part % PARTS) * sizeof(VECTOR);
            VECTOR sums[QUERIES];
            UNROLL
            for (int query = 0; query < QUERIES; query++) sums[query] = SPREAD(0);
            for (int64_t word = 0; word < words; word++) {
                const VECTOR items = LOAD(at + word * 64);
                UNROLL
                for (int query = 0; query < QUERIES; query++)
                    sums[query] = ADD(sums[query], COUNT(XOR(items, OF_QUERY(query, word))));
            }
            UNROLL
            for (int query = 0; query < QUERIES; query++)
                least[query] = part ? LESSER(least[query], sums[query]) : sums[query];
        }
        unsigned near = 0;
        UNROLL
        for (int query = 0; query < QUERIES; query++) near |= BELOW(least[query], limits[query]);
        if (DQH_UNLIKELY(near)) {
            for (int query = 0; query < QUERIES; query++) {
                if (!BELOW(least[query], limits[query])) continue;
                for (int one = 0; one < STEP; one++)
                    DQH_JOIN(look, at, WORDS)(codes, queries + query * words, answers + query, block + one);
                limits[query] = SPREAD(answers[query].limit);
            }
        }
    }
    for (; block < end; block++)
        for (int query = 0; query < QUERIES; query++)
            DQH_JOIN(look, at, WORDS)(codes, queries + query * words, answers + query, block);
}

#undef OF_QUERY
#undef WORDS
#undef QUERIES
