/* What the files of the module `dqh._native` share: buffers of a call, and whether they hold what they should.

   Arguments are numbers and buffers, C-contiguous ones; sizes and alignment are checked before a kernel is called, so
   that no call can leave its memory. Functions return a status, and work without the interpreter's lock. */
#ifndef DQH_MODULE_H
#define DQH_MODULE_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "dqh_native.h"

enum { DQH_MOST_BUFFERS = 8 };

/* Buffers of one call, released together. */
typedef struct {
    Py_buffer all[DQH_MOST_BUFFERS];
} buffers;

static inline PyObject *ended(buffers *held, int used, int status) {
    for (int i = 0; i < used; i++)
        if (held->all[i].obj) PyBuffer_Release(&held->all[i]);
    return PyLong_FromLong(status);
}

/* Whether a buffer holds `rows` × `columns` values of `size` bytes, aligned to them. */
static inline int holds(const Py_buffer *buffer, int64_t rows, int64_t columns, int64_t size) {
    if (rows < 0 || columns < 0 || (uintptr_t)buffer->buf % (uintptr_t)size) return 0;
    const int64_t values = (int64_t)buffer->len / size;
    return !rows || !columns || columns <= values / rows;
}

/* The methods of the kernels of clustering, in module_clustering.c. */
PyObject *dqh_py_smallest(PyObject *module, PyObject *arguments);
PyObject *dqh_py_walk_cells(PyObject *module, PyObject *arguments);
PyObject *dqh_py_nearest_sums(PyObject *module, PyObject *arguments);
PyObject *dqh_py_group(PyObject *module, PyObject *arguments);
PyObject *dqh_py_mean_sums(PyObject *module, PyObject *arguments);
PyObject *dqh_py_codeword_sums(PyObject *module, PyObject *arguments);
PyObject *dqh_py_nearest_centres(PyObject *module, PyObject *arguments);
PyObject *dqh_py_bit_sums(PyObject *module, PyObject *arguments);
PyObject *dqh_py_nearest_by_last(PyObject *module, PyObject *arguments);
PyObject *dqh_py_nearest_codes(PyObject *module, PyObject *arguments);
PyObject *dqh_py_multi_index_nearest(PyObject *module, PyObject *arguments);

#endif
