/* The kernels of clustering as methods of the module `dqh._native`. */
#include "clustering.h"
#include "module.h"

PyObject *dqh_py_smallest(PyObject *module, PyObject *arguments) {
    (void)module;
    long long rows, columns, width;
    buffers held = {0};
    Py_buffer *values = held.all, *offsets = held.all + 1, *scratch = held.all + 2, *places = held.all + 3,
              *smallest = held.all + 4;
    if (!PyArg_ParseTuple(arguments, "y*LLy*Lw*w*w*", values, &rows, &columns, offsets, &width, scratch, places, smallest))
        return NULL;
    if (!holds(values, rows, columns, 4) || !holds(offsets, rows, 1, 4) || width < 1 || width > columns ||
        !holds(scratch, columns, 1, 8) || (int64_t)scratch->len / 8 - columns < width ||
        !holds(places, rows, width, 4) || !holds(smallest, rows, width, 4))
        return ended(&held, 5, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_smallest(values->buf, rows, columns, offsets->buf, width, scratch->buf, places->buf, smallest->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 5, status);
}

PyObject *dqh_py_walk_cells(PyObject *module, PyObject *arguments) {
    (void)module;
    long long cells, codewords, count, width, first, target, steps;
    buffers held = {0};
    Py_buffer *occupied = held.all, *ranks = held.all + 1, *populations = held.all + 2, *places = held.all + 3,
              *distances = held.all + 4, *scratch = held.all + 5, *keys = held.all + 6, *trail = held.all + 7;
    if (!PyArg_ParseTuple(arguments, "y*y*y*LLy*y*LLLLLw*w*w*", occupied, ranks, populations, &cells, &codewords, places,
                          distances, &count, &width, &first, &target, &steps, scratch, keys, trail))
        return NULL;
    const dqh_grid grid = {occupied->buf, ranks->buf, populations->buf, cells, codewords};
    const int64_t words = codewords > 0 ? (codewords * codewords - 1) / 64 + 1 : 0;
    if (codewords < 1 || codewords > DQH_MOST_CODEWORDS || !holds(occupied, words, 1, 8) || !holds(ranks, words, 1, 4) ||
        !holds(populations, cells, 1, 4) || cells < 0 || cells > INT32_MAX || width < 1 || width > DQH_MOST_WINDOW ||
        count < 0 || first < 0 || first > INT32_MAX - count || steps < 0 || steps > INT32_MAX ||
        target > INT64_MAX / 2 / (steps + 1) || !holds(places, count, 2 * width, 4) ||
        !holds(distances, count, 2 * width, 4) || !holds(scratch, width + 3 * DQH_BUCKET, 1, 8) || !holds(keys, cells, 1, 8) ||
        !holds(trail, count, steps, 4))
        return ended(&held, 8, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_walk_cells(&grid, places->buf, distances->buf, count, width, first, target, steps, scratch->buf,
                            keys->buf, trail->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 8, status);
}

PyObject *dqh_py_nearest_sums(PyObject *module, PyObject *arguments) {
    (void)module;
    long long codewords, count, cells, first;
    buffers held = {0};
    Py_buffer *one = held.all, *other = held.all + 1, *numbers = held.all + 2, *keys = held.all + 3;
    if (!PyArg_ParseTuple(arguments, "y*y*LLy*LLw*", one, other, &codewords, &count, numbers, &cells, &first, keys))
        return NULL;
    if (codewords < 1 || codewords > DQH_MOST_CODEWORDS || count < 1 || first < 0 || first > INT32_MAX - count ||
        !holds(one, codewords, count, 4) || !holds(other, codewords, count, 4) || !holds(numbers, cells, 1, 4) ||
        !holds(keys, cells, 1, 8))
        return ended(&held, 4, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_nearest_sums(one->buf, other->buf, codewords, count, numbers->buf, cells, first, keys->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 4, status);
}

PyObject *dqh_py_group(PyObject *module, PyObject *arguments) {
    (void)module;
    long long count, groups;
    buffers held = {0};
    Py_buffer *labels = held.all, *offsets = held.all + 1, *order = held.all + 2;
    if (!PyArg_ParseTuple(arguments, "y*LLw*w*", labels, &count, &groups, offsets, order)) return NULL;
    if (groups < 0 || groups > INT32_MAX || count > INT32_MAX || !holds(labels, count, 1, 4) ||
        !holds(offsets, groups + 1, 1, 8) || !holds(order, count, 1, 4))
        return ended(&held, 3, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_group(labels->buf, count, groups, offsets->buf, order->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 3, status);
}

/* Whether groups `first` to `last` are as `dqh_group` leaves them, of `cells` places. */
static int grouped(const Py_buffer *offsets, const Py_buffer *order, int64_t first, int64_t last, int64_t cells) {
    if (first < 0 || first > last || !holds(offsets, last + 1, 1, 8)) return 0;
    const int64_t *ends = offsets->buf;
    for (int64_t group = first; group < last; group++)
        if (ends[group] < 0 || ends[group] > ends[group + 1]) return 0;
    if (first < last && !holds(order, ends[last], 1, 4)) return 0;
    const int32_t *places = order->buf;
    for (int64_t at = first < last ? ends[first] : 0; first < last && at < ends[last]; at++)
        if (places[at] < 0 || places[at] >= cells) return 0;
    return 1;
}

PyObject *dqh_py_mean_sums(PyObject *module, PyObject *arguments) {
    (void)module;
    long long first, last, cells, number, size;
    buffers held = {0};
    Py_buffer *offsets = held.all, *order = held.all + 1, *populations = held.all + 2, *rows = held.all + 3,
              *means = held.all + 4, *sums = held.all + 5;
    if (!PyArg_ParseTuple(arguments, "y*y*LLy*y*Ly*LLw*", offsets, order, &first, &last, populations, rows, &cells, means,
                          &number, &size, sums))
        return NULL;
    int fits = holds(populations, cells, 1, 4) && holds(rows, cells, 1, 4) && holds(means, number, size, 4) &&
               grouped(offsets, order, first, last, cells) && holds(sums, last, size, 8);
    const int32_t *places = rows->buf;
    for (int64_t cell = 0; fits && cell < cells; cell++) fits = places[cell] >= 0 && places[cell] < number;
    if (!fits) return ended(&held, 6, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_mean_sums(offsets->buf, order->buf, first, last, populations->buf, rows->buf, means->buf, size,
                           sums->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 6, status);
}

PyObject *dqh_py_codeword_sums(PyObject *module, PyObject *arguments) {
    (void)module;
    long long first, last, cells, codewords, half;
    buffers held = {0};
    Py_buffer *offsets = held.all, *order = held.all + 1, *populations = held.all + 2, *numbers = held.all + 3,
              *codebooks = held.all + 4, *scratch = held.all + 5, *sums = held.all + 6;
    if (!PyArg_ParseTuple(arguments, "y*y*LLy*y*Ly*LLw*w*", offsets, order, &first, &last, populations, numbers, &cells,
                          codebooks, &codewords, &half, scratch, sums))
        return NULL;
    if (codewords < 1 || codewords > DQH_MOST_CODEWORDS || half < 1 || !holds(populations, cells, 1, 4) ||
        !holds(numbers, cells, 1, 4) || !holds(codebooks, 2 * codewords, half, 4) || !holds(scratch, 2 * codewords, 1, 8) ||
        !grouped(offsets, order, first, last, cells) || !holds(sums, last, 2 * half, 8))
        return ended(&held, 7, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_codeword_sums(offsets->buf, order->buf, first, last, populations->buf, numbers->buf, codewords,
                               codebooks->buf, half, scratch->buf, sums->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 7, status);
}

PyObject *dqh_py_bit_sums(PyObject *module, PyObject *arguments) {
    (void)module;
    long long first, last, number, words;
    buffers held = {0};
    Py_buffer *offsets = held.all, *order = held.all + 1, *codes = held.all + 2, *weights = held.all + 3,
              *sums = held.all + 4;
    if (!PyArg_ParseTuple(arguments, "y*y*LLy*y*LLw*", offsets, order, &first, &last, codes, weights, &number, &words, sums))
        return NULL;
    if (words < 1 || words > DQH_MOST_WORDS || !holds(codes, number, words, 8) || !holds(weights, number, 1, 4) ||
        !grouped(offsets, order, first, last, number) || !holds(sums, last, 64 * words, 8))
        return ended(&held, 5, DQH_ARGUMENT);
    Py_BEGIN_ALLOW_THREADS
    dqh_bit_sums(offsets->buf, order->buf, first, last, codes->buf, weights->buf, words, sums->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 5, DQH_OK);
}

PyObject *dqh_py_nearest_by_last(PyObject *module, PyObject *arguments) {
    (void)module;
    long long first, last, number, count, words, most;
    buffers held = {0};
    Py_buffer *offsets = held.all, *order = held.all + 1, *codes = held.all + 2, *centres = held.all + 3,
              *scratch = held.all + 4, *ids = held.all + 5, *distances = held.all + 6;
    if (!PyArg_ParseTuple(arguments, "y*y*LLy*Ly*LLLw*w*w*", offsets, order, &first, &last, codes, &number, centres, &count,
                          &words, &most, scratch, ids, distances))
        return NULL;
    if (words < 1 || words > DQH_MOST_WORDS || count < 1 || count > INT32_MAX / 2 || last > count || most < 0 ||
        !holds(codes, number, words, 8) || !holds(centres, count, words, 8) ||
        !holds(scratch, 2 * count + DQH_COUNTS * (64 * words + 1), 1, 4) || !grouped(offsets, order, first, last, number) ||
        !holds(ids, number, 1, 4) || !holds(distances, number, 1, 4))
        return ended(&held, 7, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_nearest_by_last(offsets->buf, order->buf, first, last, codes->buf, centres->buf, count, words, most,
                                 scratch->buf, ids->buf, distances->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 7, status);
}

/* Whether all places are those of some of `number` rows. */
static int within(const int32_t *places, int64_t count, int64_t number) {
    for (int64_t i = 0; i < count; i++)
        if (places[i] < 0 || places[i] >= number) return 0;
    return 1;
}

PyObject *dqh_py_nearest_codes(PyObject *module, PyObject *arguments) {
    (void)module;
    long long number, places_count, count, words;
    buffers held = {0};
    Py_buffer *codes = held.all, *places = held.all + 1, *columns = held.all + 2, *ids = held.all + 3,
              *distances = held.all + 4;
    if (!PyArg_ParseTuple(arguments, "y*Ly*Ly*LLw*w*", codes, &number, places, &places_count, columns, &count, &words, ids,
                          distances))
        return NULL;
    if (words < 1 || words > 4 || count < 1 || count > INT32_MAX || !holds(codes, number, words, 8) ||
        !holds(places, places_count, 1, 4) || !holds(columns, words, count, 8) || !holds(ids, places_count, 1, 4) ||
        !holds(distances, places_count, 1, 4) || !within(places->buf, places_count, number))
        return ended(&held, 5, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_nearest_codes(codes->buf, places->buf, places_count, columns->buf, count, words, ids->buf, distances->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 5, status);
}

/* Whether numbers ascend from 0 to `last`. */
static int ascend(const int32_t *numbers, int64_t count, int64_t last) {
    if (numbers[0] != 0 || numbers[count - 1] != last) return 0;
    for (int64_t i = 1; i < count; i++)
        if (numbers[i] < numbers[i - 1]) return 0;
    return 1;
}

static int complete(const dqh_parts *parts) {
    for (int64_t part = 0; part < parts->count; part++)
        if (!ascend(parts->starts + part * 65537, 65537, parts->rows)) return 0;
    for (int64_t place = 0; place < parts->count * parts->rows; place++)
        if (parts->ids[place] < 0 || parts->ids[place] >= parts->rows) return 0;
    return ascend(parts->levels, 18, 65536);
}

PyObject *dqh_py_multi_index_nearest(PyObject *module, PyObject *arguments) {
    (void)module;
    long long rows, words, parts_of_code, count;
    buffers held = {0};
    Py_buffer *codes = held.all, *starts = held.all + 1, *places = held.all + 2, *levels = held.all + 3,
              *flips = held.all + 4, *queries = held.all + 5, *ids = held.all + 6, *distances = held.all + 7;
    if (!PyArg_ParseTuple(arguments, "y*y*y*y*y*LLLy*Lw*w*", codes, starts, places, levels, flips, &rows, &words,
                          &parts_of_code, queries, &count, ids, distances))
        return NULL;
    const dqh_parts parts = {codes->buf, starts->buf, places->buf, levels->buf, flips->buf, rows, words, parts_of_code};
    if (rows < 1 || rows > INT32_MAX || words < 1 || words > DQH_MOST_WORDS || parts_of_code < 1 ||
        parts_of_code > 4 * words || !holds(codes, rows, words, 8) || !holds(starts, parts_of_code, 65537, 4) ||
        !holds(places, parts_of_code, rows, 4) || !holds(levels, 18, 1, 4) || !holds(flips, 65536, 1, 2) ||
        !holds(queries, count, words, 8) || !holds(ids, count, 1, 4) || !holds(distances, count, 1, 4) ||
        !complete(&parts))
        return ended(&held, 8, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_multi_index_nearest(&parts, queries->buf, count, ids->buf, distances->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 8, status);
}

PyObject *dqh_py_nearest_centres(PyObject *module, PyObject *arguments) {
    (void)module;
    long long subspaces, codewords, count, points;
    double scale;
    buffers held = {0};
    Py_buffer *values = held.all, *steps = held.all + 1, *centres = held.all + 2, *indices = held.all + 3,
              *scratch = held.all + 4, *keys = held.all + 5;
    if (!PyArg_ParseTuple(arguments, "y*y*LLdy*Ly*Lw*w*", values, steps, &subspaces, &codewords, &scale, centres, &count,
                          indices, &points, scratch, keys))
        return NULL;
    const dqh_code_distances distances = {values->buf, steps->buf, subspaces, codewords, scale};
    if (subspaces < 1 || subspaces > DQH_MOST_SUBSPACES || codewords < 1 || codewords > 256 ||
        !holds(values, subspaces * codewords, codewords, 4) || !holds(steps, subspaces * codewords, codewords, 1) ||
        count < 1 || count > INT32_MAX || !holds(centres, count, subspaces, 1) || !holds(indices, points, subspaces, 1) ||
        !holds(scratch, subspaces * codewords, DQH_CENTRES, 1) ||
        (int64_t)scratch->len - subspaces * codewords * DQH_CENTRES < points || !holds(keys, points, 1, 8))
        return ended(&held, 6, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_nearest_centres(&distances, centres->buf, count, indices->buf, points, scratch->buf, keys->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 6, status);
}
