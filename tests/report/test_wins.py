import io

import numpy as np
import pytest
from PIL import Image

from alcli.numerics.metrics import METRICS
from alcli.report.curves import Drawn
from alcli.report.curves import draw as draw_curves
from alcli.report.pictures import Appearance
from alcli.report.summary import Curves
from alcli.report.wins import draw, rows, wins

VALUES = {
    "random": [[0.5, 0.6, 0.7], [0.5, 0.6, 0.7]],
    "good": [[0.5, 0.7, 0.8], [0.5, 0.6, 0.9]],
    "bad": [[0.5, 0.1, 0.1], [0.5, 0.1, 0.8]],
}


def curves(values=VALUES, smaller=False):
    return Curves(
        METRICS["rmse" if smaller else "accuracy"], np.arange(3), {name: np.array(v) for name, v in values.items()}, {}
    )


def test_by_hand():
    # The first point does not count, the tie of good and random is half a win: 3.5 of 4. bad is ahead of random once,
    # of good never.
    assert wins(curves()).tolist() == [[0.5, 0.125, 0.75], [0.875, 0.5, 1.0], [0.25, 0.0, 0.5]]
    assert wins(curves(smaller=True)).tolist() == (1 - wins(curves())).tolist()


def test_shares_of_a_pair_add_up_to_one():
    random = np.random.default_rng(0).integers(0, 5, (6, 4, 7)) / 5
    ahead = wins(curves(dict(zip("abcdef", random))))
    assert np.allclose(ahead + ahead.T, 1)


def test_the_columns_of_the_table():
    found = rows(curves())
    assert list(found[0]) == ["strategy", "mean", "random", "good", "bad"]
    assert [row["mean"] for row in found] == [pytest.approx(0.4375), pytest.approx(0.9375), pytest.approx(0.125)]


def test_where_nothing_was_chosen_all_are_level():
    start = curves({name: [[0.5], [0.6]] for name in "abc"})
    assert wins(start).tolist() == [[0.5] * 3] * 3
    assert {row["mean"] for row in rows(start)} == {0.5}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "name",
    [
        "predictive-variance:0.5,feature/kcenter:0.5",
        ",".join(f"{name}:0.1" for name in ["least-confident", "grad/kmeanspp"] * 5),
        "a" * 300,
    ],
)
def test_a_long_name_leaves_room_for_the_matrix_and_for_curves(name):
    both = curves({"random": VALUES["random"], name: VALUES["good"]})
    assert draw(both, "title", Appearance()) == draw(both, "title", Appearance())
    assert draw_curves(Drawn(both, "random", "title"), Appearance(("png",)))["png"].startswith(b"\x89PNG")


def test_the_picture_is_the_same_every_time_and_shows_the_winner_in_blue():
    one = draw(curves(), "title", Appearance())
    assert one == draw(curves(), "title", Appearance())
    image = np.asarray(Image.open(io.BytesIO(one["png"])).convert("RGB")).reshape(-1, 3).astype(int)
    assert (np.abs(image - (5, 48, 97)).max(axis=1) < 6).any()
    assert (np.abs(image - (103, 0, 31)).max(axis=1) < 6).any()
