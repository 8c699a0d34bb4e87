#!/usr/bin/env bash
# Text that becomes a number is expected to become the nearest float64, as in C and Python. R 4.2.2 multiplies the digits
# by a power of ten in extended precision, and so gives a neighbor for one number in 9,000 of 16 or 17 digits:
# 1700274918.380144, an ordinary time stamp, becomes 1700274918.3801441. as.numeric, read.csv and scan all do it.
# docs/readers.md has jsonlite make the numbers, which uses strtod.
# Needs Rscript.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT

cat >"$work/read.R" <<'R'
text <- c("1700274918.380144", "1.953134219866258e-220", "1.844425483044404e-210")
writeLines(text, file.path(commandArgs(TRUE), "numbers.csv"))
ways <- list(
  as.numeric = as.numeric(text),
  read.csv = read.csv(file.path(commandArgs(TRUE), "numbers.csv"), header = FALSE)$V1,
  scan = scan(file.path(commandArgs(TRUE), "numbers.csv"), quiet = TRUE)
)
for (way in names(ways)) cat(way, sprintf("%.17g", ways[[way]]), "\n")
R
Rscript --version
Rscript --vanilla "$work/read.R" "$work" | tee "$work/seen"
# The nearest float64 of each, by Python: what R gives must differ from all.
for number in 1700274918.380144 1.953134219866258e-220 1.844425483044404e-210; do
    nearest=$(python3 -c "import sys; print('%.17g' % float(sys.argv[1]))" "$number")
    echo "nearest: $nearest"
    if grep -qF " $nearest " "$work/seen"; then exit 1; fi
done
