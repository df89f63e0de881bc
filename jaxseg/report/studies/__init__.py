"""One file for each study of a paper, found by the name of the study.

CLAIMS: `claims.Claim`s. PAPER: where the paper's numbers are from. LEAD: what the page
begins with, "gains" or "tables", which are those of the paper. tables(view) ->
`absolute.Table`s, figures(view) -> `figures.StudyFigure`s, beside what every study has.
"""
