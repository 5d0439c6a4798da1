# Medians with spread of lines "GUEST<tab>WHAT<tab>UNIT<tab>FIGURE", the Linux guest beside Eremite, as a Markdown table.
# awk -f median.awk -f servers_table.awk

BEGIN { FS = "\t" }

{
    if (!($2 in unit)) { unit[$2] = $3; order[++count] = $2 }
    figures[$1, $2] = figures[$1, $2] " " $4
}
END {
    print "| | | Linux guest | Eremite | times better |\n|---|---|---:|---:|---:|"
    for (i = 1; i <= count; i++) {
        what = order[i]
        l = median(figures["linux", what]); ls = spread()
        e = median(figures["eremite", what]); es = spread()
        printf "| %s | %s | %.4g ±%.0f %% | %.4g ±%.0f %% | %.2f |\n", what, unit[what], l, ls, e, es, (l > 0 ? e / l : 0)
    }
}
