"""Five candidates and four queries of a few words each."""

from kernelsm.prompts.task import Labelled, PromptTask, PromptTemplate

LABELS = ("negative", "positive")
WORDS = ["a good film", "a bad book", "long", "good and bad", "a film, and a book"]
CANDIDATES = tuple(Labelled(text, LABELS[i % 2]) for i, text in enumerate(WORDS))
QUERIES = tuple(Labelled(text, LABELS[i % 3 == 0]) for i, text in enumerate(["a book", "bad film", "good", "a book"]))
TASK = PromptTask(CANDIDATES, QUERIES, QUERIES[:1] + CANDIDATES[:1], LABELS, PromptTemplate("Judge."), k=2)
