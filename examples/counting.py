"""Count on: the five windows [1, 2, 3] -> 4 ... [5, 6, 7] -> 8, and one from beyond them.

A tutorial's recurrent network, written from scratch in NumPy and trained on the same five
windows, answers -0.00, -0.36 and -0.66 where 4, 8 and 13 are due.

Scaled by their own last value and spread, all these windows are the same to the network, so one
number is all it has to learn: that the next value lies one step further up. Untrained it does
not know that. The model is in help(fastrnn.Forecaster).
"""

from __future__ import annotations

import fastrnn

TUTORIAL = (-0.00, -0.36, -0.66)

windows, targets = fastrnn.data.counting_windows(range(1, 6), window=3)
questions, answers = fastrnn.data.counting_windows([1, 5, 10], window=3)

forecaster = fastrnn.Forecaster(window=3, scaling="window")
untrained = forecaster.fit(windows, targets, epochs=0).predict(questions)
trained = forecaster.fit(windows, targets, epochs=300).predict(questions)

print("window          next  fastrnn  untrained  tutorial")
for question, answer, after, before, tutorial in zip(
    questions, answers, trained, untrained, TUTORIAL, strict=True
):
    name = str([int(number) for number in question])
    print(f"{name:14}  {answer:4.0f}  {after:7.2f}  {before:9.2f}  {tutorial:8.2f}")
