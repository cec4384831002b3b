/* The search kernels, and the module `dqh._native` by the stable interface of Python 3.11 on. */
#include "module.h"

#ifndef DQH_SOURCE
#define DQH_SOURCE ""
#endif

static int sound(const dqh_codes *codes, const Py_buffer *blocks, const Py_buffer *allowed) {
    const int64_t size = (int64_t)blocks->len;
    if (codes->rows < 0 || codes->words < 1 || codes->words > DQH_MOST_WORDS) return 0;
    if (codes->rows > 0 && (codes->rows - 1) / 8 + 1 > size / (64 * codes->words)) return 0;
    if (codes->first < 0 || codes->first % 8 || codes->first > codes->last || codes->last > codes->rows) return 0;
    if (codes->last % 8 && codes->last < codes->rows) return 0;
    return !codes->allowed || (int64_t)allowed->len >= (codes->rows + 7) / 8;
}

static PyObject *hamming_scratch(PyObject *module, PyObject *arguments) {
    (void)module;
    long long count, rows, words, k;
    if (!PyArg_ParseTuple(arguments, "LLLL", &count, &rows, &words, &k)) return NULL;
    return PyLong_FromLongLong(dqh_hamming_scratch(count, rows, words, k));
}

static PyObject *hamming_nearest(PyObject *module, PyObject *arguments) {
    (void)module;
    long long rows, words, first, last, count, k;
    buffers held = {0};
    Py_buffer *blocks = held.all, *allowed = held.all + 1, *queries = held.all + 2, *scratch = held.all + 3,
              *ids = held.all + 4, *distances = held.all + 5;
    if (!PyArg_ParseTuple(arguments, "y*z*LLLLy*LLw*w*w*", blocks, allowed, &rows, &words, &first, &last, queries,
                          &count, &k, scratch, ids, distances))
        return NULL;
    const dqh_codes codes = {blocks->buf, allowed->buf, rows, words, first, last};
    if (!sound(&codes, blocks, allowed) || k < 1 || !holds(queries, count, words, 8) || !holds(ids, count, k, 8) ||
        !holds(distances, count, k, 4) || !holds(scratch, dqh_hamming_scratch(1, rows, words, k), count, 1) ||
        (uintptr_t)scratch->buf % 8)
        return ended(&held, 6, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_hamming_nearest(&codes, queries->buf, count, k, scratch->buf, ids->buf, distances->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 6, status);
}

static PyObject *hamming_within(PyObject *module, PyObject *arguments) {
    (void)module;
    long long rows, words, first, last, count, radius;
    buffers held = {0};
    Py_buffer *blocks = held.all, *allowed = held.all + 1, *queries = held.all + 2, *scratch = held.all + 3,
              *cursors = held.all + 4, *ids = held.all + 5, *distances = held.all + 6;
    if (!PyArg_ParseTuple(arguments, "y*z*LLLLy*LLw*w*z*z*", blocks, allowed, &rows, &words, &first, &last, queries,
                          &count, &radius, scratch, cursors, ids, distances))
        return NULL;
    const dqh_codes codes = {blocks->buf, allowed->buf, rows, words, first, last};
    const int64_t capacity = (int64_t)ids->len / 8;
    if (!sound(&codes, blocks, allowed) || radius < 0 || radius > 64 * words || !holds(queries, count, words, 8) ||
        !holds(scratch, dqh_hamming_scratch(1, rows, words, 1), count, 1) || (uintptr_t)scratch->buf % 8 ||
        !holds(cursors, count, radius + 1, 8) || (ids->buf && ids->readonly) ||
        (distances->buf && distances->readonly) || !holds(ids, capacity, 1, 8) || !holds(distances, capacity, 1, 4))
        return ended(&held, 7, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_hamming_within(&codes, queries->buf, count, radius, scratch->buf, cursors->buf, capacity, ids->buf,
                                distances->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 7, status);
}

static PyObject *hamming_histograms_scratch(PyObject *module, PyObject *arguments) {
    (void)module;
    long long count, words;
    if (!PyArg_ParseTuple(arguments, "LL", &count, &words)) return NULL;
    return PyLong_FromLongLong(dqh_hamming_histograms_scratch(count, words));
}

static PyObject *hamming_histograms(PyObject *module, PyObject *arguments) {
    (void)module;
    long long rows, words, first, last, label_words, count;
    int shared;
    buffers held = {0};
    Py_buffer *blocks = held.all, *label_blocks = held.all + 1, *queries = held.all + 2, *query_labels = held.all + 3,
              *scratch = held.all + 4, *histograms = held.all + 5;
    if (!PyArg_ParseTuple(arguments, "y*LLLLy*Lpy*y*Lw*w*", blocks, &rows, &words, &first, &last, label_blocks,
                          &label_words, &shared, queries, query_labels, &count, scratch, histograms))
        return NULL;
    const dqh_codes codes = {blocks->buf, NULL, rows, words, first, last};
    const dqh_codes labelled = {label_blocks->buf, NULL, rows, label_words, first, last};
    const dqh_labels labels = {label_blocks->buf, label_words, shared};
    if (!sound(&codes, blocks, NULL) || !sound(&labelled, label_blocks, NULL) || (!shared && label_words != 1) ||
        !holds(queries, count, words, 8) || !holds(query_labels, count, label_words, 8) ||
        !holds(scratch, dqh_hamming_histograms_scratch(count, words), 1, 1) || (uintptr_t)scratch->buf % 4 ||
        !holds(histograms, count, 2 * (64 * words + 1), 8))
        return ended(&held, 6, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_hamming_histograms(&codes, &labels, queries->buf, query_labels->buf, count, scratch->buf,
                                    histograms->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 6, status);
}

static PyObject *squared_l2(PyObject *module, PyObject *arguments) {
    (void)module;
    long long number, size, count;
    buffers held = {0};
    Py_buffer *rows = held.all, *query = held.all + 1, *ids = held.all + 2, *distances = held.all + 3;
    if (!PyArg_ParseTuple(arguments, "y*LLy*y*Lw*", rows, &number, &size, query, ids, &count, distances)) return NULL;
    if (!holds(rows, number, size, 1) || size > (int64_t)rows->len / 2 + 1 || !holds(rows, number, 2 * size, 1) ||
        !holds(query, size, 1, 4) || !holds(ids, count, 1, 8) || !holds(distances, count, 1, 4))
        return ended(&held, 4, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_squared_l2(rows->buf, number, size, query->buf, ids->buf, count, distances->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 4, status);
}

static PyObject *checked_l2(PyObject *module, PyObject *arguments) {
    (void)module;
    long long number, size, count;
    buffers held = {0};
    Py_buffer *rows = held.all, *sums = held.all + 1, *query = held.all + 2, *ids = held.all + 3,
              *distances = held.all + 4;
    if (!PyArg_ParseTuple(arguments, "y*LLy*y*y*Lw*", rows, &number, &size, sums, query, ids, &count, distances))
        return NULL;
    if (!holds(rows, number, size, 1) || size > (int64_t)rows->len / 2 + 1 || !holds(rows, number, 2 * size, 1) ||
        !holds(sums, number, 1, 4) || !holds(query, size, 1, 4) || !holds(ids, count, 1, 8) ||
        !holds(distances, count, 1, 4))
        return ended(&held, 5, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_checked_l2(rows->buf, number, size, sums->buf, query->buf, ids->buf, count, distances->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 5, status);
}

static PyObject *tables_scratch(PyObject *module, PyObject *arguments) {
    (void)module;
    long long count, rows, subspaces, codewords, k;
    if (!PyArg_ParseTuple(arguments, "LLLLL", &count, &rows, &subspaces, &codewords, &k)) return NULL;
    return PyLong_FromLongLong(dqh_tables_scratch(count, rows, subspaces, codewords, k));
}

/* Whether products are whole: their blocks, with the columns of norms where there are scales, and their bitmap. */
static int sound_products(const dqh_products *products, const Py_buffer *blocks, const Py_buffer *allowed,
                          const Py_buffer *scales) {
    const int64_t columns = products->subspaces + (scales->buf ? 1 + (products->codewords <= 16) : 0);
    if (products->rows < 0 || products->subspaces < 1 || products->subspaces > DQH_MOST_WORDS) return 0;
    if (products->codewords < 2 || products->codewords > 256 || products->codewords & (products->codewords - 1)) return 0;
    if (products->first < 0 || products->first > products->last || products->last > products->rows) return 0;
    if (!(products->norm_least >= 0 && products->norm_step >= 0)) return 0;
    if (!holds(blocks, products->rows / DQH_ROWS + (products->rows % DQH_ROWS > 0), columns * DQH_ROWS, 1)) return 0;
    if (scales->buf && !holds(scales, products->rows, 1, 4)) return 0;
    return !products->allowed || (int64_t)allowed->len >= (products->rows + 7) / 8;
}

static PyObject *tables_nearest(PyObject *module, PyObject *arguments) {
    (void)module;
    long long rows, subspaces, codewords, first, last, count, k;
    double norm_least, norm_step;
    buffers held = {0};
    Py_buffer *blocks = held.all, *allowed = held.all + 1, *scales = held.all + 2, *tables = held.all + 3,
              *scratch = held.all + 4, *ids = held.all + 5, *distances = held.all + 6;
    if (!PyArg_ParseTuple(arguments, "y*z*LLLz*ddLLy*LLw*w*w*", blocks, allowed, &rows, &subspaces, &codewords, scales,
                          &norm_least, &norm_step, &first, &last, tables, &count, &k, scratch, ids, distances))
        return NULL;
    const dqh_products products = {blocks->buf,  allowed->buf, scales->buf, norm_least, norm_step,
                                   rows,         subspaces,    codewords,   first,      last};
    if (!sound_products(&products, blocks, allowed, scales) || k < 1 ||
        !holds(tables, count, subspaces * codewords, 4) || !holds(ids, count, k, 8) || !holds(distances, count, k, 4) ||
        !holds(scratch, dqh_tables_scratch(1, rows, subspaces, codewords, k), count, 1) || (uintptr_t)scratch->buf % 8)
        return ended(&held, 7, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_tables_nearest(&products, tables->buf, count, k, scratch->buf, ids->buf, distances->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 7, status);
}

static PyObject *tables_within(PyObject *module, PyObject *arguments) {
    (void)module;
    long long rows, subspaces, codewords, first, last, count;
    double norm_least, norm_step;
    float radius;
    buffers held = {0};
    Py_buffer *blocks = held.all, *allowed = held.all + 1, *scales = held.all + 2, *tables = held.all + 3,
              *scratch = held.all + 4, *cursors = held.all + 5, *ids = held.all + 6, *distances = held.all + 7;
    if (!PyArg_ParseTuple(arguments, "y*z*LLLz*ddLLy*Lfw*w*z*z*", blocks, allowed, &rows, &subspaces, &codewords,
                          scales, &norm_least, &norm_step, &first, &last, tables, &count, &radius, scratch, cursors,
                          ids, distances))
        return NULL;
    const dqh_products products = {blocks->buf,  allowed->buf, scales->buf, norm_least, norm_step,
                                   rows,         subspaces,    codewords,   first,      last};
    const int64_t capacity = (int64_t)ids->len / 8;
    if (!sound_products(&products, blocks, allowed, scales) || !holds(tables, count, subspaces * codewords, 4) ||
        !holds(scratch, dqh_tables_scratch(1, rows, subspaces, codewords, 1), count, 1) ||
        (uintptr_t)scratch->buf % 8 || !holds(cursors, count, 1, 8) || (ids->buf && ids->readonly) ||
        (distances->buf && distances->readonly) || !holds(ids, capacity, 1, 8) || !holds(distances, capacity, 1, 4))
        return ended(&held, 8, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_tables_within(&products, tables->buf, count, radius, scratch->buf, cursors->buf, capacity, ids->buf,
                               distances->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 8, status);
}

static PyObject *query_tables(PyObject *module, PyObject *arguments) {
    (void)module;
    long long count, subspaces, codewords, width;
    int squared;
    buffers held = {0};
    Py_buffer *queries = held.all, *rotation = held.all + 1, *columns = held.all + 2, *norms = held.all + 3,
              *scratch = held.all + 4, *tables = held.all + 5;
    if (!PyArg_ParseTuple(arguments, "y*Lz*y*y*LLLpw*w*", queries, &count, rotation, columns, norms, &subspaces, &codewords,
                          &width, &squared, scratch, tables))
        return NULL;
    const int64_t size = subspaces < 1 || subspaces > DQH_MOST_WORDS || width < 1 || width > INT32_MAX ? -1
                                                                                                      : subspaces * width;
    if (size < 0 || codewords < 1 || codewords > DQH_MOST_WORDS || !holds(queries, count, size, 8) ||
        (rotation->buf && !holds(rotation, size, size, 4)) || !holds(columns, size, codewords, 4) ||
        !holds(norms, subspaces, codewords, 8) || !holds(scratch, size, 1, 8) ||
        !holds(tables, count, subspaces * codewords, 4))
        return ended(&held, 6, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_query_tables(queries->buf, count, rotation->buf, columns->buf, norms->buf, subspaces, codewords, width,
                              squared, scratch->buf, tables->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 6, status);
}

static PyObject *crc32(PyObject *module, PyObject *arguments) {
    (void)module;
    long long count, size;
    buffers held = {0};
    Py_buffer *rows = held.all, *sums = held.all + 1;
    if (!PyArg_ParseTuple(arguments, "y*LLw*", rows, &count, &size, sums)) return NULL;
    if (!holds(rows, count, size, 1) || size < 0 || !holds(sums, count, 1, 4)) return ended(&held, 2, DQH_ARGUMENT);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = dqh_crc32(rows->buf, count, size, sums->buf);
    Py_END_ALLOW_THREADS
    return ended(&held, 2, status);
}

static const char *const SETS[DQH_SETS] = {"portable", "avx2", "avx512"};

static PyObject *instruction_set(PyObject *module, PyObject *arguments) {
    (void)module;
    const char *name = NULL;
    if (!PyArg_ParseTuple(arguments, "|s", &name)) return NULL;
    for (int set = 0; name && set < DQH_SETS; set++)
        if (!strcmp(name, SETS[set]) && dqh_use_set(set) == DQH_OK) name = NULL;
    if (name) {
        PyErr_Format(PyExc_ValueError, "instruction set must be portable or one up to %s, got %s",
                     SETS[dqh_best_set()], name);
        return NULL;
    }
    return PyUnicode_FromString(SETS[dqh_set()]);
}

static PyObject *source(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    return PyUnicode_FromString(DQH_SOURCE);
}

static PyMethodDef methods[] = {
    {"hamming_scratch", hamming_scratch, METH_VARARGS, NULL},
    {"hamming_nearest", hamming_nearest, METH_VARARGS, NULL},
    {"hamming_within", hamming_within, METH_VARARGS, NULL},
    {"hamming_histograms_scratch", hamming_histograms_scratch, METH_VARARGS, NULL},
    {"hamming_histograms", hamming_histograms, METH_VARARGS, NULL},
    {"squared_l2", squared_l2, METH_VARARGS, NULL},
    {"checked_l2", checked_l2, METH_VARARGS, NULL},
    {"tables_scratch", tables_scratch, METH_VARARGS, NULL},
    {"tables_nearest", tables_nearest, METH_VARARGS, NULL},
    {"tables_within", tables_within, METH_VARARGS, NULL},
    {"query_tables", query_tables, METH_VARARGS, NULL},
    {"crc32", crc32, METH_VARARGS, NULL},
    {"smallest", dqh_py_smallest, METH_VARARGS, NULL},
    {"walk_cells", dqh_py_walk_cells, METH_VARARGS, NULL},
    {"nearest_sums", dqh_py_nearest_sums, METH_VARARGS, NULL},
    {"group", dqh_py_group, METH_VARARGS, NULL},
    {"mean_sums", dqh_py_mean_sums, METH_VARARGS, NULL},
    {"codeword_sums", dqh_py_codeword_sums, METH_VARARGS, NULL},
    {"nearest_centres", dqh_py_nearest_centres, METH_VARARGS, NULL},
    {"bit_sums", dqh_py_bit_sums, METH_VARARGS, NULL},
    {"nearest_by_last", dqh_py_nearest_by_last, METH_VARARGS, NULL},
    {"nearest_codes", dqh_py_nearest_codes, METH_VARARGS, NULL},
    {"multi_index_nearest", dqh_py_multi_index_nearest, METH_VARARGS, NULL},
    {"instruction_set", instruction_set, METH_VARARGS, NULL},
    {"source", source, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static int start(PyObject *module) {
    (void)module;
    dqh_use_set(dqh_best_set());
    return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)start}, {0, NULL}};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "dqh._native", "Kernels of search and clustering, see dqh.native.", 0, methods, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&definition); }
