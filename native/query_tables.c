/* Look-up tables of queries: see query_tables.h. */
#include "kernels.h"

int dqh_query_tables(const double *queries, int64_t count, const float *rotation, const float *columns,
                     const double *norms, int64_t subspaces, int64_t codewords, int64_t width, int squared,
                     double *scratch, float *tables) {
    const dqh_kernels *kernels = dqh_in_use();
    const int64_t size = subspaces * width;
    for (int64_t i = 0; i < count; i++, queries += size, tables += subspaces * codewords) {
        if (rotation) kernels->turned_query(queries, rotation, size, scratch);
        kernels->query_table(rotation ? scratch : queries, columns, norms, subspaces, codewords, width, squared, tables);
    }
    return DQH_OK;
}
