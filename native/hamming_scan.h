/* One scan, a template: included by hamming_lengths.h for each number of words and of queries.

   WORDS    64-bit words a code, 0: as many as the codes say
   QUERIES  compared at a time

   Of STEP blocks only the least distance to each query is compared with the limit of that query; where it is below, the
   blocks are looked at once more, one by one; the distances of 4 blocks to one query fit into registers of AVX-512. */
#if WORDS
#define OF_QUERY(query, word) broadcast[(query) * WORDS + (word)]
#else
#define OF_QUERY(query, word) SPREAD(queries[(query) * words + (word)])
#endif

#if QUERIES == 1
#if LANES == 8
/* Hands the rows of a block that are below the limit to the answer, their distances being at hand. */
TARGET static inline void DQH_JOIN(hand, over, WORDS)(const dqh_codes *codes, dqh_answer *answer, int64_t block,
                                                      VECTOR sums) {
    unsigned near = (unsigned)BELOW(sums, SPREAD(answer->limit));
    if (!near) return;
    if (codes->allowed) near &= codes->allowed[block];
    if (codes->last - block * 8 < 8) near &= (1u << (codes->last - block * 8)) - 1;
    uint64_t distances[8];
    STORE(distances, sums);
    answer->take(answer, block * 8, near, distances);
}
#endif

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
#if QUERIES == 1 && LANES == 8
        VECTOR all[STEP];
#endif
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
#if QUERIES == 1 && LANES == 8
            all[part] = sums[0];
#endif
        }
        unsigned near = 0;
        UNROLL
        for (int query = 0; query < QUERIES; query++) near |= BELOW(least[query], limits[query]);
        if (DQH_UNLIKELY(near)) {
#if QUERIES == 1 && LANES == 8
            UNROLL
            for (int part = 0; part < STEP; part++)
                DQH_JOIN(hand, over, WORDS)(codes, answers, block + part, all[part]);
            limits[0] = SPREAD(answers[0].limit);
#else
            for (int query = 0; query < QUERIES; query++) {
                if (!BELOW(least[query], limits[query])) continue;
                for (int one = 0; one < STEP; one++)
                    DQH_JOIN(look, at, WORDS)(codes, queries + query * words, answers + query, block + one);
                limits[query] = SPREAD(answers[query].limit);
            }
#endif
        }
    }
    for (; block < end; block++)
        for (int query = 0; query < QUERIES; query++)
            DQH_JOIN(look, at, WORDS)(codes, queries + query * words, answers + query, block);
}

#undef OF_QUERY
#undef WORDS
#undef QUERIES
