"""One file for each study of a paper, found by the name of the study.

CLAIMS: `claims.Claim`s; PAPER: where the paper's numbers are from; tables(view) ->
`absolute.Table`s and figures(view) -> `plots.Figure`s beside those of every study.
"""
