"""Case files: evidence folded by subject, and the views that rules judge.

Folding is commutative and idempotent; judging sees only what had been received at the instant
judged. Together they make every verdict a function of the set of events and the clock.
"""
