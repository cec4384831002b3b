/* Hamming search: how answers grow, and in which order codes and queries meet. Scans are in hamming_scan.h. */
#include "kernels.h"

enum {
    CHUNK_BYTES = 1 << 17, /* of codes that all queries meet before the next ones: they stay in the second cache */
    SLACK = 64,            /* keys beyond 2 k */
    ROW_BITS = 40
};

static const uint64_t ROW = ((uint64_t)1 << ROW_BITS) - 1;

/* Leaves the k nearest keys: those below the limit, and of those at it the first ones. */
static void shrink(dqh_answer *answer) {
    int64_t ties = answer->wanted - answer->nearer, kept = 0;
    for (int64_t i = 0; i < answer->length; i++) {
        const uint64_t distance = answer->keys[i] >> ROW_BITS;
        const int tie = distance == answer->limit && ties > 0;
        ties -= tie;
        if (distance < answer->limit || tie) answer->keys[kept++] = answer->keys[i];
    }
    answer->length = kept;
}

/* The limit is the kth distance so far, or beyond all: a later row as far away as that cannot enter. */
static void take_nearest(dqh_answer *answer, int64_t row, unsigned near, const uint64_t *distances) {
    for (; near; near &= near - 1) {
        const int lane = DQH_FIRST_BIT(near);
        const uint64_t distance = distances[lane];
        if (distance >= answer->limit) continue;
        if (answer->length == answer->capacity) shrink(answer);
        answer->keys[answer->length++] = distance << ROW_BITS | (uint64_t)(row + lane);
        answer->histogram[distance]++;
        answer->nearer++;
        while (answer->nearer >= answer->wanted) answer->nearer -= answer->histogram[--answer->limit];
    }
}

static void take_within(dqh_answer *answer, int64_t row, unsigned near, const uint64_t *distances) {
    for (; near; near &= near - 1) {
        const int lane = DQH_FIRST_BIT(near);
        const int64_t place = answer->cursors[distances[lane]]++;
        if (!answer->ids) continue;
        if (place < 0 || place >= answer->capacity) {
            answer->full = 1;
            continue;
        }
        answer->ids[place] = row + lane;
        answer->distances[place] = (int32_t)distances[lane];
    }
}

/* The k nearest in order: counted by distance, then each put behind the nearer ones. */
static void finish(dqh_answer *answer, int64_t bits, int64_t *ids, int32_t *distances) {
    shrink(answer);
    memset(answer->histogram, 0, sizeof(uint32_t) * (size_t)(bits + 1));
    for (int64_t i = 0; i < answer->length; i++) answer->histogram[answer->keys[i] >> ROW_BITS]++;
    uint32_t place = 0;
    for (int64_t bit = 0; bit <= bits; bit++) {
        const uint32_t size = answer->histogram[bit];
        answer->histogram[bit] = place;
        place += size;
    }
    for (int64_t i = 0; i < answer->length; i++) {
        const uint64_t distance = answer->keys[i] >> ROW_BITS;
        const uint32_t at = answer->histogram[distance]++;
        ids[at] = (int64_t)(answer->keys[i] & ROW);
        distances[at] = (int32_t)distance;
    }
    for (int64_t i = answer->length; i < answer->wanted; i++) {
        ids[i] = -1;
        distances[i] = INT32_MAX;
    }
}

static void scan(const dqh_codes *codes, const uint64_t *queries, int64_t count, dqh_answer *answers) {
    const dqh_scan *kernels = dqh_in_use()->scans[codes->words < DQH_LENGTHS ? codes->words : 0];
    const int64_t end = (codes->last + 7) / 8;
    int64_t step = CHUNK_BYTES / (64 * codes->words) / 4 * 4;
    if (step < 4) step = 4;
    for (int64_t block = codes->first / 8; block < end; block += step) {
        const int64_t stop = end - block < step ? end : block + step;
        for (int64_t query = 0; query < count;) {
            const int tile = count - query >= DQH_TILE;
            kernels[tile](codes, queries + query * codes->words, answers + query, block, stop);
            query += tile ? DQH_TILE : 1;
        }
    }
}

static int64_t keys_of(int64_t rows, int64_t k) {
    return k > (rows - SLACK) / 2 ? rows : 2 * k + SLACK; /* with room for all rows none is ever left out early */
}

int64_t dqh_hamming_scratch(int64_t count, int64_t rows, int64_t words, int64_t k) {
    if (count < 0 || rows < 0 || words < 0 || k < 0 || rows > DQH_MOST || words > DQH_MOST || k > DQH_MOST) return -1;
    const int64_t histogram = (4 * (64 * words + 1) + 7) / 8 * 8;
    return dqh_times(count, (int64_t)sizeof(dqh_answer) + histogram + 8 * keys_of(rows, k));
}

int dqh_hamming_nearest(const dqh_codes *codes, const uint64_t *queries, int64_t count, int64_t k, void *scratch,
                        int64_t *ids, int32_t *distances) {
    const int64_t bits = 64 * codes->words, capacity = keys_of(codes->rows, k);
    if (k < 1 || codes->rows > (int64_t)ROW) return DQH_ARGUMENT;
    dqh_answer *answers = scratch;
    uint64_t *keys = (uint64_t *)(answers + count);
    uint32_t *histograms = (uint32_t *)(keys + count * capacity);
    memset(histograms, 0, sizeof(uint32_t) * (size_t)(count * (bits + 1)));
    for (int64_t query = 0; query < count; query++)
        answers[query] = (dqh_answer){.limit = (uint64_t)bits + 1,
                                      .take = take_nearest,
                                      .wanted = k,
                                      .capacity = capacity,
                                      .histogram = histograms + query * (bits + 1),
                                      .keys = keys + query * capacity};
    scan(codes, queries, count, answers);
    for (int64_t query = 0; query < count; query++)
        finish(answers + query, bits, ids + query * k, distances + query * k);
    return DQH_OK;
}

int dqh_hamming_within(const dqh_codes *codes, const uint64_t *queries, int64_t count, int64_t radius, void *scratch,
                       int64_t *cursors, int64_t capacity, int64_t *ids, int32_t *distances) {
    if (radius < 0 || radius > 64 * codes->words) return DQH_ARGUMENT;
    dqh_answer *answers = scratch;
    for (int64_t query = 0; query < count; query++)
        answers[query] = (dqh_answer){.limit = (uint64_t)radius + 1,
                                      .take = take_within,
                                      .capacity = capacity,
                                      .cursors = cursors + query * (radius + 1),
                                      .ids = ids,
                                      .distances = distances};
    scan(codes, queries, count, answers);
    for (int64_t query = 0; query < count; query++)
        if (answers[query].full) return DQH_FULL;
    return DQH_OK;
}
