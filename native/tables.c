/* The k nearest rows by sums of look-up tables: lower bounds in bytes leave out nearly all rows, the others are summed in
   float32. Where there are no bounds, as with 256 codewords by AVX2, all are. */
#include "kernels.h"

#include <float.h>
#include <math.h>

enum {
    CHUNK_BYTES = 1 << 16, /* of indices that all queries meet before the next ones */
    SLACK = 64,            /* keys beyond 2 k */
    PART = 64,             /* rows summed together */
    STEPS = 250,           /* of a byte from the least sum there may be to the limit */
    FEWEST_STEPS = 100     /* below, the limit has come so near that the bytes are made anew */
};

typedef struct {
    const float *table;           /* (subspaces, codewords) */
    uint8_t *bytes;               /* (subspaces, 16 or 256) */
    uint64_t *keys;               /* distance as ordered bits << 32 | row */
    uint64_t limit;               /* the kth key so far, or beyond all */
    int64_t wanted, length, capacity;
    double least, error, scale;   /* of all sums; of a sum in float32; steps a unit, 0: bytes are not made */
    int steps;                    /* the limit in bytes; below 0: no row can enter */
} table_answer;

/* Bits of a float that order as floats do; −0 is +0. */
static uint64_t key_of(float distance, int64_t row) {
    uint32_t bits;
    distance += 0.0f;
    memcpy(&bits, &distance, sizeof bits);
    bits ^= bits >> 31 ? 0xffffffffu : 0x80000000u;
    return (uint64_t)bits << 32 | (uint64_t)row;
}

static float distance_of(uint64_t key) {
    uint32_t bits = (uint32_t)(key >> 32);
    bits ^= bits >> 31 ? 0x80000000u : 0xffffffffu;
    float distance;
    memcpy(&distance, &bits, sizeof distance);
    return distance;
}

/* Moves the `wanted` least of `length` keys, which differ, to the front (Hoare 1961); sorted, if asked for. */
static void select_least(uint64_t *keys, int64_t length, int64_t wanted, int sorted) {
    uint64_t random = 0x9e3779b97f4a7c15u; /* so that no order of the rows is a slow one */
    int64_t start = 0, end = length;
    int64_t starts[64], ends[64];
    int open = 0;
    for (;;) {
        while (end - start > 1) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            const uint64_t pivot = keys[start + (int64_t)((random >> 33) % (uint64_t)(end - start))];
            int64_t low = start, high = end - 1;
            while (low <= high) {
                while (keys[low] < pivot) low++;
                while (keys[high] > pivot) high--;
                if (low <= high) {
                    const uint64_t key = keys[low];
                    keys[low++] = keys[high];
                    keys[high--] = key;
                }
            }
            /* start … high are at most the pivot, low … end - 1 at least */
            if (!sorted) {
                if (wanted <= high) end = high + 1;
                else if (wanted >= low) start = low;
                else return;
            } else if (high + 1 - start < end - low) { /* the longer part waits, so that 64 are enough */
                starts[open] = low, ends[open++] = end;
                end = high + 1;
            } else {
                starts[open] = start, ends[open++] = high + 1;
                start = low;
            }
        }
        if (!open) return;
        start = starts[--open], end = ends[open];
    }
}

static int64_t table_size(int64_t codewords) { return codewords <= 16 ? 16 : 256; }

/* Bytes of the tables, rounded down, so that a sum of them is no more than that of the floats. */
static void make_bytes(table_answer *answer, int64_t subspaces, int64_t codewords) {
    const int64_t size = table_size(codewords);
    answer->scale = STEPS / (distance_of(answer->limit) - answer->least + answer->error);
    for (int64_t subspace = 0; subspace < subspaces; subspace++) {
        const float *table = answer->table + subspace * codewords;
        double least = table[0];
        for (int64_t i = 1; i < codewords; i++) least = table[i] < least ? table[i] : least;
        for (int64_t i = 0; i < codewords; i++) {
            const double steps = (table[i] - least) * answer->scale;
            answer->bytes[subspace * size + i] = steps < 255 ? (uint8_t)steps : 255;
        }
    }
}

/* The limit has become another one. */
static void set_steps(table_answer *answer, int64_t subspaces, int64_t codewords) {
    const double room = distance_of(answer->limit) - answer->least + answer->error;
    answer->steps = -1;
    if (!(room > 0)) return;
    double steps = room * answer->scale * (1 + 1e-9);
    if (answer->scale == 0 || steps < FEWEST_STEPS) {
        make_bytes(answer, subspaces, codewords);
        steps = room * answer->scale * (1 + 1e-9);
    }
    answer->steps = steps < 255 ? (int)steps : 255;
}

static void keep_least(table_answer *answer) {
    if (answer->length <= answer->wanted) return;
    select_least(answer->keys, answer->length, answer->wanted - 1, 0);
    answer->length = answer->wanted;
    answer->limit = answer->keys[answer->wanted - 1];
}

static void take(table_answer *answer, const dqh_products *products, float distance, int64_t row) {
    const uint64_t key = key_of(distance, row);
    if (key >= answer->limit) return;
    if (products->allowed && !(products->allowed[row / 8] >> row % 8 & 1)) return;
    answer->keys[answer->length++] = key;
    if (answer->length == answer->capacity) {
        keep_least(answer);
        if (answer->bytes) set_steps(answer, products->subspaces, products->codewords);
    }
}

