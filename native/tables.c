/* The nearest rows by sums of look-up tables, the k nearest or all within a radius: lower bounds in bytes leave out nearly
   all rows, the others are summed in float32. Where there are no bounds, as with 256 codewords by AVX2, all are.

   Of the cosine a distance is 1 + s w, s the sum and w = 1 / ‖x‖ of the row. Where that is to be at most d < 1, then
   s + (1 − d) ‖x‖ ≤ 0: what is added to the sum is a table too, of norms rounded down to a byte. */
#include "kernels.h"

#include <float.h>
#include <math.h>

enum {
    CHUNK_BYTES = 1 << 16, /* of indices that all queries meet before the next ones */
    SLACK = 64,            /* keys beyond 9 / 8 k: with more the limit lags behind, with fewer it is found too often */
    PART = 64,             /* rows that are summed before a first limit is there */
    FEW = 64,              /* rows of a block up to which all are summed */
    TOGETHER = 8,          /* rows whose sums grow side by side */
    MOST_SUBSPACES = 32,   /* whose bytes are added up in bytes: what rounding loses grows with their number */
    STEPS = 250,           /* of bytes from the least sum there may be to the limit */
    WIDE_STEPS = 16,       /* likewise, a subspace, where they are added up in 16 bits */
    MOST_LOST = 64,        /* steps beyond a byte, mean of a subspace, that are left out of such a sum */
    NO_BOUND = 1 << 16     /* as a limit in steps: all rows are summed */
};

