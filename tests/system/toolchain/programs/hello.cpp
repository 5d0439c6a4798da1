// What a C++ program expects of its library: streams, formatting, exceptions, files, the locale "C".
#include <filesystem>
#include <format>
#include <fstream>
#include <iostream>
#include <locale>
#include <print>
#include <stdexcept>
#include <string>
#include <vector>

namespace fs = std::filesystem;

static int thrower(int depth)
{
    if (depth == 0)
        throw std::out_of_range("deep down");
    std::string destroyed_on_the_way(100, 'x');
    return thrower(depth - 1) + static_cast<int>(destroyed_on_the_way.size());
}

int main()
{
    std::cout << "iostream " << 3.25 << ' ' << std::hex << 255 << '\n' << std::flush;
    std::println("print {:>6} {:08.3f}", "abc", 2.5);
    std::println("{}", std::format("format {:#x} {}", 48879, std::vector<int> { 1, 2, 3 }.size()));
    try {
        thrower(10);
    } catch (const std::out_of_range& error) {
        std::println("caught {}", error.what());
    }

    const fs::path folder = fs::temp_directory_path() / "eremite-hello";
    fs::remove_all(folder);
    fs::create_directories(folder / "a/b");
    std::ofstream(folder / "a/b/file") << "twelve bytes";
    std::println("file_size {}", fs::file_size(folder / "a/b/file"));
    int entries = 0;
    for ([[maybe_unused]] const auto& entry : fs::recursive_directory_iterator(folder))
        entries++;
    std::println("entries {} removed {}", entries, fs::remove_all(folder));
    std::error_code error;
    fs::file_size(folder / "none", error);
    std::println("error {}", error.message());
    std::println("locale {}", std::locale().name());
}
