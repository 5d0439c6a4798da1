-- The most frequent words of a text, and how many there are.
local counts, total = {}, 0
for line in io.lines(arg[1]) do
    for word in line:gmatch("%a+") do
        word = word:lower()
        counts[word] = (counts[word] or 0) + 1
        total = total + 1
    end
end
local words = {}
for word in pairs(counts) do words[#words + 1] = word end
table.sort(words, function(a, b) return counts[a] > counts[b] or counts[a] == counts[b] and a < b end)
for i = 1, 25 do print(string.format("%7d %6.3f%% %s", counts[words[i]], counts[words[i]] / total * 100, words[i])) end
print(total, #words)
