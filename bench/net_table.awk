# Medians with spread of netbench's lines, "LABEL KIND SIZE N SECONDS ...": a Markdown table, JSON, and an SVG plot of
# bandwidth by message size, Linux guest beside Eremite.
# awk -f median.awk -f net_table.awk -v svg=FILE -v json=FILE

BEGIN { FS = "\t"; split("P S R", kinds, " "); title["P"] = "round trip, us"; title["S"] = "to the guest, MB/s"; title["R"] = "from the guest, MB/s" }

$4 != "FAILED" && NF > 5 {
    # P: label kind size n secs rt/s median_us ...; S, R: label kind size n secs MB/s kmsg/s
    key = $1 SUBSEP $2 SUBSEP $3
    values[key] = values[key] " " ($2 == "P" || $2 == "F" ? $7 : $6)
    sizes[$3] = 1
}
$4 == "FAILED" { failed[$1 SUBSEP $2 SUBSEP $3]++ }

function shown(key,    m) {
    m = median(values[key])
    if (m == "") return failed[key] ? "failed" : "-"
    return sprintf("%.4g ±%.0f %%%s", m, spread(), failed[key] ? " (" failed[key] " failed)" : "")
}

END {
    n = 0
    for (s in sizes) order[++n] = s + 0
    for (i = 2; i <= n; i++) for (j = i; j > 1 && order[j - 1] > order[j]; j--) { t = order[j]; order[j] = order[j - 1]; order[j - 1] = t }
    printf "\nWall time, medians (± half the range); the floor is a UDP datagram reflected by the driver, without a stack\n\n"
    printf "| | size | Linux guest | Eremite | times better | floor | times the floor |\n|---|---:|---:|---:|---:|---:|---:|\n"
    printf "{" > json
    first = 1
    for (k = 1; k <= 3; k++) {
        kind = kinds[k]
        for (i = 1; i <= n; i++) {
            s = order[i]
            l = median(values["linux", kind, s]); e = median(values["eremite", kind, s])
            ratio = l == "" || e == "" || l * e == 0 ? "-" : sprintf("%.2f", kind == "P" ? l / e : e / l)
            f = kind == "P" ? median(values["floor", "F", s]) : ""
            above = f == "" || e == "" || f == 0 ? "" : sprintf("%.2f", e / f)
            printf "| %s | %d | %s | %s | %s | %s | %s |\n", title[kind], s, shown("linux" SUBSEP kind SUBSEP s), shown("eremite" SUBSEP kind SUBSEP s), ratio, f == "" ? "" : shown("floor" SUBSEP "F" SUBSEP s), above
            printf "%s\"%s %d\": {\"linux\": %s, \"eremite\": %s, \"floor\": %s}", first ? "" : ", ", kind, s, l == "" ? "null" : l, e == "" ? "null" : e, f == "" ? "null" : f > json
            first = 0
        }
    }
    print "}" > json
    plot()
}

function x_of(s) { return 70 + 560 * log(s) / log(order[n]) }
function y_of(v, top) { return 320 - 280 * (log(v) - log(0.01)) / (log(top) - log(0.01)) }

function draw(label, kind, colour, dash,    i, m, points) {
    points = ""
    for (i = 1; i <= n; i++) {
        m = median(values[label, kind, order[i]])
        if (m != "" && m > 0) points = points sprintf("%.1f,%.1f ", x_of(order[i]), y_of(m, top))
    }
    if (points != "")
        printf "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\"%s points=\"%s\"/>\n", colour, dash, points > svg
}

function plot(    i, v) {
    top = 10000
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 660 390\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"660\" height=\"390\" fill=\"white\"/>\n" > svg
    printf "<text x=\"330\" y=\"20\" text-anchor=\"middle\" font-size=\"15\">Bandwidth by message size (MB/s)</text>\n" > svg
    for (v = 0.01; v <= top * 1.01; v *= 10)
        printf "<line x1=\"70\" x2=\"630\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/><text x=\"62\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", y_of(v, top), y_of(v, top), y_of(v, top) + 4, v > svg
    for (i = 1; i <= n; i++)
        printf "<text x=\"%.1f\" y=\"340\" text-anchor=\"middle\">%s</text>\n", x_of(order[i]), (order[i] >= 1024 ? order[i] / 1024 "K" : order[i]) > svg
    draw("linux", "R", "#c33", ""); draw("eremite", "R", "#27c", "")
    draw("linux", "S", "#c33", " stroke-dasharray=\"6 4\""); draw("eremite", "S", "#27c", " stroke-dasharray=\"6 4\"")
    printf "<text x=\"70\" y=\"365\" fill=\"#27c\">Eremite</text><text x=\"140\" y=\"365\" fill=\"#c33\">Linux guest</text><text x=\"240\" y=\"365\">solid: from the guest, dashed: to the guest</text>\n</svg>\n" > svg
}
