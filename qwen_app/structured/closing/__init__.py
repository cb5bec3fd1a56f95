"""Closing: a constrained answer ends as a whole document, however little room is left.

May import errors and ``structured``; llguidance is its only other need. Start at ``budget_closer.py``.

The promise. A grammar alone keeps an answer legal at every token, and still leaves half a document behind when the
token limit or the deadline comes first. Here, an answer whose budget is at least ``Grammar.minimum_tokens`` ends within
it, and as a whole document of its grammar; a smaller budget is refused before the answer starts. Its reason then is
``length`` or ``deadline``, and ``Finished.closed`` is True. What no grammar can see stays out of the promise: duplicate
keys, and schema keywords that were enforced leniently (``strict`` False), which ``structured.reask`` checks afterwards.

How it is kept: by induction, a token at a time.

1. Before the first token, ``Grammar`` finds a minimal instance, the shortest whole answer. Two ways are tried and the
   shorter taken: a completion search from the empty text, and ``minimal_instance``, which reads the schema. Where both
   fail the grammar is refused, so that from here on one completion is always known.
2. ``BudgetCloser.choose`` looks at each sampled token before it is accepted: is there a completion of the text *with*
   it that fits what remains after it? If so the token stands, and that completion is the one now known. If not, the
   token is thrown away and the completion of the text *without* it, which was found to fit one step earlier, is written
   out.
3. Looking costs a search, so it is mostly left out: one token forces about ``max_forced_tokens`` at most (an opened
   object forces its required keys), so with ``spare`` tokens left over the next ``spare // max_forced_tokens`` tokens
   cannot break the promise. Far from the limit hardly any token is looked at. Where a pattern or format decides how a
   string ends nothing of the kind is known (``open_ended``), and every token is looked at; the completion of the step
   before, less the token, is tried first and is nearly always right.

The completion search (``completion_search``) walks llguidance's matcher byte by byte. Brackets are closed greedily in
the order of ``OUTSIDE``; strings and numbers that something holds open are tried in this order: completions known for
strings (guessed from the schema by ``string_completions``, then remembered), ``FEW_STEPS`` greedy bytes, the next
multiples of ``number_steps``, breadth first over a beam of ``BEAM`` places that look different, then greedy to the end.
The first that reaches the goal wins: short, not provably shortest. Nothing relies on it being shortest; every
completion is confirmed by the grammar before it counts.

Where effort is bounded: ``Effort.nodes`` (breadth first) and ``Effort.steps`` (greedy) for one search, ``PATIENT`` for
the one at compile time, ``KEPT_COMPLETIONS`` strings remembered a grammar, ``LIMIT_CHARS`` for guesses, and
llguidance's own limits in ``grammar_source.parser_limits``. A search that gives up is no fault: the closer takes it for
"does not fit" and closes with what it knew.

Beside the budget the closer ends loops: a string or number in which the model repeats a few tokens (``LOOP_TOKENS``,
``LOOP_TIMES``) gets the byte that ends it, and the model goes on from there.

What to touch. Completions too long: the orders and ``BEAM``. A format that is found slowly or not at all: ``FORMATS``
in ``minimal_instance``. A kind of pattern that is refused: ``minimal_match``. When to look: ``BudgetCloser._spare``.
Whatever you change, ``tests/structured/closing`` writes 500 random schemas with random tokens into the smallest
budgets.
"""
