"""The Python interface gives the ids, scores, bytes of heads and ledgers, and curves that the command line gives."""

from __future__ import annotations

import ast
import csv
import doctest
import importlib
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import alcli as package
from alcli import AlcliWarning, FittedHead, errors, fit_head, pool, predict, select, simulate, update
from alcli.api.session import session
from alcli.arrays import Float64
from alcli.selection import Selection, View, batch, finite32, pointwise
from tests.pools import CLASSES, group_names, names, patches, tiny_features, write_labels, write_pool

ROOT = Path(__file__).parents[1]
MODULES = ("head", "inputs", "inspect", "pool", "predict", "select", "session", "simulate")
X_ND, Y_N = tiny_features()
LABELS = {f"r{i:03d}": CLASSES[Y_N[i]] for i in range(20)}
MORE = {f"r{i:03d}": CLASSES[Y_N[i]] for i in range(20, 30)}
SECONDS = ("seconds_fit", "seconds_select", "seconds_evaluate")


@pytest.fixture(autouse=True)
def quiet():
    """Remarks are tested where they are the subject."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AlcliWarning)
        yield


@pytest.fixture
def arrays():
    """The tiny pool as arrays, under the name of its file."""
    return pool(X_ND, names(60), name="pool.parquet")


# -- what `import alcli` offers --------------------------------------------------------------------------------------


def test_the_public_names():
    tree = ast.parse((ROOT / "alcli" / "__init__.py").read_text())
    typed = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("alcli")
        for alias in node.names
    }
    assert typed | {"__version__"} == set(package.__all__)
    assert len(package.__all__) < 20
    assert all(getattr(package, name) is not None for name in package.__all__)
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'quarry'"):
        package.quarry  # noqa: B018


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name, folder):
    (folder / "sample_data").symlink_to(ROOT / "sample_data")
    module = importlib.import_module(f"alcli.api.{name}")
    done = doctest.testmod(module)
    assert done.failed == 0
    assert done.attempted or name in ("inputs", "session")


SNIPPET = """
import numpy as np
import alcli