typedef struct {
    const float *table;           /* (subspaces, codewords) */
    dqh_steps bytes;              /* (subspaces and norms, 16 or 256); low NULL: there are no bounds */
    uint64_t *keys;               /* distance as ordered bits << 32 | row */
    uint64_t limit;               /* rows enter whose key is below: the kth key so far, or that of a radius */
    int64_t wanted, length, capacity;
    double reach;                 /* distance of the limit */
    double least, usual;          /* of all sums; mean of those of random codewords */
    double error, scale;          /* of a sum in float32; steps a unit, 0: bytes are not made */
    int steps;                    /* the limit; below 0: no row can enter */
    int64_t *cursor, *ids;        /* within a radius: where the next row is put; NULL: they are counted */
    float *distances;             /* likewise */
    int full;                     /* more rows than capacity */
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

/* Columns of norms behind those of the subspaces: a byte, or its two halves where a table has 16 values. */
static int64_t norm_columns(const dqh_products *products) {
    return products->scales ? 1 + (products->codewords <= 16) : 0;
}

static int64_t columns_of(const dqh_products *products) { return products->subspaces + norm_columns(products); }

/* The least that a row adds to its sum because of its norm, by the cosine. */
static double least_norm(const dqh_products *products, const table_answer *answer) {
    return products->scales ? (1 - answer->reach) * products->norm_least : 0;
}

static int is_wide(const dqh_products *products) { return products->subspaces > MOST_SUBSPACES; }

/* Steps from the least sum there may be to the limit, when bytes are made; they are made anew where two fifths are left. */
static int steps_of(const dqh_products *products) {
    if (!is_wide(products)) return STEPS;
    return products->subspaces > 1000 ? WIDE_STEPS * 1000 : WIDE_STEPS * (int)products->subspaces;
}

/* From the least sum there may be to the limit. */
static double room_of(const dqh_products *products, const table_answer *answer) {
    const double limit = products->scales ? 0 : answer->reach;
    return limit - answer->least - least_norm(products, answer) + answer->error;
}

/* Bytes of the tables, rounded down, so that a sum of them is no more than that of the floats. */
static void make_bytes(const dqh_products *products, table_answer *answer, double scale) {
    const dqh_kernels *kernels = dqh_in_use();
    const int64_t codewords = products->codewords, size = table_size(codewords);
    const float *table = answer->table;
    uint8_t *bytes = answer->bytes.low;
    answer->bytes.heavies = 0;
    answer->scale = scale;
    for (int64_t subspace = 0; subspace < products->subspaces; subspace++, bytes += size, table += codewords) {
        int32_t whole[256];
        dqh_ends ends;
        kernels->table_ends(table, codewords, &ends);
        const int64_t lost = kernels->table_steps(table, codewords, ends.least, scale, bytes, whole);
        if (!is_wide(products) || lost <= MOST_LOST * codewords) continue;
        uint8_t *low = answer->bytes.high + 2 * answer->bytes.heavies * size, *high = low + size;
        for (int64_t i = 0; i < codewords; i++)
            bytes[i] = 0, low[i] = (uint8_t)whole[i], high[i] = (uint8_t)((unsigned)whole[i] >> 8);
        answer->bytes.heavy[answer->bytes.heavies++] = (int32_t)subspace;
    }
    double step = (1 - answer->reach) * products->norm_step * answer->scale;
    for (int64_t column = 0; column < norm_columns(products); column++, bytes += size, step *= 16)
        for (int64_t i = 0; i < size; i++) bytes[i] = (double)i * step < 255 ? (uint8_t)((double)i * step) : 255;
}

/* The limit has become another one. */
static void set_steps(const dqh_products *products, table_answer *answer) {
    const double room = room_of(products, answer);
    answer->steps = NO_BOUND;
    if (!answer->bytes.low || !isfinite(room) || (products->scales && answer->reach >= 1)) return;
    answer->steps = room < 0 || !answer->cursor ? -1 : NO_BOUND; /* at the limit itself a radius still has rows */
    if (!(room > 0)) return;
    double steps = room * answer->scale * (1 + 1e-9);
    if (answer->scale == 0 || steps < .4 * steps_of(products)) {
        make_bytes(products, answer, steps_of(products) / room);
        steps = room * answer->scale * (1 + 1e-9);
    }
    const int most = is_wide(products) ? 65535 : 255;
    answer->steps = steps < most ? (int)steps : most;
}

static void keep_least(table_answer *answer) {
    if (answer->length <= answer->wanted) return;
    select_least(answer->keys, answer->length, answer->wanted - 1, 0);
    answer->length = answer->wanted;
    answer->limit = answer->keys[answer->wanted - 1];
    answer->reach = distance_of(answer->limit);
}

/* Rows `row` to `end` of one block that may be in an answer, bit r % 64 of near[r % DQH_ROWS / 64]; whether there are any. */
static int mark_allowed(const dqh_products *products, int64_t row, int64_t end, uint64_t *near) {
    const int64_t start = row / DQH_ROWS * DQH_ROWS;
    uint64_t any = 0;
    for (int part = 0; part < DQH_ROWS / 64; part++) {
        const int64_t first = start + part * 64;
        uint64_t bits = 0;
        if (row < first + 64 && end > first) {
            bits = ~(uint64_t)0;
            if (products->allowed) {
                const int64_t octets = (products->rows + 7) / 8 - first / 8;
                bits = 0;
                for (int64_t i = 0; i < 8 && i < octets; i++)
                    bits |= (uint64_t)products->allowed[first / 8 + i] << (8 * i);
            }
            if (row > first) bits &= ~(uint64_t)0 << (row - first);
            if (end < first + 64) bits &= ((uint64_t)1 << (end - first)) - 1;
        }
        near[part] = bits;
        any |= bits;
    }
    return any != 0;
}

/* A row that is allowed, and the sum of its tables. */
static void take(const dqh_products *products, table_answer *answer, float sum, int64_t row) {
    if (products->scales) {
        sum *= products->scales[row];
        sum += 1;
    }
    const uint64_t key = key_of(sum, row);
    if (key >= answer->limit) return;
    if (answer->cursor) {
        const int64_t place = answer->cursor[0]++;
        if (!answer->ids) return;
        if (place < 0 || place >= answer->capacity) {
            answer->full = 1;
            return;
        }
        answer->ids[place] = row;
        answer->distances[place] = distance_of(key);
        return;
    }
    answer->keys[answer->length++] = key;
    if (answer->length == answer->capacity) {
        keep_least(answer);
        set_steps(products, answer);
    }
}

/* Sums of some rows of a block: TOGETHER of them side by side, since each waits for its own. */
static void sum_rows(const dqh_products *products, const float *table, const uint8_t *block, const int *places, int count,
                     float *sums) {
    const unsigned mask = (unsigned)products->codewords - 1;
    for (int start = 0; start < count; start += TOGETHER) {
        const uint8_t *at[TOGETHER];
        float part[TOGETHER] = {0};
        for (int i = 0; i < TOGETHER; i++) at[i] = block + places[start + i < count ? start + i : start];
        const float *values = table;
        for (int64_t subspace = 0; subspace < products->subspaces; subspace++, values += products->codewords)
            for (int i = 0; i < TOGETHER; i++) part[i] += values[at[i][subspace * DQH_ROWS] & mask];
        memcpy(sums + start, part, sizeof part);
    }
}

/* Those marked of the block that begins with a row are summed. */
static void sum_marked(const dqh_products *products, table_answer *answer, int64_t start, const uint64_t *near) {
    int places[DQH_ROWS], count = 0;
    float sums[DQH_ROWS];
    for (int part = 0; part < DQH_ROWS / 64; part++)
        for (uint64_t bits = near[part]; bits; bits &= bits - 1) places[count++] = part * 64 + __builtin_ctzll(bits);
    sum_rows(products, answer->table, products->blocks + start * columns_of(products), places, count, sums);
    for (int i = 0; i < count; i++) take(products, answer, sums[i], start + places[i]);
}

/* Rows `row` to `end` of one block: those that are allowed, and whose bound is within the limit where there is one. */
static void look(const dqh_products *products, table_answer *answer, int64_t row, int64_t end, dqh_bounds bounds) {
    const int64_t start = row / DQH_ROWS * DQH_ROWS;
    uint64_t near[DQH_ROWS / 64], bounded[DQH_ROWS / 64] = {0};
    if (!mark_allowed(products, row, end, near)) return;
    if (answer->steps != NO_BOUND && end - row > FEW) {
        const int64_t columns = columns_of(products);
        bounds(products->blocks + start * columns, columns, &answer->bytes, answer->steps, bounded);
        for (int part = 0; part < DQH_ROWS / 64; part++) near[part] &= bounded[part];
    }
    sum_marked(products, answer, start, near);
}

/* Of the rows marked in `allowed` those whose bound is up to `steps`, and how many. */
static int mark_near(const dqh_products *products, const table_answer *answer, int64_t start, int steps, dqh_bounds bounds,
                     const uint64_t *allowed, uint64_t *near) {
    const int64_t columns = columns_of(products);
    int count = 0;
    memset(near, 0, DQH_ROWS / 8);
    bounds(products->blocks + start * columns, columns, &answer->bytes, steps, near);
    for (int part = 0; part < DQH_ROWS / 64; part++) {
        near[part] &= allowed[part];
        count += __builtin_popcountll(near[part]);
    }
    return count;
}

/* A first limit, of a whole block: steps are sought up to which k rows of it or a few more have their bound; the kth of
   their sums is a limit, and only then are all rows of the block looked at. Returns the row to go on from. */
static int64_t start_limit(const dqh_products *products, table_answer *answer, int64_t row, int64_t end,
                           dqh_bounds bounds) {
    uint64_t marked[DQH_ROWS / 64], first[DQH_ROWS / 64], second[DQH_ROWS / 64];
    if (!bounds || answer->cursor || products->scales || row % DQH_ROWS || end - row < DQH_ROWS) return row;
    if (answer->wanted > DQH_ROWS / 8 || !(answer->usual > answer->least) || !isfinite(answer->usual)) return row;
    if (!mark_allowed(products, row, row + DQH_ROWS, marked)) return row;
    int low = 0, high = steps_of(products), count = 0;
    make_bytes(products, answer, high / (answer->usual - answer->least));
    while (low < high) { /* the fewest steps up to which enough rows are, or some up to which a few more are */
        const int middle = (low + high) / 2;
        count = mark_near(products, answer, row, middle, bounds, marked, first);
        if (count < answer->wanted) low = middle + 1;
        else high = middle;
        if (count >= answer->wanted && count <= answer->wanted + answer->wanted / 2) break;
    }
    if (low == high) count = mark_near(products, answer, row, high, bounds, marked, first);
    if (count < answer->wanted || count > DQH_ROWS / 2) {
        answer->scale = 0;
        return row;
    }
    sum_marked(products, answer, row, first);
    keep_least(answer);
    set_steps(products, answer);
    if (answer->steps != NO_BOUND) {
        mark_near(products, answer, row, answer->steps, bounds, marked, second);
        memcpy(marked, second, sizeof marked);
    }
    for (int part = 0; part < DQH_ROWS / 64; part++) marked[part] &= ~first[part];
    if (answer->steps >= 0) sum_marked(products, answer, row, marked);
    return row + DQH_ROWS;
}

static void scan(const dqh_products *products, table_answer *answer, int64_t row, int64_t end, dqh_bounds bounds) {
    if (row == products->first) row = start_limit(products, answer, row, end, bounds);
    while (row < end && answer->steps >= 0) {
        int64_t stop = (row / DQH_ROWS + 1) * DQH_ROWS;
        /* until there are k rows, and a few to spare, all are summed */
        if (answer->steps == NO_BOUND && bounds && stop - row > PART) stop = row + PART;
        if (stop > end) stop = end;
        look(products, answer, row, stop, bounds);
        row = stop;
    }
}

/* All queries over all rows, in pieces that stay in the cache. */
static void scan_all(const dqh_products *products, table_answer *answers, int64_t count, dqh_bounds bounds) {
    int64_t step = CHUNK_BYTES / products->subspaces / DQH_ROWS * DQH_ROWS;
    if (step < DQH_ROWS) step = DQH_ROWS;
    for (int64_t row = products->first, stop; row < products->last; row = stop) {
        stop = (row / DQH_ROWS) * DQH_ROWS + step;
        if (stop > products->last) stop = products->last;
        for (int64_t query = 0; query < count; query++) scan(products, answers + query, row, stop, bounds);
    }
}

enum { LINE = 64 }; /* bytes that are read at once */

/* Memory for tables in steps: heavy subspaces, their low and high bytes, and bytes of all, of norms too. */
static int64_t bytes_of(int64_t subspaces, int64_t codewords) {
    return (4 * subspaces + LINE - 1) / LINE * LINE + ((3 * subspaces + 2) * table_size(codewords) + LINE - 1) / LINE * LINE;
}

/* An answer to which no row has come yet. It has `memory` where there are bounds. */
static table_answer empty_answer(const dqh_products *products, const float *table, uint8_t *memory) {
    double least = 0, largest = 0, usual = 0;
    for (int64_t subspace = 0; subspace < products->subspaces; subspace++) {
        dqh_ends ends;
        dqh_in_use()->table_ends(table + subspace * products->codewords, products->codewords, &ends);
        least += ends.least, largest += ends.largest, usual += ends.mean;
    }
    double error = (double)products->subspaces * FLT_EPSILON * largest;
    if (products->scales) /* of 1 / ‖x‖, of the product and of the sum, times a norm */
        error += 8 * FLT_EPSILON * (products->norm_least + 256 * products->norm_step);
    const int64_t size = table_size(products->codewords);
    dqh_steps bytes = {0};
    if (memory) {
        bytes.heavy = (int32_t *)(void *)memory;
        bytes.low = memory + (4 * products->subspaces + LINE - 1) / LINE * LINE;
        bytes.high = bytes.low + (products->subspaces + 2) * size;
        memset(memory, 0, (size_t)bytes_of(products->subspaces, products->codewords));
    }
    return (table_answer){.table = table, .bytes = bytes, .least = least, .usual = usual, .error = error};
}

static dqh_bounds bounds_of(const dqh_products *products) {
    const dqh_kernels *kernels = dqh_in_use();
    if (is_wide(products)) return products->codewords <= 16 ? kernels->wide_bounds_16 : kernels->wide_bounds_256;
    return products->codewords <= 16 ? kernels->bounds_16 : kernels->bounds_256;
}

static uint8_t *at_line(void *memory) { return (uint8_t *)(((uintptr_t)memory + LINE - 1) / LINE * LINE); }

static int64_t keys_of(int64_t rows, int64_t k) { return k > (rows - SLACK) / 2 ? rows + 1 : k + k / 8 + SLACK; }

int64_t dqh_tables_scratch(int64_t count, int64_t rows, int64_t subspaces, int64_t codewords, int64_t k) {
    if (count < 0 || rows < 0 || subspaces < 0 || codewords < 0 || k < 0) return -1;
    if (rows > DQH_MOST || subspaces > DQH_MOST || k > DQH_MOST) return -1;
    return dqh_times(count, LINE + (int64_t)sizeof(table_answer) + 8 * keys_of(rows, k) + bytes_of(subspaces, codewords));
}

int dqh_tables_nearest(const dqh_products *products, const float *tables, int64_t count, int64_t k, void *scratch,
                       int64_t *ids, float *distances) {
    const int64_t values = products->subspaces * products->codewords;
    const int64_t capacity = keys_of(products->rows, k), size = bytes_of(products->subspaces, products->codewords);
    if (k < 1 || products->rows > UINT32_MAX) return DQH_ARGUMENT;
    const dqh_bounds bounds = bounds_of(products);
    table_answer *answers = scratch;
    uint64_t *keys = (uint64_t *)(answers + count);
    uint8_t *bytes = at_line(keys + count * capacity);
    for (int64_t query = 0; query < count; query++) {
        table_answer *answer = answers + query;
        *answer = empty_answer(products, tables + query * values, bounds ? bytes + query * size : NULL);
        answer->keys = keys + query * capacity;
        answer->limit = UINT64_MAX, answer->reach = INFINITY, answer->steps = NO_BOUND;
        answer->wanted = k, answer->capacity = capacity;
    }
    scan_all(products, answers, count, bounds);
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

int dqh_tables_within(const dqh_products *products, const float *tables, int64_t count, float radius, void *scratch,
                      int64_t *cursors, int64_t capacity, int64_t *ids, float *distances) {
    const int64_t values = products->subspaces * products->codewords;
    const int64_t size = bytes_of(products->subspaces, products->codewords);
    if (radius != radius || products->rows > UINT32_MAX) return DQH_ARGUMENT;
    const dqh_bounds bounds = bounds_of(products);
    table_answer *answers = scratch;
    uint8_t *bytes = at_line(answers + count);
    for (int64_t query = 0; query < count; query++) {
        table_answer *answer = answers + query;
        *answer = empty_answer(products, tables + query * values, bounds ? bytes + query * size : NULL);
        answer->limit = key_of(radius, UINT32_MAX) + 1, answer->reach = radius;
        answer->cursor = cursors + query, answer->capacity = capacity;
        answer->ids = ids, answer->distances = distances;
        set_steps(products, answer);
    }
    scan_all(products, answers, count, bounds);
    for (int64_t query = 0; query < count; query++)
        if (answers[query].full) return DQH_FULL;
    return DQH_OK;
}
