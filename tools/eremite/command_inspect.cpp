// inspect: what is in an image, how large, and why.
#include "commands.h"

#include "inspection.h"

#include "builder.h"
#include "code_scan.h"
#include "mender.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace tool {

namespace fs = std::filesystem;

namespace {

struct InspectArguments {
    Strings apps;
    std::string arch = "x86_64";
    std::string isolation;
    std::string program;
    std::string why;
    std::string svg;
    bool sizes = false;
    bool verify = false;
    bool calls = false;
    bool json = false;
    unsigned top = 15;
};

BuildOptions build_options(const InspectArguments& arguments)
{
    BuildOptions options;
    options.target.arch = arch_named(arguments.arch);
    options.target.isolation
        = arguments.isolation.empty() ? default_isolation(options.target.arch) : isolation_named(arguments.isolation);
    options.program = arguments.program;
    return options;
}

std::vector<std::pair<std::string, ComponentSize>> by_size(const Inspection& inspection)
{
    const auto all = inspection.components();
    std::vector<std::pair<std::string, ComponentSize>> sorted(all.begin(), all.end());
    std::ranges::sort(sorted, std::greater {}, [](const auto& entry) { return entry.second.in_file(); });
    return sorted;
}

std::vector<ImageSymbol> biggest(const Inspection& inspection, std::size_t count)
{
    auto symbols = inspection.symbols();
    std::erase_if(symbols, [](const ImageSymbol& symbol) { return symbol.size == 0; });
    std::ranges::sort(symbols, [](const ImageSymbol& a, const ImageSymbol& b) {
        return std::tie(b.size, a.address, a.name) < std::tie(a.size, b.address, b.name);
    });
    // One body may have several names.
    const auto same = [](const ImageSymbol& a, const ImageSymbol& b) { return a.address == b.address; };
    symbols.erase(std::unique(symbols.begin(), symbols.end(), same), symbols.end());
    if (symbols.size() > count)
        symbols.resize(count);
    return symbols;
}

void print_sizes(const InspectArguments& arguments)
{
    fmt::print("{:28} {:>10} {:>10} {:>10} {:>10} {:>10}\n", "stripped, in bytes", "image", "kernel", "libc", "libc++",
        "program");
    std::vector<Path> images;
    for (const auto& app : arguments.apps) {
        for (const auto& image : build_programs(find_app(app), build_options(arguments)))
            images.push_back(image);
    }
    for (const auto& image : images) {
        const Inspection inspection(image);
        std::uint64_t kernel = 0;
        std::uint64_t libc = 0;
        std::uint64_t libcxx = 0;
        std::uint64_t program = 0;
        for (const auto& [name, size] : inspection.components()) {
            auto& sum = name.starts_with("kernel") ? kernel
                : name == "libc"                   ? libc
                : name == "libc++"                 ? libcxx
                                                   : program;
            sum += size.in_file();
        }
        fmt::print("{:28} {:>10} {:>10} {:>10} {:>10} {:>10}\n", image.filename().string(), inspection.stripped_size(),
            kernel, libc, libcxx, program);
    }
}

void print_report(const Inspection& inspection, const InspectArguments& arguments)
{
    const auto& elf = inspection.elf();
    fmt::print("{}: {}, {} bytes stripped ({} with symbols){}\n\n", elf.path().string(), name_of(elf.arch()),
        inspection.stripped_size(), elf.bytes().size(),
        inspection.isolation().empty() ? "" : ", isolation " + inspection.isolation());
    if (!inspection.has_map())
        fmt::print(
            "no map beside it, so kernel folders and libraries are not told apart: build it by ./eremite, or link\n"
            "with -Wl,-Map={}.map\n\n",
            elf.path().string());
    fmt::print("{:26} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "component", "in file", "code", "constant", "data", "zeroed");
    ComponentSize total;
    for (const auto& [name, size] : by_size(inspection)) {
        fmt::print("{:26} {:>9} {:>9} {:>9} {:>9} {:>9}\n", name, size.in_file(), size.text, size.read_only, size.data,
            size.zero);
        total.text += size.text;
        total.read_only += size.read_only;
        total.data += size.data;
        total.zero += size.zero;
    }
    fmt::print("{:26} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "all", total.in_file(), total.text, total.read_only, total.data,
        total.zero);

    fmt::print("\nbiggest symbols\n");
    for (const auto& symbol : biggest(inspection, arguments.top))
        fmt::print("{:>9}  {}  [{}]\n", symbol.size, symbol.name.substr(0, 90), symbol.component);

    fmt::print("\nmitigations\n");
    for (const auto& each : inspection.mitigations())
        fmt::print("  {:3}  {} ({})\n", each.present ? "yes" : "no", each.name, each.detail);

    const auto calls = inspection.system_calls();
    fmt::print("\n{} system calls: {}\n", calls.size(), join(calls, " "));
}

nlohmann::json to_json(const Inspection& inspection, const InspectArguments& arguments)
{
    nlohmann::json json;
    json["file"] = inspection.elf().path().string();
    json["arch"] = name_of(inspection.elf().arch());
    json["isolation"] = inspection.isolation();
    json["stripped_size"] = inspection.stripped_size();
    for (const auto& [name, size] : inspection.components())
        json["components"][name] = { { "in_file", size.in_file() }, { "code", size.text },
            { "constant", size.read_only }, { "data", size.data }, { "zeroed", size.zero } };
    json["symbols"] = nlohmann::json::array();
    for (const auto& symbol : biggest(inspection, arguments.top))
        json["symbols"].push_back(
            { { "name", symbol.name }, { "size", symbol.size }, { "component", symbol.component } });
    for (const auto& each : inspection.mitigations())
        json["mitigations"][each.name] = each.present;
    json["system_calls"] = inspection.system_calls();
    return json;
}

int print_verification(const Inspection& inspection)
{
    if (inspection.elf().arch() != Arch::x86_64) {
        fmt::print("{}: there are no protection keys on {}, and nothing to verify\n", inspection.elf().path().string(),
            name_of(inspection.elf().arch()));
        return 0;
    }
    const auto code = verify_code(inspection.elf());
    const auto list = [&](const std::vector<KeyFinding>& findings, std::string_view what) {
        for (const auto& each : findings)
            fmt::print("{:#x}: {} in {}: {}\n", each.address, name_of(each.instruction),
                place_of(inspection, each.address), what);
    };
    list(code.erased, "the kernel's, overwritten before the application starts");
    list(code.checked, "the kernel's, with the check behind it");
    list(code.unchecked, "the kernel's, without a check behind it");
    list(code.stray, "NOT ALLOWED");
    fmt::print(
        "{} key-changing instructions where none may be, {} of the kernel's without a check; {} of its own with one, "
        "{} that are overwritten\n",
        code.stray.size(), code.unchecked.size(), code.checked.size(), code.erased.size());
    if (!code.has_keys)
        fmt::print("there are no protection keys in this image: nothing depends on it\n");
    return code.is_good() ? 0 : 1;
}

int print_reason(const Inspection& inspection, const std::string& wanted)
{
    const auto chain = inspection.chain_to(wanted);
    if (chain.empty()) {
        fmt::print("{} is not in the image\n", wanted);
        return 1;
    }
    for (std::size_t i = 0; i < chain.size(); ++i)
        fmt::print("{}{}\n", i ? std::string(2 * i, ' ') + "-> " : "", chain[i]);
    return 0;
}

int inspect(InspectArguments& arguments)
{
    if (arguments.sizes) {
        if (arguments.apps.empty())
            arguments.apps = { (root() / "examples/sizes").string() };
        print_sizes(arguments);
        return 0;
    }
    if (arguments.apps.size() != 1)
        fail("inspect what? Give one program, as for `./eremite build`");
    const Inspection inspection(build_app(find_app(arguments.apps.front()), build_options(arguments)));
    if (!arguments.why.empty())
        return print_reason(inspection, arguments.why);
    if (arguments.verify)
        return print_verification(inspection);
    if (arguments.calls) {
        for (const auto& call : inspection.system_calls())
            fmt::print("{}\n", call);
        return 0;
    }
    if (!arguments.svg.empty()) {
        write_file(arguments.svg, treemap_svg(inspection));
        fmt::print("{}\n", arguments.svg);
        return 0;
    }
    if (arguments.json)
        fmt::print("{}\n", to_json(inspection, arguments).dump(2));
    else
        print_report(inspection, arguments);
    return 0;
}

} // namespace

void add_inspect_command(CLI::App& app, int& status)
{
    auto* command = app.add_subcommand("inspect", "Tells what is in an image, how large, and why");
    auto arguments = std::make_shared<InspectArguments>();
    command->add_option("app", arguments->apps, "a program, as for build");
    command->add_option("--arch", arguments->arch, "x86_64 (default) or aarch64");
    command->add_option("--isolation", arguments->isolation, "none, stack (default) or mpk");
    command->add_option("--program", arguments->program, "which program, if the project makes several");
    command->add_flag("--sizes", arguments->sizes, "one line per program; by default for those in examples/sizes");
    command->add_option("--why", arguments->why, "how this symbol or component is reached from main");
    command->add_flag(
        "--verify", arguments->verify, "look for instructions that would undo the isolation; status 1 if any");
    command->add_flag("--syscalls", arguments->calls, "the system calls, one a line");
    command->add_flag("--json", arguments->json, "as JSON");
    command->add_option("--svg", arguments->svg, "write a treemap to this file");
    command->add_option("--top", arguments->top, "how many of the biggest symbols (default 15)");
    command->callback([arguments, &status] { status = inspect(*arguments); });
}

} // namespace tool
