"""The engine that runs a model in this process: continuous batching over slots of one KV cache.

May import chat, tools, structured, sandbox, models, errors, messages and ``engine``; a step of the running sequences is
the business of ``steps``, tensors that of ``compute``, ``sampling`` and ``attention`` below it.
Start with ``build.build_local_engine``, then ``worker``.

A request's way::

    engine.generate                          on the caller's event loop
      request_processor.process              on a thread: prompt ids, limits, grammar -> SequenceState
      worker.submit -> scheduler             waits for its turn; Queued events say how many are before it
    worker (the one thread that owns torch), step after step:
      end what was cancelled or is late; admit: scheduler -> a slot
        step_executor.place                  prefix cache, copy from another slot, or restore what was offloaded
      step_executor.step                     decoding sequences by a token, prompts by a chunk (prefill budget)
        model_runner.forward                 our decoder, or transformers' model: both attend over the KV cache
        drawing.draw -> sampler.sample       grammar masks, penalties, temperature ...: a token a row
        overlap.LaunchedStep                 on a card, where that can be: the next step is under way by now
        sequence.accept                      closes in time, detokenizes: new text, or the end
      event_queue.Outbox                     Prefill, Delta, Finished: back to the event loop
    engine.generate                          tool calls told from text, events to the caller
"""
