import numpy as np
import pytest
import torch

from dqh.index.aqd import AQDIndex
from dqh.index.orders.tables import TableOrder
from dqh.quantizers import ProductQuantizer
from dqh.ranking.side import Side

QUERIES, SIZE = 6, 50
PRODUCT = ProductQuantizer.from_codebooks(np.random.default_rng(0).standard_normal((4, 8, 3)))


def sides() -> tuple[Side, Side]:
    generator = np.random.default_rng(1)
    made = []
    for count in (QUERIES, SIZE):
        embedding = generator.standard_normal((count, 12)).astype(np.float32)
        made.append(Side(PRODUCT.encode(embedding), embedding, embedding[:, :3], generator.integers(0, 3, count)))
    return made[0], made[1]


@pytest.mark.parametrize("distance", ["l2", "ip", "cosine"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_table_keys_order_as_decoded_vectors_do(distance: str, symmetric: bool, device: str) -> None:
    query, database = sides()
    order = TableOrder(query, database, quantizer=PRODUCT, distance=distance, symmetric=symmetric, device=device)
    items = PRODUCT.decode(database.codes).astype(np.float64)
    queries = (PRODUCT.decode(query.codes) if symmetric else query.embedding).astype(np.float64)
    product, lengths = queries @ items.T, np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(items, axis=1)
    squared = ((queries[:, None] - items) ** 2).sum(2)
    wanted = {"l2": squared, "ip": -product, "cosine": 1 - product / lengths}[distance]
    keys = order.keys(slice(0, QUERIES)).cpu().numpy()
    for own, found in zip(wanted, keys, strict=True):
        # float32 sums of four table entries
        assert np.allclose(own[np.argsort(found, kind="stable")], np.sort(own), rtol=1e-5, atol=1e-5)
    _, code = np.unique(database.codes, axis=0, return_inverse=True)
    for q in range(QUERIES):
        assert len(np.unique(keys[q])) == len(np.unique(np.stack([code.ravel(), keys[q]]), axis=1).T)


@pytest.mark.parametrize("distance", ["l2", "ip", "cosine"])
def test_keys_and_index_rank_alike(distance: str) -> None:
    query, database = sides()
    index = AQDIndex(PRODUCT, distance=distance)
    index.add(database.codes)
    keys = TableOrder(query, database, quantizer=PRODUCT, distance=distance).keys(slice(0, QUERIES))
    found = index.search(query.embedding, SIZE)
    assert np.array_equal(torch.sort(keys, dim=1, stable=True).indices.numpy(), found.ids)


def test_equal_codes_are_ties_whatever_their_floats_say(device: str) -> None:
    """Three decimals that binary floats do not hold, at 40 places of the database."""
    quantizer = ProductQuantizer.from_codebooks(np.full((3, 2, 1), 0.1) * np.array([[[1], [3]]]))
    embedding = np.tile(np.array([[0.1, 0.3, 0.1]], np.float32), (40, 1))
    labels = np.arange(40) % 2
    database = Side(quantizer.encode(embedding), embedding, embedding, labels)
    query = Side(*(values[:1] for values in database))._replace(embedding=np.array([[0.7, 0.1, 0.9]], np.float32))
    for distance in ("l2", "ip", "cosine"):
        (found,) = TableOrder(query, database, quantizer=quantizer, distance=distance, device=device).buckets()
        assert (found.counts.tolist(), found.relevant.tolist()) == ([[40]], [[20]])


def test_pools_of_tables_are_whole_balls(device: str) -> None:
    query, database = sides()
    order = TableOrder(query, database, quantizer=PRODUCT, device=device)
    keys, pools = order.keys(slice(0, QUERIES)).cpu().numpy(), order.pools(pool=20)
    assert np.array_equal(pools.radii.cpu().numpy(), np.sort(keys, axis=1)[:, 19])
    assert np.array_equal(pools.sizes.cpu().numpy(), (keys <= np.sort(keys, axis=1)[:, 19:20]).sum(1))
    with pytest.raises(ValueError, match=r"radius is in bits, .* got 3"):
        order.pools(radius=3)


def test_others_leave_the_query_out() -> None:
    _, database = sides()
    order = TableOrder(database, database, quantizer=PRODUCT)
    found = list(order.others())
    assert [int(counts.sum()) for each in found for counts in each.counts] == [SIZE - 1] * SIZE
    relevant = (database.labels[:, None] == database.labels).sum(1) - 1
    assert [int(counts.sum()) for each in found for counts in each.relevant] == relevant.tolist()