items = alcli.pool(np.zeros((4, 2)), ["a", "b", "c", "d"], labels=["x", None, "y", None])
head = alcli.fit_head(items, {"a": "x", "c": "y"}, options={"max-iter": 3})
reveal_type(head)
reveal_type(head.predict_proba(items))
reveal_type(alcli.select("pool.parquet", 2, head=head).scores)
reveal_type(alcli.update("head.safetensors", items, {"b": "x"}).report)
reveal_type(alcli.simulate(items, ["margin"], 2, 3).folder)
reveal_type(alcli.errors.DataError("").exit_code)
reveal_type(alcli.selection.View)
alcli.select(items, strategy="margin")
alcli.select(items, "two")
alcli.fit(items)
"""
REVEALED = (
    "alcli.api.fitted.FittedHead",
    "ndarray[",
    "list[float]",
    "Mapping[str, Any]",
    "Path | None",
    "int",
    "alcli.selection.view.View",
)
WRONG = {14: "call-arg", 15: "arg-type", 16: "attr-defined"}


def test_mypy_sees_the_signatures(folder):
    (folder / "program.py").write_text(SNIPPET)
    # What `make lint` has learned about the package is at hand.
    settings = ("--config-file", f"{ROOT}/pyproject.toml", "--cache-dir", f"{ROOT}/.mypy_cache")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *settings, "program.py"],
        cwd=folder,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("program.py")]
    revealed = [line for line in lines if "Revealed type" in line]
    assert len(revealed) == len(REVEALED), done.stdout
    assert all(word in line for word, line in zip(REVEALED, revealed)), revealed
    found = {int(line.split(":")[1]): line.rpartition("[")[2].rstrip("]") for line in lines if ": error:" in line}
    assert found == WRONG, done.stdout


# -- heads -----------------------------------------------------------------------------------------------------------

FITS = {
    "softmax": {},
    "given prior": {"prior_precision": 1},
    "ensemble": {"posterior": "ensemble", "options": {"posterior.members": 3}, "seed": 5},
    "block": {"covariance": "block", "calibrate": "temperature"},
    "paper": {"preset": "paper"},
    "variational": {"posterior": "variational"},
    "dropout": {"posterior": "dropout"},
    "no posterior": {"posterior": "none"},
    "mlp": {"head": "mlp", "options": {"aux_loss": True}},
}


def options_of(arguments):
    """Keyword arguments as the command line takes them."""
    found = []
    for name, value in arguments.items():
        if name == "options":
            found += [
                part for key, one in value.items() for part in ("-p", f"{key.replace('_', '-')}={str(one).lower()}")
            ]
        else:
            found += [f"--{name.replace('_', '-')}", str(value)]
    return found


@pytest.mark.parametrize("name", FITS)
def test_fit_head_gives_the_bytes_and_figures_of_the_command(name, tiny, alcli, arrays):
    done = alcli(
        "fit-head", "pool.parquet", "-l", "labels.csv", "-o", "cli.safetensors", "--json", *options_of(FITS[name])
    ).done()
    of_files = fit_head("pool.parquet", "labels.csv", out="api.safetensors", **FITS[name])
    assert json.loads(json.dumps(dict(of_files.report))) == json.loads(done.out)
    expected = Path("cli.safetensors").read_bytes()
    assert Path("api.safetensors").read_bytes() == expected
    for number, source in enumerate((arrays, "pool.parquet")):
        for kind, labels in enumerate(
            (LABELS, [Path("labels.csv")], pa.table({"id": list(LABELS), "label": list(LABELS.values())}))
        ):
            fit_head(source, labels, **FITS[name]).save(f"{number}{kind}.safetensors")
            assert Path(f"{number}{kind}.safetensors").read_bytes() == expected


def test_nothing_is_written_without_out(tiny):
    before = sorted(tiny.iterdir())
    head = fit_head("pool.parquet", "labels.csv")
    update(head, "pool.parquet", MORE)
    select("pool.parquet", 3, head=head)
    simulate(pool(X_ND, labels=Y_N), "margin", 5, 1, seeds=1)
    assert sorted(tiny.iterdir()) == before


def test_the_labels_of_the_pool_and_weights(folder, alcli):
    labels = [CLASSES[y] if i < 20 else None for i, y in enumerate(Y_N)]
    split = ["test" if i % 7 == 0 else None for i in range(60)]
    write_pool("pool.parquet", X_ND, label=labels, split=split)
    alcli("fit-head", "pool.parquet", "-o", "cli.safetensors").done()
    fit_head(pool(X_ND, names(60), labels=labels, split=split, name="pool.parquet"), out="api.safetensors")
    assert Path("api.safetensors").read_bytes() == Path("cli.safetensors").read_bytes()
    weighted = pa.table({"id": names(60)[:20], "label": labels[:20], "weight": np.linspace(0.5, 2.0, 20)})
    pq.write_table(weighted, "weighted.parquet")
    alcli("fit-head", "pool.parquet", "-l", "weighted.parquet", "-o", "cli.safetensors", "--force").done()
    fit_head("pool.parquet", weighted, out="api.safetensors", force=True)
    assert Path("api.safetensors").read_bytes() == Path("cli.safetensors").read_bytes()


def test_predictions(tiny, arrays):
    head = fit_head(arrays, LABELS)
    probs_NC = head.predict_proba(X_ND)
    assert head.classes == list(CLASSES)
    assert probs_NC.tobytes() == np.exp(head.file.model.predictive(X_ND)).tobytes()
    assert head.predict("pool.parquet").tolist() == [CLASSES[c] for c in probs_NC.argmax(axis=1)]
    chosen = select(arrays, 5, strategy="margin", head=head)
    rows = [names(60).index(id) for id in chosen.ids]
    assert chosen.columns["predicted"] == head.predict(X_ND[rows]).tolist()
    assert np.float32(chosen.columns["confidence"]).tolist() == probs_NC.max(axis=1)[rows].astype(np.float32).tolist()
    head.save("head.safetensors")
    assert FittedHead.load("head.safetensors").predict_proba(X_ND).tobytes() == probs_NC.tobytes()
    assert head.predict(np.empty((0, 5))).shape == (0,)


def test_predictions_of_integers_and_numbers():
    assert fit_head(pool(X_ND, labels=Y_N)).predict(X_ND[:9]).dtype.kind == "i"
    y_N = X_ND.astype(np.float64) @ np.array([1.0, -2, 0.5, 0, 3])
    head = fit_head(pool(X_ND, labels=y_N))
    assert head.classes is None
    assert np.abs(head.predict(X_ND) - y_N).max() < 0.1
    with pytest.raises(errors.UsageError, match="predicts numbers"):
        head.predict_proba(X_ND)


def test_predictions_need_the_same_features():
    head = fit_head(pool(X_ND, labels=Y_N))
    with pytest.raises(errors.DataError, match="has D=4, the head expects 5"):
        head.predict(X_ND[:, :4])
    with pytest.raises(errors.DataError, match=r"row 2 .*a prediction needs a usable vector"):
        head.predict(pool(np.where(np.arange(60)[:, None] == 2, np.nan, X_ND), bad_rows="skip"))


UPDATES = {
    "second-order": {},
    "batch": {"mode": "batch", "gamma": 2},
    "first-order": {"method": "first-order"},
    "mc": {"method": "mc"},
    "refit": {"method": "refit"},
}


@pytest.mark.parametrize("name", UPDATES)
def test_update_gives_the_bytes_of_the_command(name, head, alcli, arrays):
    done = alcli(
        "update",
        head,
        "-P",
        "pool.parquet",
        "-l",
        "more.csv",
        "-o",
        "cli.safetensors",
        "--json",
        *options_of(UPDATES[name]),
    ).done()
    expected = Path("cli.safetensors").read_bytes()
    figures = {key: value for key, value in json.loads(done.out).items() if key != "seconds"}
    before = FittedHead.load(head)
    for number, (given, source, labels) in enumerate(
        [("head.safetensors", "pool.parquet", "more.csv"), (before, arrays, MORE), (before, "pool.parquet", MORE)]
    ):
        after = update(given, source, labels, out=f"{number}.safetensors", **UPDATES[name])
        assert {key: value for key, value in after.report.items() if key != "seconds"} == figures
        assert Path(f"{number}.safetensors").read_bytes() == expected
        update(given, source, labels, **UPDATES[name]).save("memory.safetensors", force=True)
        assert Path("memory.safetensors").read_bytes() == expected


def test_update_gives_labels_back_and_adds_classes(head, alcli):
    Path("gone.txt").write_text("r000\nr001\n")
    write_labels("fox.csv", {"r040": "fox", "r041": "cat"})
    alcli(
        "update",
        head,
        "-P",
        "pool.parquet",
        "-l",
        "fox.csv",
        "--remove",
        "gone.txt",
        "--allow-new-classes",
        "-o",
        "cli.safetensors",
    ).done()
    for number, remove in enumerate((["r000", "r001"], "gone.txt", np.array(["r000", "r001"]))):
        after = update(
            head,
            pool(X_ND, names(60)),
            {"r040": "fox", "r041": "cat"},
            remove=remove,
            allow_new_classes=True,
            out=f"{number}.safetensors",
        )
        assert after.classes == [*CLASSES, "fox"]
        assert Path(f"{number}.safetensors").read_bytes() == Path("cli.safetensors").read_bytes()


def test_update_replaces_the_file_of_the_head_where_it_is_named(head):
    before = head.read_bytes()
    update(head, "pool.parquet", MORE)
    assert head.read_bytes() == before
    after = update(head, "pool.parquet", MORE, out=head)
    assert after.report["new_labels"] == 10
    assert head.read_bytes() != before
    assert update(head, "pool.parquet", MORE).report["already_absorbed"] == 10


# -- selections ------------------------------------------------------------------------------------------------------

STRATEGIES = (
    "auto",
    "random",
    "margin",
    "badge",
    "coreset",
    "bald",
    "batchbald",
    "typiclust",
    "grad/kmeanspp",
    "margin:0.5,random:0.5",
)


def chosen_by_command(alcli, *arguments):
    lines = alcli("query", "pool.parquet", *arguments, "--format", "jsonl").done().lines
    rows = [json.loads(line) for line in lines]
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_select_chooses_as_the_command(strategy, head, alcli, arrays):
    how = ("--mix" if ":" in strategy else "-s", strategy, "-n", "7", "--seed", "3")
    expected = chosen_by_command(alcli, "-H", head, *how)
    in_memory = fit_head(arrays, LABELS, prior_precision=1)
    for source in (
        "pool.parquet",
        Path("pool.parquet"),
        arrays,
        pq.read_table("pool.parquet"),
        {"id": names(60), "features": X_ND},
    ):
        for given in (head, in_memory):
            assert select(source, 7, strategy=strategy, head=given, seed=3).columns == expected
    expected = chosen_by_command(alcli, "-l", "labels.csv", *how)
    for source in ("pool.parquet", arrays):
        for labels in ("labels.csv", LABELS):
            assert select(source, 7, strategy=strategy, labels=labels, seed=3).columns == expected


@pytest.mark.parametrize("name", FITS)
def test_a_head_in_memory_chooses_as_its_file(name, tiny, arrays):
    head = fit_head(arrays, LABELS, **FITS[name])
    head.save("head.safetensors")
    for strategy in ("margin", "badge", *(() if name == "no posterior" else ("bald",))):
        in_memory, on_disk = (select(arrays, 9, strategy=strategy, head=given) for given in (head, "head.safetensors"))
        assert in_memory.columns == on_disk.columns
    for given, file in ((head, "a.safetensors"), ("head.safetensors", "b.safetensors")):
        update(given, arrays, MORE, method="refit", out=file)
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()


def test_options_exclusions_and_candidates(head, alcli):
    Path("not.txt").write_text("r040\nr041\n")
    arguments = (
        "-H",
        head,
        "-s",
        "badge",
        "-n",
        "6",
        "--exclude",
        "not.txt",
        "--candidates",
        "30",
        "-p",
        "prefilter=0.5",
        "-p",
        "balance=predicted",
    )
    expected = chosen_by_command(alcli, *arguments)
    for exclude in ("not.txt", ["r040", "r041"], {"r040", "r041"}, pa.array(["r040", "r041"])):
        found = select(
            "pool.parquet",
            6,
            strategy="badge",
            head=head,
            exclude=exclude,
            candidates=30,
            options={"prefilter": 0.5, "balance": "predicted"},
        )
        assert found.columns == expected
    assert select(
        "pool.parquet", 6, labels="labels.csv", strategy="margin", options={"impute": "argmax"}
    ).columns == chosen_by_command(alcli, "-l", "labels.csv", "-s", "margin", "-n", "6", "-p", "impute=argmax")


@pytest.mark.parametrize("file", ["batch.csv", "batch.jsonl", "batch.parquet", "batch.txt"])
def test_files_and_ledgers_have_the_bytes_of_the_command(file, head, alcli):
    for number in range(2):
        alcli(
            "query",
            "pool.parquet",
            "-H",
            head,
            "-s",
            "margin",
            "-n",
            4,
            "--selections",
            "cli.parquet",
            "-o",
            f"cli-{file}",
        ).done()
        found = select("pool.parquet", 4, strategy="margin", head=head, selections="api.parquet", out=f"api-{file}")
        assert Path(f"api-{file}").read_bytes() == Path(f"cli-{file}").read_bytes()
        assert pq.read_table("api.parquet").to_pydict() == pq.read_table("cli.parquet").to_pydict()
        assert pq.read_table("api.parquet")["id"].to_pylist()[4 * number :] == found.ids


def test_the_ledger_of_selections_without_a_file(head, alcli):
    for _ in range(2):
        alcli("query", "pool.parquet", "-H", head, "-s", "margin", "-n", 4, "--selections", "cli.parquet").done()
        select("pool.parquet", 4, strategy="margin", head=head, selections="api.parquet")
        assert Path("api.parquet").read_bytes() == Path("cli.parquet").read_bytes()


def test_groups_and_costs(folder, alcli):
    X, y, groups = patches()
    columns = {
        "group": group_names(groups),
        "price": np.linspace(1.0, 2.0, len(y)),
        "label": [CLASSES[c] if g < 6 else None for c, g in zip(y, groups)],
    }
    write_pool("pool.parquet", X, **columns)
    in_memory = {"id": names(len(y)), "features": X, **columns}
    for options in ({"cost-col": "price"}, {"aggregate": "max"}):
        expected = chosen_by_command(alcli, "-s", "margin", "-n", "7", *options_of({"options": options}))
        assert select(in_memory, 7, strategy="margin", options=options).columns == expected


def test_rows_without_ids_are_numbered():
    found = select(X_ND, 3, strategy="margin", labels={np.int64(i): CLASSES[y] for i, y in enumerate(Y_N[:20])})
    assert all(isinstance(id, int) and id >= 20 for id in found.ids)
    assert len(found) == len(found.scores) == 3


def test_a_table_of_a_selection(head):
    found = select("pool.parquet", 4, strategy="margin", head=head, out="batch.parquet")
    assert found.to_arrow().equals(pq.read_table("batch.parquet"))
    nothing = select("pool.parquet", 4, strategy="margin", head=head, exclude=names(60))
    assert nothing.ids == []
    assert nothing.to_arrow().schema.field("id").type == pa.string()


# -- strategies of the caller's --------------------------------------------------------------------------------------


@pointwise(needs=["log_probs"])
def less_sure(log_probs_BC: Float64, *, power: float = 1.0) -> Float64:
    """An own strategy: the least confident rows."""
    return (1.0 - np.exp(log_probs_BC.max(axis=1))) ** power


@batch(needs=["features"], random=True)
def first_by_norm(view: View, k: int, *, rng: np.random.Generator) -> Selection:
    """An own strategy: the rows of largest norm."""
    norms_N = np.linalg.norm(view.matrix("features"), axis=1)
    places_K = np.argsort(-norms_N, kind="stable")[:k]
    return Selection(view.rows[places_K], finite32(norms_N[places_K]))


def test_a_function_is_a_strategy(head):
    found = select("pool.parquet", 5, strategy=less_sure, head=head, options={"power": 2})
    assert found.ids == select("pool.parquet", 5, strategy="least-confident", head=head).ids
    assert found.columns["strategy"] == [f"less-sure@{__name__}"] * 5
    fitted = select("pool.parquet", 5, strategy=less_sure, labels=LABELS, options={"prefilter": 0.5})
    assert set(fitted.ids) <= set(names(60)[20:])
    chosen = select(X_ND, 4, strategy=first_by_norm)
    assert chosen.ids == np.argsort(-np.linalg.norm(X_ND, axis=1), kind="stable")[:4].tolist()


def test_the_answers_of_a_function_are_checked(head):
    @pointwise(needs=["features"])
    def a_matrix(X_BD):
        return X_BD

    @batch(needs=["features"])
    def a_failure(view, k):
        return 1 // (k - k)

    with pytest.raises(errors.DataError, match="'a-matrix': its scores have shape"):
        select(X_ND, 3, strategy=a_matrix)
    with pytest.raises(errors.DataError, match=r"'a-failure': line \d+ of test_api.py: ZeroDivisionError"):
        select(X_ND, 3, strategy=a_failure)


def test_files_record_the_module_of_a_function(tiny):
    select("pool.parquet", 3, strategy=first_by_norm, out="batch.parquet", selections="ledger.parquet")
    about = json.loads(pq.read_schema("batch.parquet").metadata[b"alcli"])
    assert about["origins"] == {"first-by-norm": {"module": __name__}}
    assert pq.read_table("ledger.parquet")["strategy"].to_pylist() == [f"first-by-norm@{__name__}"] * 3


def test_an_option_without_annotation_has_the_type_of_its_default():
    @pointwise(needs=["sq_norm"])
    def smallest(sq_norm_B, *, power=1.0, flipped=False, word=None):
        assert (type(power), word) == (float, "yes")
        return (-1.0 if flipped else 1.0) * sq_norm_B**power

    found = select(X_ND, 60, strategy=smallest, options={"power": 2, "flipped": True, "word": "yes"})
    assert found.ids == np.argsort(np.linalg.norm(X_ND, axis=1), kind="stable").tolist()


def test_a_function_needs_a_decorator_and_known_options(head):
    with pytest.raises(errors.UsageError, match="'names' declares no strategy; decorate the function"):
        select("pool.parquet", 5, strategy=names)
    with pytest.raises(errors.UsageError, match=r"'less-sure' has no parameter 'powr'.*did you mean 'power'"):
        select("pool.parquet", 5, strategy=less_sure, head=head, options={"powr": 2})
    with pytest.raises(errors.DataError, match="'less-sure' needs a head or labels"):
        select("pool.parquet", 5, strategy=less_sure)


# -- simulations -----------------------------------------------------------------------------------------------------


def without_seconds(columns):
    return {name: values for name, values in columns.items() if name not in SECONDS}


def test_simulate_gives_the_tables_of_the_command(folder, alcli):
    labels = [CLASSES[y] for y in Y_N]
    write_pool("pool.parquet", X_ND, label=labels)
    options = {"typiclust.neighbours": 5, "prefilter": 0.9, "head.epochs": 5, "posterior.members": 3}
    more = (
        "--head",
        "mlp",
        "--posterior",
        "ensemble",
        *options_of({"options": options}),
        "--full-data",
        "--metric",
        "nll",
    )
    arguments = ("-s", "margin,typiclust", "-n", 5, "--rounds", 2, "--seeds", 2, *more)
    done = json.loads(alcli("simulate", "pool.parquet", *arguments, "-o", "cli", "--json").done().out)
    for source, out in ((pool(X_ND, names(60), labels=labels, name="pool.parquet"), None), ("pool.parquet", "api")):
        found = simulate(
            source,
            ["margin", "typiclust"],
            5,
            2,
            seeds=2,
            head="mlp",
            posterior="ensemble",
            options=options,
            full_data=True,
            metric="nll",
            out=out,
        )
        assert without_seconds(found.curves) == without_seconds(pq.read_table("cli/curves.parquet").to_pydict())
        assert found.selections == pq.read_table("cli/selections.parquet").to_pydict()
        assert found.verdicts == done["verdicts"]
        assert [without_seconds(row) for row in found.summary] == [without_seconds(row) for row in done["summary"]]
        assert found.report["full_data"] == done["full_data"]
    assert sorted(p.name for p in Path("api").iterdir()) == sorted(p.name for p in Path("cli").iterdir())
    with open("api/summary.csv", newline="") as file:
        assert [row["strategy"] for row in csv.DictReader(file)] == [row["strategy"] for row in found.summary]


def test_a_stopped_simulation_goes_on_in_its_folder(folder):
    items = pool(X_ND, names(60), labels=Y_N)
    simulate(items, "margin", 5, 1, seeds=1, out="simulation")
    next(Path("simulation/runs").glob("margin*")).unlink()
    remarks: list[str] = []
    simulate(items, "margin", 5, 1, seeds=1, out="simulation", note=remarks.append)
    assert any("1 of 2 runs was there already" in text for text in remarks)


# -- remarks and refusals --------------------------------------------------------------------------------------------


def test_remarks_are_warnings_at_the_line_of_the_caller(tiny):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        select("pool.parquet", 3, strategy="margin", labels=LABELS)
    assert [str(one.message) for one in caught if one.category is AlcliWarning] == [
        "fitted a softmax head on 20 labels"
    ]
    assert {one.filename for one in caught} == {__file__}


def test_remarks_go_to_a_function(tiny, alcli):
    remarks: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", AlcliWarning)
        select("pool.parquet", 100, strategy="margin", labels=LABELS, exclude=["r058", "r999"], note=remarks.append)
    Path("not.txt").write_text("r058\nr999\n")
    done = alcli("query", "pool.parquet", "-s", "margin", "-n", 100, "-l", "labels.csv", "--exclude", "not.txt").done()
    assert [f"alcli: {text}" for text in remarks] == done.err.splitlines()


def test_a_refusal_makes_no_remarks(tiny):
    remarks: list[str] = []
    with pytest.raises(errors.DataError, match="only 39 of 100 items are left"):
        select(
            "pool.parquet", 100, strategy="margin", labels=LABELS, exclude=["r058"], strict=True, note=remarks.append
        )
    assert remarks == []


def test_remarks_of_features_that_an_open_pool_reads():
    huge = X_ND.copy()
    huge[3, 2] = 1e19
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        select(pool(huge), 3, strategy="coreset")
    assert [one.category for one in caught] == [AlcliWarning]
    assert "row 3 (id '3'): features beyond 1e+18" in str(caught[0].message)
    assert caught[0].filename == __file__


REFUSALS = {
    "no such file": (lambda: select("none.parquet", 3), errors.InputError, "none.parquet: no such file"),
    "one dimension": (lambda: select(X_ND[0], 3), errors.UsageError, r"ndarray of shape \(5,\)"),
    "a number": (lambda: select(7, 3), errors.UsageError, r"int of shape \(\)"),
    "columns beside a file": (
        lambda: pool("pool.parquet", names(60)),
        errors.UsageError,
        "id: columns are given beside an array",
    ),
    "columns beside a mapping": (
        lambda: pool({"features": X_ND}, labels=Y_N),
        errors.UsageError,
        "label: columns are given beside an array",
    ),
    "ids of another length": (
        lambda: pool(X_ND, names(59)),
        errors.UsageError,
        "different numbers of rows: 'id' 59, 'features' 60",
    ),
    "ids twice": (lambda: select(pool(X_ND, ["a"] * 60), 3), errors.DataError, "the same id twice"),
    "no number": (lambda: select(X_ND, 2.5), errors.UsageError, "n must be a whole number from 1 to .*, got 2.5"),
    "a negative seed": (lambda: select(X_ND, 3, seed=-1), errors.UsageError, "seed must be a whole number from 0"),
    "an unknown strategy": (lambda: select(X_ND, 3, strategy="margn"), errors.UsageError, "did you mean 'margin'"),
    "labels of no kind": (
        lambda: fit_head(X_ND, [3, 4]),
        errors.UsageError,
        "labels of type list cannot be read; expected a file",
    ),
    "a label of an unknown id": (
        lambda: fit_head(X_ND, {99: "cat", 1: "dog"}),
        errors.DataError,
        "labels: row 0: the id '99' is not in the pool",
    ),
    "an id of another type": (
        lambda: fit_head(X_ND, {"r001": "cat"}),
        errors.DataError,
        "labels: row 0: the id 'r001' is a string",
    ),
    "a table without labels": (
        lambda: fit_head(X_ND, pa.table({"id": [1]})),
        errors.DataError,
        "labels: no column 'label' among 'id'",
    ),
    "a column twice": (
        lambda: fit_head(X_ND, pa.table([[1], [2], ["a"]], names=["id", "id", "label"])),
        errors.DataError,
        "labels: 2 columns are named 'id', expected one",
    ),
    "one class": (lambda: fit_head(X_ND, {1: "cat", 2: "cat"}), errors.DataError, "all 2 labels are 'cat'"),
    "ids of no kind": (lambda: select(X_ND, 3, exclude=7), errors.UsageError, "exclude of type int cannot be read"),
    "a prior of no number": (
        lambda: fit_head(X_ND, {}, prior_precision="x"),
        errors.UsageError,
        "prior_precision must be a number or None, got 'x'",
    ),
    "bad rows": (lambda: pool(X_ND, bad_rows="drop"), errors.UsageError, "bad_rows must be one of error, skip"),
    "a task": (
        lambda: fit_head(X_ND, {1: "a", 2: "b"}, task="sorting"),
        errors.UsageError,
        "the task must be auto, classification or regression",
    ),
    "rows of several lengths": (lambda: select([[1.0], [1.0, 2.0]], 3), errors.UsageError, "rows of different lengths"),
    "options of no names": (lambda: select(X_ND, 3, options=[1]), errors.UsageError, "options must be a mapping"),
    "an output of no path": (lambda: select(X_ND, 3, out=5), errors.UsageError, "expected a path, got 5"),
    "a head of no path": (lambda: select(X_ND, 3, head=5), errors.UsageError, "expected a head or a path, got 5"),
    "a posterior of no name": (
        lambda: fit_head(X_ND, {}, posterior=None),
        errors.UsageError,
        "no posterior is named 'None'; did you mean 'none'?",
    ),
    "memory of no number": (
        lambda: pool(X_ND, max_memory="1G"),
        errors.UsageError,
        "max_memory must be a whole",
    ),
    "a note of no function": (lambda: select(X_ND, 3, note=5), errors.UsageError, "note must be a function or None"),
    "a function to simulate": (
        lambda: simulate(X_ND, [less_sure], 5, 1),
        errors.UsageError,
        "strategies must be names, .*; a strategy of your own is named FILE.py",
    ),
    "a metric of no name": (
        lambda: simulate(X_ND, "margin", 5, 1, metric=max),
        errors.UsageError,
        "metric must be a name, FILE.py or None",
    ),
    "what is no table": (lambda: pool(Exporter()), errors.UsageError, "Exporter is no table"),
}


class Exporter:
    """Says that it is a table and is none."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        raise TypeError("nothing to export")


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_are_one_sentence(name, tiny):
    call, kind, words = REFUSALS[name]
    with pytest.raises(kind, match=words) as refusal:
        call()
    assert type(refusal.value) is kind
    assert "\n" not in str(refusal.value)


