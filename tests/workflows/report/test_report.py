"""The page tells what the other commands tell, and nothing else: read as a tree, compared with their output."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from alcli.data.absorbed import Audited, AuditRound
from alcli.data.head_file import load_head, save_head
from tests.dom import check_readable, fetched, parsed
from tests.pools import CLASSES, group_names, names, patches, tiny_features, write_labels, write_pool

POOL = "pool.parquet"


def jsonl(outcome):
    return [json.loads(line) for line in outcome.done().lines]


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def page(alcli):
    """A function that runs `alcli report`, and returns the page as a tree that every page has to be."""

    def report(*arguments, head="head.safetensors", pool=POOL):
        outcome = alcli("report", pool, "-H", head, "-o", "report.html", "--force", *arguments).done()
        found = parsed(Path("report.html").read_bytes())
        check_readable(found)
        assert fetched(found) == []
        found.remarks = outcome.err
        return found

    return report


def cards(page):
    return [
        (c.one("h3").one("bdi").text, c.facts(), c.one("p", class_="reason").one("bdi").text)
        for c in page.all("article")
    ]


def points(page):
    return json.loads(page.one("script", id="points").text)


# -- the batch --------------------------------------------------------------------------------------------------------


def test_cards_are_the_last_batch_of_the_ledger_with_its_reasons(head, alcli, page):
    ask = ("query", POOL, "-H", "head.safetensors", "--format", "jsonl", "--explain", "-n", "4")
    chosen = jsonl(alcli(*ask, "-s", "margin", "--selections", "ledger.parquet"))
    found = page("--selections", "ledger.parquet")
    assert [(id, reason) for id, _, reason in cards(found)] == [(row["id"], row["why"]) for row in chosen]
    for (_, facts, _), row in zip(cards(found), chosen):
        assert facts["predicted"] == f"{row['predicted']} ({row['confidence']:.2f})"
        assert facts["next"] == f"{row['second']} ({row['second_confidence']:.2f})"
        assert facts["stands for"] == str(row["stands_for"])
        assert facts["strategy"] == "margin"
        assert float(facts["score"]) == pytest.approx(row["score"], rel=1e-3)
        assert "label" not in facts
    assert found.one("section", id="batch").all("p")[0].words.startswith("4 items of the last batch of ledger.parquet")

    later = jsonl(alcli(*ask, "-s", "badge", "--selections", "ledger.parquet"))
    found = page("--selections", "ledger.parquet")
    assert [id for id, _, _ in cards(found)] == [row["id"] for row in later]
    rows = found.one("section", id="accuracy").one("table").rows()
    assert rows == [["1", "margin", "to learn from", "4", "0"], ["2", "badge", "to learn from", "4", "0"]]


def test_labels_that_came_in_are_shown_and_their_items_count_as_chosen(head, alcli, page):
    ask = ("query", POOL, "-H", "head.safetensors", "-s", "margin", "-n", "4", "--selections", "ledger.parquet")
    ids = alcli(*ask).done().lines
    before = cards(page("--selections", "ledger.parquet"))
    write_labels("answers.csv", dict(zip(ids, ("cat", "dog", "eel", "yak"))))
    found = page("--selections", "ledger.parquet", "-l", "answers.csv")
    assert [facts["label"] for _, facts, _ in cards(found)] == ["cat", "dog", "eel", "yak"]
    assert [reason for _, _, reason in cards(found)] == [reason for _, _, reason in before]
    assert found.one("section", id="overview").facts()["labels that the head has not absorbed"] == "4"
    rows = found.one("section", id="classes").one("table").rows()
    assert rows[-1] == ["yak (new to the head)", "1", "", "", ""]
    assert sum(int(row[1]) for row in rows) == 24
    assert found.one("section", id="accuracy").one("table").rows()[0][-1] == "4"
    write_labels("answers.csv", dict(zip(ids, ("Cat", "DOG ", "eel", "yak"))))
    found = page("--selections", "ledger.parquet", "-l", "answers.csv", "--normalize-labels")
    assert [facts["label"] for _, facts, _ in cards(found)] == ["cat", "dog", "eel", "yak"]


def test_a_batch_from_a_file_keeps_its_reasons(head, alcli, page):
    alcli("query", POOL, "-H", head, "-s", "margin", "-n", "3", "--explain", "-o", "batch.csv").done()
    rows = table("batch.csv")
    rows[0]["why"] = "because"
    with open("batch.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert [reason for _, _, reason in cards(page("--batch", "batch.csv"))] == [row["why"] for row in rows]
    Path("ids.csv").write_text("id\nr040\nnone\nr041\nr040\n")
    found = page("--batch", "ids.csv")
    assert [id for id, _, _ in cards(found)] == ["r040", "r041"]
    assert cards(found)[0][2].startswith("the head says")
    assert "the batch ids.csv: 1 item is not in the pool and not shown" in found.remarks


def test_without_a_batch_the_page_says_how_to_give_one(head, page):
    found = page()
    assert cards(found) == []
    assert "--selections" in found.one("section", id="batch").words
    assert not [n for n in found.walk() if n.attrs.get("id") == "find"]


# -- the map ----------------------------------------------------------------------------------------------------------


def test_points_of_the_map_are_the_principal_components(head, alcli, page):
    alcli("query", POOL, "-H", head, "-s", "margin", "-n", "4", "--selections", "ledger.parquet").done()
    found = page("--selections", "ledger.parquet")
    X_ND = tiny_features()[0].astype(float)
    X_ND -= X_ND.mean(axis=0)
    _, s_D, V_DD = np.linalg.svd(X_ND, full_matrices=False)
    shares = (s_D**2 / (s_D**2).sum())[:2]
    assert f"which hold {shares[0]:.0%} and {shares[1]:.0%} of the variance" in found.one("section", id="map").words
    assert sorted(p[3] for p in points(found)) == names(60)
    rows = [int(p[3][1:]) for p in points(found)]
    here_N2 = np.array([p[:2] for p in points(found)])
    there_N2 = (X_ND @ V_DD[:2].T)[rows]
    for k in range(2):
        slope, _ = np.polyfit(there_N2[:, k], here_N2[:, k], 1)
        assert np.corrcoef(there_N2[:, k], here_N2[:, k])[0, 1] ** 2 > 0.9999
        assert abs(slope) == pytest.approx(abs(np.polyfit(there_N2[:, 0], here_N2[:, 0], 1)[0]), rel=1e-2)


def test_the_map_draws_picks_and_labelled_items_by_class(head, alcli, page):
    alcli("query", POOL, "-H", head, "-s", "margin", "-n", "4", "--selections", "ledger.parquet").done()
    found = page("--selections", "ledger.parquet").one("section", id="map")
    drawn = Counter(n.attrs["href"] for n in found.all("use"))
    labels = Counter(row["label"] for row in table("labels.csv"))
    legend = [li.words for li in found.one("ul", class_="legend").all("li")]
    assert legend[0] == "an item of the batch (4)"
    assert {f"labelled {name} ({n})" for name, n in labels.items()} <= set(legend)
    assert sorted(drawn.values()) == sorted([4, *labels.values()])
    assert len(found.all("text")) == 4, "few picks have their number beside them"


def test_what_the_pointer_finds_is_what_predict_says(head, alcli, page):
    told = {row["id"]: row for row in jsonl(alcli("predict", POOL, "-H", head, "--format", "jsonl"))}
    labels = {row["id"]: row["label"] for row in table("labels.csv")}
    for *_, id, lines in points(page()):
        assert lines[0] == f"predicted {told[id]['predicted']} ({told[id]['confidence']:.2f})"
        assert lines[1:] == ([f"label {labels[id]}"] if id in labels else [])


# -- figures ----------------------------------------------------------------------------------------------------------


def test_class_counts_are_those_of_predict(head, alcli, page):
    told = jsonl(alcli("predict", POOL, "-H", head, "--format", "jsonl"))
    labels = Counter(row["label"] for row in table("labels.csv"))
    found = page()
    for name, n_labels, in_batch, sure, n in found.one("section", id="classes").one("table").rows():
        of_class = [row["confidence"] for row in told if row["predicted"] == name]
        assert (int(n_labels), int(in_batch), int(n)) == (labels[name], 0, len(of_class))
        assert float(sure) == pytest.approx(np.mean(of_class), abs=0.006)
    mean = np.mean([row["confidence"] for row in told])
    overview = found.one("section", id="overview").facts()
    assert overview["mean confidence over the pool"] == f"{mean:.2f}"
    assert overview["accuracy by an audit"] == "not measured"
    assert (overview["items in the pool"], overview["labelled items"]) == ("60", "20")


def test_suspect_labels_are_those_of_query(tiny, alcli, page):
    labels = {row["id"]: row["label"] for row in table("labels.csv")}
    write_labels("wrong.csv", labels | {"r000": "eel"})
    alcli("fit-head", POOL, "-l", "wrong.csv", "-o", "head.safetensors").done()
    told = jsonl(alcli("query", POOL, "-H", "head.safetensors", "-s", "suspect", "-n", "20", "--format", "jsonl"))
    part = page().one("section", id="suspect")
    rows = part.one("table").rows()
    assert rows[0][:2] == ["r000", "eel"]
    expected = [row for row in told if row["score"] > 0]
    assert [(row[0], row[1], row[3], row[5]) for row in rows] == [
        (row["id"], row["label"], row["predicted"], row["why"]) for row in expected
    ]
    assert f"Of 20 labels of the head, {len(expected)} " in part.words


LOOKS = (AuditRound(20, 50, 0.8, 0.05, 0.7, 0.9), AuditRound(30, 50, 0.9, 0.03, 0.84, 0.96))


def test_audits_are_drawn_and_listed(head, page):
    found = load_head(head)
    save_head(head, replace(found, audited=Audited(found.absorbed.id_L[:5], LOOKS)), overwrite=True)
    tree = page()
    part = tree.one("section", id="accuracy")
    assert part.one("table").rows() == [
        ["1", "20", "50", "80.0%", "70.0% to 90.0%"],
        ["2", "30", "50", "90.0%", "84.0% to 96.0%"],
    ]
    assert len(part.all("path", class_="interval")) == 2
    assert [t.text for t in part.one("svg").all("title")][1:] == [
        "audit, 20: 80.0% (95% interval 70.0% to 90.0%)",
        "audit, 30: 90.0% (95% interval 84.0% to 96.0%)",
    ]
    assert tree.one("section", id="overview").facts()["accuracy by the last audit"] == "90.0% (84.0% to 96.0%)"


def test_a_simulation_is_shown_with_its_verdicts(head, alcli, page):
    labels = [CLASSES[y] for y in tiny_features()[1]]
    write_pool("known.parquet", tiny_features()[0], label=labels)
    ask = (
        "simulate",
        "known.parquet",
        "-s",
        "margin",
        "-n",
        "4",
        "--rounds",
        "2",
        "--seeds",
        "2",
        "--format",
        "svg",
        "-o",
        "simulation",
    )
    alcli(*ask).done()
    told = json.loads(alcli("inspect", "simulation", "--json").done().out)["files"][0]
    part = page("--simulation", "simulation").one("section", id="simulation")
    assert all(f"{verdict}." in part.words for verdict in told["verdicts"])
    summary = table("simulation/summary.csv")
    for row, expected in zip(part.one("table").rows(), summary, strict=True):
        assert row[0] == expected["strategy"]
        assert float(row[1]) == pytest.approx(100 * float(expected["area"]), abs=0.06)
        assert float(row[4]) == pytest.approx(100 * float(expected["final"]), abs=0.06)
    curves = pq.read_table("simulation/curves.parquet").to_pylist()
    first = np.mean([row["accuracy"] for row in curves if row["round"] == 0 and row["strategy"] == "random"])
    assert part.one("svg").all("title")[1].text == f"random, 4: {100 * first:.1f}%"

    next(Path("simulation/runs").glob("margin*")).unlink()
    part = page("--simulation", "simulation").one("section", id="simulation")
    assert "The simulation is not finished, 3 of 4 runs are done." in part.words
    assert part.all("table") == []


# -- other pools ------------------------------------------------------------------------------------------------------


def test_groups_are_items(folder, alcli, page):
    X_ND, y_N, groups_N = patches()
    groups = group_names(groups_N)
    write_pool(POOL, X_ND, group=groups)
    write_labels("labels.csv", {g: CLASSES[y] for g, y in zip(groups, y_N) if g < "g008"})
    alcli("fit-head", POOL, "-l", "labels.csv", "-o", "head.safetensors").done()
    alcli("query", POOL, "-H", "head.safetensors", "-s", "margin", "-n", "3", "--selections", "ledger.parquet").done()
    found = page("--selections", "ledger.parquet")
    assert sorted(p[3] for p in points(found)) == sorted(set(groups))
    assert len(cards(found)) == 3
    told = jsonl(alcli("predict", POOL, "-H", "head.safetensors", "--format", "jsonl"))
    counts = Counter(row["predicted"] for row in told)
    assert {r[0]: int(r[4]) for r in found.one("section", id="classes").one("table").rows()} == {
        name: counts[name] for name in CLASSES
    }
    means = np.array([X_ND[groups_N == g].mean(axis=0) for g in np.unique(groups_N)], float)
    shares = np.sort(np.linalg.eigvalsh(np.cov(means.T)))[::-1]
    assert f"hold {shares[0] / shares.sum():.0%} and" in found.one("section", id="map").words
    assert "Labels of groups are not judged" in found.one("section", id="suspect").words


def test_numbers_have_ranges_in_place_of_classes(folder, alcli, page):
    X_ND = tiny_features()[0]
    y_N = X_ND.astype(float) @ [1.0, -2.0, 0.5, 0.0, 3.0]
    write_pool(POOL, X_ND)
    write_labels("labels.csv", {id: float(y) for id, y in zip(names(20), y_N)})
    alcli("fit-head", POOL, "-l", "labels.csv", "--task", "regression", "-o", "head.safetensors").done()
    alcli("query", POOL, "-H", "head.safetensors", "-n", "3", "--selections", "ledger.parquet").done()
    found = page("--selections", "ledger.parquet", "-l", "labels.csv")
    rows = {row[0]: row[1:] for row in found.one("section", id="classes").one("table").rows()}
    labels = [20, y_N[:20].min(), np.median(y_N[:20]), y_N[:20].max()]
    np.testing.assert_allclose([float(v) for v in rows["labels"]], labels, rtol=1e-3)
    told = [row["predicted"] for row in jsonl(alcli("predict", POOL, "-H", "head.safetensors", "--format", "jsonl"))]
    expected = [60, min(told), np.median(told), max(told)]
    np.testing.assert_allclose([float(v) for v in rows["predicted in the pool"]], expected, rtol=1e-3)
    assert "sd" in cards(found)[0][1]["predicted"]
    assert "not judged" in found.one("section", id="suspect").words


def test_rows_without_a_usable_vector_are_left_out(tiny, alcli, page):
    X_ND = tiny_features()[0]
    X_ND[50:] = np.nan
    write_pool(POOL, X_ND)
    alcli("fit-head", POOL, "-l", "labels.csv", "-o", "head.safetensors", "--bad-rows", "skip").done()
    Path("ids.csv").write_text("id\nr040\nr055\n")
    found = page("--batch", "ids.csv", "--bad-rows", "skip")
    assert sorted(p[3] for p in points(found)) == names(50)
    assert [id for id, _, _ in cards(found)] == ["r040"]
    assert "1 item has no usable vector and cannot be shown" in found.remarks
    alcli("report", POOL, "-H", "head.safetensors", "-o", "other.html").refused(65, "row 50")
    assert not Path("other.html").exists()


def test_a_pool_of_one_dimension_and_one_place(folder, alcli, page):
    X_N1 = np.where(np.arange(30) % 2, 1.0, -1.0).astype(np.float32)[:, None]
    write_pool(POOL, X_N1)
    write_labels("labels.csv", {id: CLASSES[k % 2] for k, id in enumerate(names(10))})
    alcli("fit-head", POOL, "-l", "labels.csv", "-o", "head.safetensors").done()
    found = page()
    assert "hold 100% and 0% of the variance" in found.one("section", id="map").words
    assert len({tuple(p[:2]) for p in points(found)}) == 2
    assert found.one("section", id="map").one("ul", class_="legend").all("li")[-1].words == "10 to 15 items in a cell"
