"""Measure how often sentiment is told right on a file of texts and labels: `python benchmarks/review_sentiment.py FILE.csv`.

The file has the columns label (1 good, 0 bad) and review. Every text is judged by a model that has not seen it.
"""

import csv
import sys
import time
from collections import Counter
from pathlib import Path

from wenshu.tools.insight.sentiment import learn_sentiment
from wenshu.tools.insight.significance import wilson
from wenshu.tools.insight.topics import topics_of


def main() -> None:
    if len(sys.argv) < 2:
        print("needs a CSV file with the columns label and review")
        return
    with Path(sys.argv[1]).open(encoding="utf-8-sig", newline="") as file:
        rated = Counter((row["review"], row["label"] == "1") for row in csv.DictReader(file) if row["review"].strip())
    start = time.process_time()
    found = learn_sentiment(rated)
    low, high = wilson(found.accuracy, found.texts)
    print(f"{found.texts:,} reviews, {found.different:,} different; {time.process_time() - start:.1f} s of processor time")
    print(f"accuracy held out {found.accuracy:.2%} ({low:.2%}–{high:.2%}); of bad {found.recalls[0]:.2%}, of good {found.recalls[1]:.2%}; always the larger kind {found.larger:.2%}")
    good, bad = (Counter({text: count for (text, kind), count in rated.items() if kind is wanted}) for wanted in (True, False))
    start = time.process_time()
    topics = topics_of(bad, good, 10)
    print(f"what bad ones speak of ({time.process_time() - start:.1f} s): " + "; ".join(" · ".join(topic.names) for topic in topics))


if __name__ == "__main__":
    main()
