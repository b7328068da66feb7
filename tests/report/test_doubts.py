"""Remarks on heads worse than a constant answer, and on metrics that disagree."""

from __future__ import annotations

from alcli.numerics.metrics import METRICS
from alcli.report.doubts import doubts


def rows(**by_strategy):
    """Three seeds of two rounds: per strategy the values of each metric in the last round; the first has all at 0.5."""
    found = []
    for strategy, metrics in by_strategy.items():
        for seed in range(3):
            for number in (0, 1):
                values = {name: value + 0.001 * seed if number else 0.5 for name, value in metrics.items()}
                seconds = {"seconds_fit": 0.0, "seconds_select": 0.0, "seconds_evaluate": 0.0}
                found.append(
                    {"strategy": strategy, "seed": seed, "round": number, "n_labels": number, **values, **seconds}
                )
    return found


def of(accuracy=0.6, balanced_accuracy=0.6, macro_f1=0.6, nll=0.6):
    return {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1, "nll": nll}


def told(found, metric="accuracy", largest=0.5):
    return doubts(found, METRICS[metric], "random", largest)


def test_nothing_is_said_where_all_is_well():
    assert told(rows(random=of(), margin=of(0.7, 0.7, 0.7, 0.5))) == []


def test_an_accuracy_below_the_share_of_the_largest_class():
    (said,) = told(rows(random=of(accuracy=0.7), margin=of(accuracy=0.8)), largest=0.75)
    assert said == (
        "always answering the most frequent class would be right for 75.0% of the test rows; the final accuracy of "
        "random (70.1%) is below that"
    )


def test_metrics_that_disagree_on_a_strategy():
    (said,) = told(
        rows(random=of(), margin=of(0.5, 0.7, 0.7, 0.6), badge=of(0.7, 0.7, 0.7, 0.5)), "balanced_accuracy", 0.1
    )
    assert said == (
        "metrics disagree on margin: clearly better than random by balanced accuracy and macro F1, clearly worse by "
        "accuracy"
    )


def test_a_smaller_loss_is_better():
    (said,) = told(rows(random=of(), margin=of(0.7, 0.7, 0.7, 0.9)))
    assert said.endswith(
        "better than random by accuracy, balanced accuracy and macro F1, clearly worse by negative log-likelihood"
    )


def test_numbers_have_no_largest_class():
    values = {"random": {"mae": 0.5, "rmse": 0.6, "nlpd": 1.0}, "coreset": {"mae": 0.4, "rmse": 0.7, "nlpd": 1.0}}
    (said,) = doubts(rows(**values), METRICS["rmse"], "random", None)
    assert (
        said == "metrics disagree on coreset: clearly better than random by mean absolute error, clearly worse by rmse"
    )


def test_one_seed_is_never_clear():
    one = [row for row in rows(random=of(), margin=of(0.5, 0.7, 0.7, 0.6)) if row["seed"] == 0]
    assert told(one) == []
