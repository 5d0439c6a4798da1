// new: a project of three files that builds and runs.
#include "commands.h"

#include "support.h"

#include <algorithm>

namespace tool {

namespace fs = std::filesystem;

namespace {

constexpr const char* k_cmake = R"(cmake_minimum_required(VERSION 3.20)
project({name} {language})

add_executable({name} main.{suffix})
{standard})";

constexpr const char* k_main_cpp = R"(#include <print>

int main(int argc, char** argv)
{
    std::println("Hello, {}!", argc > 1 ? argv[1] : "world");
    return 0;
}
)";

constexpr const char* k_main_c = R"(#include <stdio.h>

int main(int argc, char** argv)
{
    printf("Hello, %s!\n", argc > 1 ? argv[1] : "world");
    return 0;
}
)";

constexpr const char* k_readme = R"(# {name}

A program that is its own kernel. From the folder of Eremite:

    ./eremite run {path}
    ./eremite run {path} you
    ./eremite inspect {path}

It is an ordinary CMake project: `cmake -B build && cmake --build build` makes the same program for Linux.
)";

std::string filled(std::string text, const std::vector<std::pair<std::string, std::string>>& values)
{
    for (const auto& [name, value] : values) {
        const auto mark = "{" + name + "}";
        for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size()))
            text.replace(at, mark.size(), value);
    }
    return text;
}

void make_project(const Path& folder, const std::string& language)
{
    const auto name = folder.filename().string();
    const auto good = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-'; };
    if (name.empty() || !std::ranges::all_of(name, good) || name.starts_with('-') || name == "test" || name == "all")
        fail("{} cannot be a program's name: letters, digits, - and _", folder.string());
    if (fs::exists(folder))
        fail("{} is already there: choose another name, or remove it", folder.string());
    const bool cpp = language == "cpp";
    write_file(folder / "CMakeLists.txt",
        filled(k_cmake,
            { { "name", name }, { "language", cpp ? "CXX" : "C" }, { "suffix", cpp ? "cpp" : "c" },
                { "standard", cpp ? "target_compile_features(" + name + " PRIVATE cxx_std_23)\n" : "" } }));
    write_file(folder / (cpp ? "main.cpp" : "main.c"), std::string_view(cpp ? k_main_cpp : k_main_c));
    write_file(folder / "README.md", filled(k_readme, { { "name", name }, { "path", folder.string() } }));
    fmt::print("{}: CMakeLists.txt, main.{}, README.md\nnow: ./eremite run {}\n", folder.string(), cpp ? "cpp" : "c",
        folder.string());
}

} // namespace

void add_new_command(CLI::App& app, int& status)
{
    auto* command = app.add_subcommand("new", "Makes a project of three files that builds and runs");
    struct Arguments {
        std::string folder;
        std::string language = "cpp";
    };
    auto arguments = std::make_shared<Arguments>();
    command->add_option("folder", arguments->folder, "the project's folder; its last part is the program's name")
        ->required();
    command->add_option("--lang", arguments->language, "c or cpp (default)")->check(CLI::IsMember({ "c", "cpp" }));
    command->callback([arguments, &status] {
        Path folder = arguments->folder;
        if (!folder.has_filename())
            folder = folder.parent_path();
        make_project(folder, arguments->language);
        status = 0;
    });
}

} // namespace tool
