"""The figures of a report in words. Each figure of the page has an entry."""

from __future__ import annotations

from alcli.report.page.contents import Fact

_ALWAYS = {
    "score": (
        "How much the strategy wanted the item when it was chosen. Each strategy has its own scale, so scores of two "
        "strategies cannot be compared."
    ),
    "stands for": (
        "The number of items that can be chosen, the item among them, to which no other item of the batch and no "
        "labelled item lies nearer."
    ),
    "accuracy, 95% interval": (
        "Of an audit: the share of items that the head predicts right, over all items that it has not learned from. "
        "Intervals that are made in this way hold the true share 95 times in 100. A difference between two looks that"
        " is smaller than the intervals may be chance."
    ),
    "map": (
        "Two numbers for each item, out of all numbers of its features. Items that lie near each other on the map may"
        " be far apart in the features. How much the map leaves out stands below it."
    ),
}
_CLASSES = {
    "predicted, confidence": (
        "The class that the head of this page finds likeliest, and its probability, averaged over how else the head "
        "could be. The numbers are those of today: at the time of the choice they may have been others."
    ),
    "mean confidence": (
        "The mean of the confidence over the items that are predicted to be of the class. It is what the head "
        "believes, and not how often it is right: an audit tells that."
    ),
    "contradicted": (
        "A label is contradicted where the head that it would be without the label finds another class likelier. Some"
        " contradicted labels are right: look at the item."
    ),
    "predicted in the pool": (
        "How many items of the pool the head predicts to be of the class. Where the head is often wrong, these counts"
        " are wrong too."
    ),
}
_NUMBERS = {
    "predicted, sd": (
        "The number that the head of this page predicts, and the standard deviation of the label. About 95% of labels"
        " lie within 2 sd of the prediction."
    ),
}
_SIMULATION = {
    "mean and final": (
        "Of a simulation: the mean height of a learning curve, and its last point, on test items; means over the "
        "seeds. The interval is of the difference to random choice. A difference whose interval holds 0 may be "
        "chance."
    ),
}


def meanings(*, numbers: bool, simulation: bool) -> list[Fact]:
    """Return the figures of a page and their meaning. numbers: the head predicts numbers."""
    found = (_NUMBERS if numbers else _CLASSES) | _ALWAYS | (_SIMULATION if simulation else {})
    return [Fact(name, text) for name, text in found.items()]
