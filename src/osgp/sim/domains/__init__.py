"""Thousands of domains of meters at once: frames, collisions, capture and repeating, without nodes behind them.

A project choice over ETSI TS 103 908 and ISO/IEC 14908-1; the rules stand in ``docs/design/fast-simulation``. Start reading at
``model`` (what is simulated), then ``reference`` (the rules, in plain Python), then ``kernels`` (the same rules once more, compiled).
``engine.simulate`` runs either. Importing the package loads neither NumPy nor Numba.
"""
