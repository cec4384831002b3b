/* Look-up tables of one query, a template over TARGET, which the compiler makes vectors of: products and sums are not
   fused (-ffp-contract=off), so that they are the same by all instruction sets. */
enum { TABLE_PART = 64 /* codewords together */ };

/* The query times a matrix (size, size). */
TARGET static void turned_query(const double *query, const float *rotation, int64_t size, double *turned) {
    for (int64_t j = 0; j < size; j++) turned[j] = 0;
    for (int64_t i = 0; i < size; i++, rotation += size)
        for (int64_t j = 0; j < size; j++) turned[j] += query[i] * (double)rotation[j];
}

/* Products of the parts of a query and codewords, or |c|² − 2 x·c + |x|², which is 0 where it is rounding alone. */
TARGET static void query_table(const double *query, const float *columns, const double *norms, int64_t subspaces,
                               int64_t codewords, int64_t width, int squared, float *table) {
    for (int64_t subspace = 0; subspace < subspaces; subspace++, query += width, columns += width * codewords) {
        double length = 0;
        for (int64_t i = 0; i < width; i++) length += query[i] * query[i];
        for (int64_t start = 0; start < codewords; start += TABLE_PART) {
            const int count = codewords - start < TABLE_PART ? (int)(codewords - start) : TABLE_PART;
            double sums[TABLE_PART] = {0};
            for (int64_t i = 0; i < width; i++) {
                const float *column = columns + i * codewords + start;
                for (int at = 0; at < count; at++) sums[at] += query[i] * (double)column[at];
            }
            for (int at = 0; squared && at < count; at++) {
                const double distance = norms[at] - 2 * sums[at] + length;
                sums[at] = distance <= DQH_ROUNDING * (norms[at] + length) ? 0 : distance;
            }
            for (int at = 0; at < count; at++) table[at] = (float)sums[at];
            table += count, norms += count;
        }
    }
}
