"""`make scaling`: what Gatehouse costs, and which quota is hit first, at a given rate.

A model on paper. It multiplies what AWS publishes, what the bench measured and what somebody assumed, and says which is
which. It calls nobody.
"""
