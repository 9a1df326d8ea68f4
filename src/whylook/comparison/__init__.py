"""Which model looks at the right thing, over a data set: measured, compared in pairs, and said in fixed words."""
