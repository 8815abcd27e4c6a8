"""``osgp bench``: ours and a peer's figures, interleaved in one run, medians.

Floor 5. A project choice; method and bounds are published in ``docs/reference/bench``. Peers come with the extra ``bench``.
"""
