"""The rules of the specification: where each is applied, which tests cover it, and in which state it is.

One data file a document: `VB.yaml` (volume binding), `WL.yaml` (workload lifecycle), `SC.yaml` (the scheduler). An
entry has an id, a title, a state, and a reason unless the state is `implemented` (then a note may say what part of the
rule is left out). `python -m tests.rules` prints the
table and fails when an entry is wrong. Sources name a rule in a comment or docstring where they apply it; tests carry
`@pytest.mark.rule("VB-29")`. The numbers of a document's choices begin with the document: `VB/ND-4`, `SC/ND-5`.
"""
