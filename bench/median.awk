# median(FIGURES): of figures that blanks separate; "" of none. spread(): half the range of those, in % of their median.
function median(figures,    n, i, j, t, v) {
    n = split(figures, v, " ")
    low = high = middle = ""
    if (!n) return ""
    for (i = 1; i <= n; i++) v[i] += 0
    for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j - 1] > v[j]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
    low = v[1]; high = v[n]
    middle = n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
    return middle
}
function spread() { return middle ? 50 * (high - low) / middle : 0 }
