import numpy as np

from alcli.numerics.blocks import workers
from alcli.numerics.diversity.columns import WIDTH, GramColumns, batch_of
from alcli.numerics.rows import feature_rows


def test_columns_are_those_of_the_gram_matrix_and_guesses_are_kept(monkeypatch):
    X = np.random.default_rng(0).standard_normal((100, 5))
    (rows,) = feature_rows(X)
    asked = []
    with workers() as spread:
        columns = GramColumns(rows, spread)
        for i in (7, 3, 40, 7):
            assert np.allclose(columns.of(i, lambda i=i: asked.append(i) or np.arange(10)), X @ X[i])
    assert asked == [7, 40]  # 3 was guessed with 7, and 7 with 40


def test_a_batch_has_always_the_same_width_and_holds_the_row():
    for others in (np.arange(0), np.arange(3), np.arange(100)):
        batch = batch_of(2, others)
        assert len(batch) == WIDTH
        assert 2 in batch
        assert set(batch) <= {2, *others}