def test_what_exists_is_replaced_only_by_force(head):
    fitted = fit_head("pool.parquet", "labels.csv")
    before = head.read_bytes()
    for write in (
        lambda **how: fitted.save(head, **how),
        lambda **how: fit_head("pool.parquet", "labels.csv", out=head, **how),
        lambda **how: update(fitted, "pool.parquet", MORE, out=head, **how),
    ):
        with pytest.raises(errors.CannotCreateError, match="already exists"):
            write()
        assert head.read_bytes() == before
        write(force=True)
        assert head.read_bytes() != before
        head.write_bytes(before)
    with pytest.raises(errors.UsageError, match=r"pool\.parquet: is read and cannot be the output too"):
        update(fitted, "pool.parquet", MORE, out="pool.parquet", force=True)
    with pytest.raises(errors.UsageError, match=r"more\.csv: is read and cannot be the output too"):
        update(fitted, "pool.parquet", "more.csv", out="more.csv", force=True)


def test_linear_algebra_has_one_thread_during_a_call_alone():
    seen: list[int] = []

    @pointwise(needs=["sq_norm"])
    def spying(sq_norm_B: Float64) -> Float64:
        seen.extend(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")
        return sq_norm_B

    with threadpool_limits(2):
        before = threadpool_info()
        select(X_ND, 3, strategy=spying)
        assert threadpool_info() == before
    assert any(one["num_threads"] == 2 for one in before)
    assert set(seen) == {1}


def blas_threads() -> set[int]:
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_calls_that_overlap_share_the_limit_and_the_last_one_restores_it():
    """The call that began first ends first, as in two threads."""
    with threadpool_limits(2):
        before, filters = blas_threads(), list(warnings.filters)
        first, second = session(None), session(None)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == before == {2}
        assert warnings.filters == filters


# -- predictions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_predictions_are_those_of_the_command(tiny, alcli, form):
    head = fit_head("pool.parquet", LABELS, out="head.safetensors")
    more = {"probs": True, "variance": True, "labelled": "drop"}
    found = predict(pool(X_ND, names(60), name="pool.parquet"), head, out=f"api.{form}", **more)
    options = ("--probs", "--variance", "--labelled", "drop")
    alcli("predict", "pool.parquet", "-H", "head.safetensors", "-o", f"cli.{form}", *options).done()
    assert Path(f"api.{form}").read_bytes() == Path(f"cli.{form}").read_bytes()
    assert found.ids == names(60)[20:]
    assert (len(found), found.report["labelled"], found.report["predicted"]) == (40, 20, 40)
    if form == "parquet":
        assert found.to_arrow().equals(pq.read_table("cli.parquet"))
        assert found.columns == pq.read_table("cli.parquet").to_pydict()
    assert predict("pool.parquet", "head.safetensors", **more).table.equals(found.table)


def test_predictions_are_those_of_the_head(arrays):
    head = fit_head(arrays, LABELS)
    found = predict(arrays, head, probs=True)
    assert found.columns["predicted"] == head.predict(arrays).tolist()
    probs = np.column_stack([found.columns[f"p:{name}"] for name in head.classes])
    assert np.array_equal(probs.astype(np.float32), head.predict_proba(arrays).astype(np.float32))


def test_predictions_of_numbers(arrays):
    head = fit_head(pool(X_ND, names(60), labels=X_ND[:, 0] + 0.1 * Y_N))
    found = predict(arrays, head)
    assert found.table.column_names == ["id", "predicted", "sd"]
    assert np.array_equal(np.float32(found.columns["predicted"]), head.predict(arrays).astype(np.float32))


def test_predictions_of_no_rows_and_what_is_refused(arrays):
    head = fit_head(arrays, LABELS)
    assert predict(pool(X_ND[:0]), head).columns == {"id": [], "predicted": [], "confidence": []}
    with pytest.raises(errors.UsageError, match="labelled must be keep or drop, got 'none'"):
        predict(arrays, head, labelled="none")
    with pytest.raises(errors.UsageError, match="no format of a table"):
        predict(arrays, head, out="p.txt")
    with pytest.raises(errors.DataError, match="D=3, the head in memory expects 5"):
        predict(np.ones((2, 3)), head)
