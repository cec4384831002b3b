"""The SQL of the pgvector form: a table, its indexes, and searches.

Bits are `bit(B)`, whose first digit is bit 0 of the code, and are compared by `<~>`, the Hamming distance; features are
`halfvec(F)`, compared by `<->`, L2. pgvector has no product-quantized codes: they are bytes that nothing searches.

B bits a code, F feature dimensions.
"""

from dqh.codes import code_bytes
from dqh.export.index.content import BIT_ORDER, IndexContent
from dqh.terminal import shown

TABLE = "images"

TYPE_DIMENSIONS = 16_000
"""Of a halfvec, at most."""

INDEX_DIMENSIONS = 4_000
"""Of a halfvec in an HNSW index, at most."""


_TAGS = """    tags text[] NOT NULL, tag_weights real[] NOT NULL,  -- of the image, the weightiest first
"""


def literal(text: str) -> str:
    r"""A text as an SQL literal on one line, letters that steer a terminal as escapes.

    Backslashes are doubled in a literal that says so, which is read alike whatever `standard_conforming_strings` is.

    Example:
        >>> print(literal("it's"), literal("two\nlines"))
        'it''s' E'two\\nlines'
    """
    quoted = "'" + shown(text).replace("'", "''") + "'"
    return "E" + quoted.replace("\\", r"\\") if "\\" in quoted else quoted


def schema_sql(collection: IndexContent) -> str:
    """`schema.sql`: extension, table, and for bits the function that makes a bit string of packed bytes."""
    bits, manifest = collection.bits, collection.version.manifest
    if collection.product:
        code = "    code bytea NOT NULL,            -- product-quantized: pgvector has no distance between such codes"
    else:
        code = f"    code bit({bits}) NOT NULL,".ljust(36) + "-- digit i from the left, from 0, is bit i of the code"
    tags = _TAGS if collection.tagged else ""
    words = (
        f"dqh: encoder {manifest.encoder_id}, {bits} bits ({manifest.code_kind}), paths relative to "
        f"{manifest.root or '/'}"
    )
    return f"""-- {collection.title} for PostgreSQL 14 or later with pgvector 0.8 or later.
CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE {TABLE} (
    id bigint PRIMARY KEY,
    path text,                      -- relative to the root; NULL where the name of the file is not UTF-8
    path_bytes bytea NOT NULL,      -- the name of the file, byte for byte
    labels text[] NOT NULL,
{tags}    x0 real, y0 real, x1 real, y1 real,  -- box in the image, pixels; NULL: the whole image
    content_hash bytea NOT NULL,
    object text, score real,        -- class of what a detector saw in the box, and how sure it was; NULL: none did
{code}
    features halfvec({collection.feature_size}) NOT NULL
);

COMMENT ON TABLE {TABLE} IS {literal(words)};
{"" if collection.product else _function(bits)}"""


def _function(bits: int) -> str:
    return f"""
-- The code as {TABLE} has it, of the packed bytes that the encoder gives ({BIT_ORDER}).
-- get_bit counts the bits of a byte from the lowest one, too; another number of bytes is an error.
CREATE OR REPLACE FUNCTION {TABLE}_code(packed bytea) RETURNS bit({bits})
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT string_agg(get_bit(packed, i)::text, '' ORDER BY i)::bit({bits})
    FROM (
        SELECT CASE length(packed) WHEN {code_bytes(bits)} THEN i ELSE -1 END FROM generate_series(0, {bits - 1}) AS i
    ) AS places (i)
$$;
"""


