"""Learn English letter by letter from Python's own help, and write some.

How well a model predicts text is counted in bits per character, on text it was not trained on.
The tables to beat are the character frequencies, and the frequencies after each character: a
network that does not beat the second has learned nothing from what came before.
"""

from __future__ import annotations

import numpy as np

import fastrnn
from fastrnn.corpus.corpus import python_help

STEPS = 1500

text = python_help()
split = len(text) * 9 // 10
training, held_out = text[:split], text[split:]


def bits_per_char(counts: np.ndarray, test_counts: np.ndarray) -> float:
    """Cross-entropy of ``test_counts`` under the rows of ``counts``, each seen once more."""
    probabilities = (counts + 1) / (counts + 1).sum(axis=-1, keepdims=True)
    return float(-(test_counts * np.log2(probabilities)).sum() / test_counts.sum())


def pair_counts(text: str, alphabet: str) -> np.ndarray:
    """How often each character follows each other one."""
    place = {character: i for i, character in enumerate(alphabet)}
    ids = np.array([place[character] for character in text])
    counts = np.zeros((len(alphabet), len(alphabet)))
    np.add.at(counts, (ids[:-1], ids[1:]), 1)
    return counts


model = fastrnn.CharRNN(hidden_size=128, vocabulary=text)
untrained = model.evaluate(held_out)["bits_per_char"]
model.fit(training, steps=STEPS, batch_size=32, seq_len=64, lr=5e-3)

seen, test = pair_counts(training, model.vocabulary), pair_counts(held_out, model.vocabulary)
print(f"{len(training):,} characters to learn from, {len(held_out):,} held out")
print("model                                bits per character")
print(f"all characters equally likely        {np.log2(len(model.vocabulary)):.2f}")
print(f"fastrnn before training              {untrained:.2f}")
print(f"frequency of each character          {bits_per_char(seen.sum(0), test.sum(0)):.2f}")
print(f"frequency after the one before       {bits_per_char(seen, test):.2f}")
print(f"fastrnn after {STEPS} steps             {model.evaluate(held_out)['bits_per_char']:.2f}")
print("\nThe statement ... continued by the model:\n")
print(model.generate("The statement ", length=300, temperature=0.7, seed=1))
