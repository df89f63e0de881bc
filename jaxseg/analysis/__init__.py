"""Analyses, one in a file, with

  ROLES                     of the parents, the models; None: any two or more
  Spec                      the section; a field that is a DataSpec is data it reads
  run(models, spec, tools)  {role: Artifact} and `tools.Tools`, whose sources are the
                            data by the names of their fields -> rows, or
                            `tools.Found` with arrays as well

and, where fields do not name all data, reads(spec) -> {name: DataSpec}; VERSION, from 2
on, once the same spec gives other results than before; and TINY, fields that make it
small, see transfer/smoke.py.
"""

# Used by several, itself none.
SHARED = ("batch_statistics", "features", "pixels", "saliency", "tools")