/* All rows `row` to `end`. */
static void sum_all(const dqh_products *products, table_answer *answer, int64_t row, int64_t end) {
    const unsigned mask = (unsigned)products->codewords - 1;
    for (; row < end; row += PART) {
        const int count = end - row < PART ? (int)(end - row) : PART;
        float sums[PART] = {0};
        for (int64_t subspace = 0; subspace < products->subspaces; subspace++) {
            const uint8_t *at = products->indices + subspace * products->stride + row;
            const float *table = answer->table + subspace * products->codewords;
            for (int i = 0; i < count; i++) sums[i] += table[at[i] & mask];
        }
        for (int i = 0; i < count; i++) take(answer, products, sums[i], row + i);
    }
}

/* Those of DQH_ROWS rows whose bound is within the limit. */
static void sum_near(const dqh_products *products, table_answer *answer, int64_t row, dqh_bounds bounds) {
    const unsigned mask = (unsigned)products->codewords - 1;
    uint64_t near[DQH_ROWS / 64] = {0};
    bounds(products->indices + row, products->stride, products->subspaces, answer->bytes, answer->steps, near);
    for (int part = 0; part < DQH_ROWS / 64; part++)
        for (uint64_t bits = near[part]; bits; bits &= bits - 1) {
            const int64_t at = row + part * 64 + __builtin_ctzll(bits);
            float sum = 0;
            for (int64_t subspace = 0; subspace < products->subspaces; subspace++)
                sum += answer->table[subspace * products->codewords +
                                     (products->indices[subspace * products->stride + at] & mask)];
            take(answer, products, sum, at);
        }
}

static void scan(const dqh_products *products, table_answer *answer, int64_t row, int64_t end, dqh_bounds bounds) {
    while (row < end) {
        if (answer->limit == UINT64_MAX || !bounds) { /* until there are k rows, and a few to spare, all are summed */
            const int64_t stop = bounds && end - row > PART ? row + PART : end;
            sum_all(products, answer, row, stop);
            row = stop;
        } else if (answer->steps < 0) {
            return;
        } else if (end - row >= DQH_ROWS) {
            sum_near(products, answer, row, bounds);
            row += DQH_ROWS;
        } else {
            sum_all(products, answer, row, end);
            return;
        }
    }
}

static int64_t keys_of(int64_t rows, int64_t k) { return k > (rows - SLACK) / 2 ? rows + 1 : 2 * k + SLACK; }

int64_t dqh_tables_scratch(int64_t count, int64_t rows, int64_t subspaces, int64_t codewords, int64_t k) {
    return count * ((int64_t)sizeof(table_answer) + 8 * keys_of(rows, k) + subspaces * table_size(codewords));
}

int dqh_tables_nearest(const dqh_products *products, const float *tables, int64_t count, int64_t k, void *scratch,
                       int64_t *ids, float *distances) {
    const int64_t subspaces = products->subspaces, codewords = products->codewords;
    const int64_t capacity = keys_of(products->rows, k), size = subspaces * table_size(codewords);
    if (k < 1 || products->rows > UINT32_MAX) return DQH_ARGUMENT;
    const dqh_bounds bounds = codewords <= 16 ? dqh_in_use()->bounds_16 : dqh_in_use()->bounds_256;
    table_answer *answers = scratch;
    uint64_t *keys = (uint64_t *)(answers + count);
    uint8_t *bytes = (uint8_t *)(keys + count * capacity);
    memset(bytes, 0, (size_t)(count * size));
    for (int64_t query = 0; query < count; query++) {
        table_answer *answer = answers + query;
        const float *table = tables + query * subspaces * codewords;
        double least = 0, largest = 0;
        for (int64_t subspace = 0; subspace < subspaces; subspace++, table += codewords) {
            double low = table[0], high = 0;
            for (int64_t i = 0; i < codewords; i++) {
                low = table[i] < low ? table[i] : low;
                high = fabs(table[i]) > high ? fabs(table[i]) : high;
            }
            least += low, largest += high;
        }
        *answer = (table_answer){.table = tables + query * subspaces * codewords,
                                 .bytes = bounds ? bytes + query * size : NULL,
                                 .keys = keys + query * capacity,
                                 .limit = UINT64_MAX,
                                 .wanted = k,
                                 .capacity = capacity,
                                 .least = least,
                                 .error = (double)subspaces * FLT_EPSILON * largest};
    }
    int64_t step = CHUNK_BYTES / subspaces / DQH_ROWS * DQH_ROWS;
    if (step < DQH_ROWS) step = DQH_ROWS;
    for (int64_t row = products->first; row < products->last; row += step) {
        const int64_t stop = products->last - row < step ? products->last : row + step;
        for (int64_t query = 0; query < count; query++) scan(products, answers + query, row, stop, bounds);
    }
    for (int64_t query = 0; query < count; query++, ids += k, distances += k) {
        table_answer *answer = answers + query;
        keep_least(answer);
        select_least(answer->keys, answer->length, 0, 1);
        for (int64_t i = 0; i < k; i++) {
            ids[i] = i < answer->length ? (int64_t)(answer->keys[i] & UINT32_MAX) : -1;
            distances[i] = i < answer->length ? distance_of(answer->keys[i]) : INFINITY;
        }
    }
    return DQH_OK;
}
