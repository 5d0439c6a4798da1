// A treemap as SVG, by the squarified layout (Bruls, Huizing, van Wijk 2000).
#include "inspection.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tool {

namespace {

struct Box {
    double x, y, width, height;
};

/// Areas in the proportion of `sizes` (descending) within `box`.
std::vector<Box> squarify(const std::vector<double>& sizes, Box box)
{
    std::vector<Box> boxes;
    const double total = std::accumulate(sizes.begin(), sizes.end(), 0.0);
    const double scale = total > 0 ? box.width * box.height / total : 0;
    std::size_t at = 0;
    while (at < sizes.size()) {
        const double side = std::min(box.width, box.height);
        // A row grows while its worst ratio of sides gets better.
        double sum = 0;
        double worst = INFINITY;
        std::size_t end = at;
        while (end < sizes.size()) {
            const double next = sum + sizes[end] * scale;
            const double largest = sizes[at] * scale;
            const double smallest = sizes[end] * scale;
            const double ratio = next > 0 && smallest > 0
                ? std::max(side * side * largest / (next * next), next * next / (side * side * smallest))
                : INFINITY;
            if (end > at && ratio > worst)
                break;
            worst = ratio;
            sum = next;
            ++end;
        }
        const double thickness = side > 0 ? sum / side : 0;
        double offset = 0;
        for (; at < end; ++at) {
            const double length = thickness > 0 ? sizes[at] * scale / thickness : 0;
            if (box.width < box.height)
                boxes.push_back({ box.x + offset, box.y, length, thickness });
            else
                boxes.push_back({ box.x, box.y + offset, thickness, length });
            offset += length;
        }
        if (box.width < box.height) {
            box.y += thickness;
            box.height -= thickness;
        } else {
            box.x += thickness;
            box.width -= thickness;
        }
    }
    return boxes;
}

std::string escaped(std::string_view text)
{
    std::string result;
    for (const char c : text)
        result += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
    return result;
}

std::string label(const Box& box, const std::string& text, double size, const char* weight)
{
    const auto room = static_cast<std::size_t>(std::max(0.0, (box.width - 6) / (size * 0.55)));
    if (room < 4 || box.height < size + 4)
        return {};
    const auto shown = text.size() > room ? text.substr(0, room - 1) + "…" : text;
    return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{}\" font-weight=\"{}\">{}</text>\n", box.x + 3,
        box.y + size + 1, size, weight, escaped(shown));
}

struct Part {
    std::string name;
    double size;
};

} // namespace

std::string treemap_svg(const Inspection& inspection)
{
    constexpr double k_width = 1200;
    constexpr double k_height = 760;
    constexpr double k_title = 15;
    std::map<std::string, std::vector<Part>> symbols;
    for (const auto& symbol : inspection.symbols()) {
        const auto* piece = inspection.piece_at(symbol.address);
        if (symbol.size && piece && piece->kind != PieceKind::Zero)
            symbols[symbol.component].push_back({ symbol.name, static_cast<double>(symbol.size) });
    }
    std::vector<Part> components;
    for (const auto& [name, size] : inspection.components()) {
        if (size.in_file())
            components.push_back({ name, static_cast<double>(size.in_file()) });
    }
    std::ranges::sort(components, std::greater {}, &Part::size);
    std::vector<double> sizes;
    for (const auto& component : components)
        sizes.push_back(component.size);
    const auto boxes = squarify(sizes, { 0, 0, k_width, k_height });

    auto svg
        = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\">\n",
            k_width, k_height);
    for (std::size_t i = 0; i < boxes.size(); ++i) {
        const auto& box = boxes[i];
        const auto& component = components[i];
        const auto hue = static_cast<unsigned>(std::hash<std::string> {}(component.name) % 360);
        svg += fmt::format(
            "<g><title>{}: {:.0f} bytes</title><rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
            "fill=\"hsl({},45%,72%)\" stroke=\"#fff\" stroke-width=\"2\"/>\n",
            escaped(component.name), component.size, box.x, box.y, box.width, box.height, hue);
        svg += label(box, fmt::format("{} {:.1f} KiB", component.name, component.size / 1024), 12, "bold");
        svg += "</g>\n";
        auto& parts = symbols[component.name];
        std::ranges::sort(parts, std::greater {}, &Part::size);
        const double named = std::accumulate(
            parts.begin(), parts.end(), 0.0, [](double sum, const Part& part) { return sum + part.size; });
        if (component.size > named)
            parts.push_back({ "(no symbol)", component.size - named });
        std::ranges::sort(parts, std::greater {}, &Part::size);
        std::vector<double> part_sizes;
        for (const auto& part : parts)
            part_sizes.push_back(part.size);
        if (box.height <= k_title + 2 || box.width <= 4)
            continue;
        const auto inner
            = squarify(part_sizes, { box.x + 1, box.y + k_title, box.width - 2, box.height - k_title - 1 });
        for (std::size_t j = 0; j < inner.size(); ++j) {
            if (inner[j].width < 1 || inner[j].height < 1)
                continue;
            svg += fmt::format(
                "<g><title>{}: {:.0f} bytes</title><rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" "
                "height=\"{:.1f}\" fill=\"hsl({},45%,{}%)\" stroke=\"#fff\" stroke-width=\"0.5\"/>\n{}</g>\n",
                escaped(parts[j].name), parts[j].size, inner[j].x, inner[j].y, inner[j].width, inner[j].height, hue,
                76 + j % 4 * 3, label(inner[j], parts[j].name, 9, "normal"));
        }
    }
    return svg + "</svg>\n";
}

} // namespace tool
