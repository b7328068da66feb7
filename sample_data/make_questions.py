"""Make questions.csv: questions to an online shop, put together from phrases.

Usage: python sample_data/make_questions.py

No customer wrote these questions. Each one joins a greeting, one of some ten ways to ask about its subject, and an
ending, all drawn at random with a fixed seed. Subjects share most of their words, as real questions do.
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

HERE = Path(__file__).parent
ITEMS = (
    "lamp",
    "blue jacket",
    "pair of shoes",
    "coffee machine",
    "backpack",
    "phone case",
    "book",
    "garden chair",
    "tent",
    "watch",
)
TIMES = (
    "on Monday",
    "last week",
    "three days ago",
    "yesterday",
    "two weeks ago",
    "this morning",
    "before the weekend",
    "in May",
)
OPENINGS = (
    "",
    "",
    "",
    "Hi, ",
    "Hello, ",
    "Quick question: ",
    "Sorry to bother you, ",
    "Good morning, ",
    "Please help, ",
    "One more thing: ",
)
ENDINGS = (
    "",
    "",
    "",
    " Thanks.",
    " Thank you!",
    " Can you check?",
    " It is urgent.",
    " I look forward to your answer.",
    " My order is {order}.",
)
# For each subject: how many questions, and the ways to ask.
SUBJECTS: dict[str, tuple[int, tuple[str, ...]]] = {
    "delivery_date": (
        150,
        (
            "when will my {item} arrive?",
            "how long does it take until the {item} is here?",
            "I ordered a {item} {time}, when do I get it?",
            "what day does my parcel come?",
            "is my order already on its way?",
            "can I still get the {item} by Friday?",
            "the page says two days but I ordered {time}, when does it come?",
            "do you know the date for the {item}?",
            "how many days for a {item} to reach me?",
            "where is my order right now, and when will it be here?",
        ),
    ),
    "lost_parcel": (
        110,
        (
            "my parcel with the {item} never came.",
            "tracking says delivered {time} but there is no {item}.",
            "I think my {item} got lost on the way.",
            "the parcel has not moved since {time}.",
            "nobody rang and now the parcel is gone.",
            "the neighbour does not have my order either.",
            "it should have been here {time}, is the {item} lost?",
            "where is my order? The tracking number shows nothing.",
            "the driver says he left it, but I have no {item}.",
            "I still wait for the {item} that I ordered {time}.",
        ),
    ),
    "return_item": (
        130,
        (
            "how do I send the {item} back?",
            "I want to return a {item} that I bought {time}.",
            "the {item} does not fit, can I give it back?",
            "do I need the box to return the {item}?",
            "is it too late to send back what I got {time}?",
            "which address do I return the {item} to?",
            "can I change the {item} for another size?",
            "who pays when I send the order back?",
            "I do not like the {item}, what now?",
            "where do I find the label for a return?",
        ),
    ),
    "refund_status": (
        90,
        (
            "I sent the {item} back {time}, where is my money?",
            "when do I get my money for the {item}?",
            "the refund for my order is still not there.",
            "you have the {item} since {time}, but paid nothing back.",
            "how long does a refund take?",
            "my card shows no refund yet.",
            "you refunded less than I paid for the {item}.",
            "has the return from {time} been paid out?",
            "will the money go to my card or to my account?",
            "I returned two things and got money for the {item} only.",
        ),
    ),
    "damaged_item": (
        80,
        (
            "the {item} arrived broken.",
            "there is a crack in the {item} that came {time}.",
            "my {item} stopped working {time}.",
            "the box was open and the {item} has scratches.",
            "one part of the {item} is missing.",
            "the {item} looks used, not new.",
            "the colour of the {item} is wrong and it has a stain.",
            "what do I do with a broken {item}?",
            "I got the {item} {time} and it does not turn on.",
            "is a damaged {item} covered?",
        ),
    ),
    "change_address": (
        60,
        (
            "I moved {time}, can you change my address?",
            "please send the {item} to my office.",
            "I typed the wrong street for my order.",
            "can the parcel go to another address?",
            "my house number is missing in the order from {time}.",
            "how do I edit the delivery address?",
            "can I pick up the {item} at a shop?",
            "the order still has my old address.",
            "please deliver to my neighbour.",
            "is it too late to change where the {item} goes?",
        ),
    ),
    "discount_code": (
        45,
        (
            "my discount code does not work for the {item}.",
            "I got a voucher {time}, where do I type it?",
            "the code says it is expired.",
            "can I use two codes for one order?",
            "I forgot to use my voucher when I bought the {item}.",
            "is there a discount for students?",
            "the {item} costs more than before the code.",
            "why was the discount not taken off my order?",
            "can you give me the price from {time}?",
        ),
    ),
    "invoice": (
        35,
        (
            "I need an invoice for the {item}.",
            "please send me the bill for my order from {time}.",
            "the invoice has the wrong name.",
            "where can I download the receipt?",
            "my company needs a bill with the tax number.",
            "I lost the receipt for the {item}.",
            "the amount on the invoice is not what I paid.",
            "can you change the address on the bill?",
        ),
    ),
}


def question(rng: random.Random, ways: tuple[str, ...]) -> str:
    """One question: an opening, a way to ask, and an ending, with the gaps filled."""
    opening, ending = rng.choice(OPENINGS), rng.choice(ENDINGS)
    way = rng.choice(ways)
    text = opening + (way if opening else way[0].upper() + way[1:]) + ending
    return text.format(item=rng.choice(ITEMS), time=rng.choice(TIMES), order=rng.randrange(10_000, 99_999))


def main() -> None:
    rng = random.Random(0)
    rows = [(question(rng, ways), subject) for subject, (number, ways) in SUBJECTS.items() for _ in range(number)]
    rng.shuffle(rows)
    with open(HERE / "questions.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "text", "intent"])
        writer.writerows([f"q{number:03d}", text, subject] for number, (text, subject) in enumerate(rows))


if __name__ == "__main__":
    main()
