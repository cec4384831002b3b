/* The nearest of many codes by tables of their parts of 16 bits (Norouzi, Punjani, Fleet 2012).

   Where two codes of P parts differ in at most P (s + 1) - 1 bits, some part of them differs in at most s. So the parts
   of a query are looked up with 0, 1, 2 … of their bits turned, until the nearest code is near enough. */
#include "clustering.h"
#include "kernels.h"

enum { PART = 16, VALUES = 1 << PART };

typedef int64_t (*distance_of)(const uint64_t *one, const uint64_t *other, int64_t words);

static int64_t distance_portable(const uint64_t *one, const uint64_t *other, int64_t words) {
    int64_t sum = 0;
    for (int64_t word = 0; word < words; word++) sum += dqh_bits_of(one[word] ^ other[word]);
    return sum;
}

#if DQH_X86
__attribute__((target("popcnt"))) static int64_t distance_popcnt(const uint64_t *one, const uint64_t *other,
                                                                 int64_t words) {
    int64_t sum = 0;
    for (int64_t word = 0; word < words; word++) sum += __builtin_popcountll(one[word] ^ other[word]);
    return sum;
}
#endif

/* A query while its nearest code is looked for. */
typedef struct {
    const dqh_parts *parts;
    const uint64_t *code;
    distance_of between;
    int64_t id, distance;
} query;

static inline void offer(query *asked, int64_t id) {
    const int64_t distance = asked->between(asked->code, asked->parts->codes + id * asked->parts->words,
                                            asked->parts->words);
    if (distance > asked->distance || (distance == asked->distance && id >= asked->id)) return;
    asked->distance = distance;
    asked->id = id;
}

static void look_up(query *asked, int64_t turned) {
    const dqh_parts *parts = asked->parts;
    for (int64_t part = 0; part < parts->count; part++) {
        const uint32_t value = asked->code[part / 4] >> PART * (part % 4) & (VALUES - 1);
        const int32_t *starts = parts->starts + part * (VALUES + 1);
        for (int32_t at = parts->levels[turned]; at < parts->levels[turned + 1]; at++) {
            const uint32_t near = value ^ parts->flips[at];
            for (int32_t place = starts[near]; place < starts[near + 1]; place++)
                offer(asked, parts->ids[part * parts->rows + place]);
        }
    }
}

int dqh_multi_index_nearest(const dqh_parts *parts, const uint64_t *queries, int64_t count, int32_t *ids,
                            int32_t *distances) {
    distance_of between = distance_portable;
#if DQH_X86
    if (dqh_set() != DQH_PORTABLE) between = distance_popcnt;
#endif
    for (int64_t i = 0; i < count; i++) {
        query asked = {parts, queries + i * parts->words, between, INT64_MAX, INT64_MAX};
        for (int64_t turned = 0; asked.distance >= parts->count * turned; turned++) {
            const int64_t values = parts->count * (parts->levels[turned + 1] - parts->levels[turned]);
            if (values > parts->rows || turned == PART) { /* all codes are less work than so many values */
                for (int64_t id = 0; id < parts->rows; id++) offer(&asked, id);
                break;
            }
            look_up(&asked, turned);
        }
        ids[i] = (int32_t)asked.id;
        distances[i] = (int32_t)asked.distance;
    }
    return DQH_OK;
}