def indexes_sql(collection: IndexContent) -> str:
    """`indexes.sql`: what large collections want, and says what pgvector cannot index."""
    lines = [
        "-- Approximate search for large collections; without these indexes every search is exact.",
        "-- PostgreSQL before 17 uses an HNSW index only where `, id` is taken out of the ORDER BY of search.sql.",
        f"CREATE INDEX ON {TABLE} USING gin (labels);",
    ]
    features = f"CREATE INDEX ON {TABLE} USING hnsw (features halfvec_l2_ops);"
    size = collection.feature_size
    beyond = f"-- No HNSW index of the features: pgvector has it up to {INDEX_DIMENSIONS} dimensions, these are {size}."
    if collection.product:
        lines += [features] if size <= INDEX_DIMENSIONS else [beyond, "-- Searches are exact."]
    else:
        lines.append(f"CREATE INDEX ON {TABLE} USING hnsw (code bit_hamming_ops);")
        lines.append("-- The search by code and then by features needs no index of the features.")
        lines += [f"-- {features}"] if size <= INDEX_DIMENSIONS else [beyond]
    return "\n".join([*lines, f"ANALYZE {TABLE};", ""])


def search_sql(collection: IndexContent) -> str:
    """`search.sql`: for psql, by an image of the table or by what the encoder says of another one."""
    size = collection.feature_size
    fine = f"features <-> :'query_features'::halfvec({size})"
    if collection.product:
        return f"""-- The :k images nearest by features. Codes are product-quantized, which pgvector does not search.
--   psql -v id=17 -f search.sql               nearest to image 17
--   psql -v features='[…]' -f search.sql      nearest to what the encoder says of another image
-- Also -v k=10.
{_settings("k 10")}SELECT features AS query_features FROM {TABLE} WHERE id = :id \\gset
\\elif :{{?features}}
\\set query_features :features
\\else
{_nothing_given("features")}
\\endif

-- A filter: WHERE labels @> ARRAY['dress'].
SELECT id, path, labels, ({fine}) ^ 2 AS distance
FROM {TABLE}
ORDER BY {fine}, id
LIMIT :k;
"""
    coarse = f"code <~> :'query_code'::bit({collection.bits})"
    return f"""-- The :k images nearest by features among the :pool nearest by code, equal distances by id.
--   psql -v id=17 -f search.sql                               nearest to image 17
--   psql -v code='\\x…' -v features='[…]' -f search.sql        nearest to what the encoder says of another image:
--                                                             the packed bytes of its code, and its features
-- Also -v k=10 -v pool=1000.
{_settings("k 10", "pool 1000")}SELECT code AS query_code, features AS query_features FROM {TABLE} WHERE id = :id \\gset
\\elif :{{?code}}
SELECT {TABLE}_code(:'code') AS query_code \\gset
\\set query_features :features
\\else
{_nothing_given("code and features")}
\\endif
-- An HNSW index of the codes, where there is one (indexes.sql), looks at so many and goes on until the pool is full.
SELECT set_config('hnsw.ef_search', least(greatest(:pool, 40), 1000)::text, false),
    set_config('hnsw.iterative_scan', 'strict_order', false) \\g /dev/null

-- A filter goes into the pool: FROM {TABLE} WHERE labels @> ARRAY['dress'] ORDER BY …
WITH pool AS MATERIALIZED (
    SELECT id, path, labels, features, {coarse} AS code_distance
    FROM {TABLE}
    ORDER BY {coarse}, id
    LIMIT :pool
)
SELECT id, path, labels, code_distance, ({fine}) ^ 2 AS distance
FROM pool
ORDER BY {fine}, id
LIMIT :k;
"""


def _nothing_given(names: str) -> str:
    """A statement that fails and says why."""
    problem = f"nothing to search by: give -v id=…, or {names}, as the top of search.sql shows"
    return f"DO $$ BEGIN RAISE EXCEPTION {literal(problem)}; END $$;"


def _settings(*defaults: str) -> str:
    """Variables of psql that have a default, and the beginning of the choice of a query."""
    given = "".join(f"\\if :{{?{default.split()[0]}}}\n\\else\n\\set {default}\n\\endif\n" for default in defaults)
    return f"\\set ON_ERROR_STOP on\n{given}\\if :{{?id}}\n"
