// doctor: what is missing, what there is, and what the machine offers.
#include "commands.h"

#include "builder.h"
#include "process.h"
#include "qemu.h"

#include <fstream>
#include <sys/statvfs.h>

namespace tool {

namespace fs = std::filesystem;

namespace {

class Doctor {
public:
    int examine()
    {
        programs();
        machines();
        processor();
        toolchain();
        if (m_missing)
            fmt::print("\n{} missing: `rm build/.packages && ./eremite doctor` installs packages anew\n", m_missing);
        else
            fmt::print("\nnothing is missing\n");
        return m_missing ? 1 : 0;
    }

private:
    static std::string first_line(const Strings& command)
    {
        const auto lines = split(run({ .arguments = command, .timeout = std::chrono::seconds(10) }).output, '\n');
        return lines.empty() ? "" : trim(lines.front());
    }

    void program(const char* name, const char* purpose, const char* package)
    {
        if (find_program(name)) {
            fmt::print("  {:24} {}\n", name, first_line({ name, "--version" }));
            return;
        }
        ++m_missing;
        fmt::print("  {:24} MISSING ({}): apt-get install {}\n", name, purpose, package);
    }

    void programs()
    {
        fmt::print("programs\n");
        program("clang-19", "compiler", "clang-19");
        program("ld.lld-19", "linker", "lld-19");
        program("llvm-symbolizer-19", "backtraces", "llvm-19");
        program("clang-format-19", "./eremite check", "clang-format-19");
        program("clang-tidy-19", "./eremite check --tidy", "clang-tidy-19");
        program("cmake", "builds", "cmake");
        program("ninja", "builds", "ninja-build");
        program("make", "musl", "make");
        program("git", "./eremite check", "git");
        program("qemu-system-x86_64", "virtual machines", "qemu-system-x86");
        program("qemu-system-aarch64", "virtual machines", "qemu-system-arm");
        program("gdb", "./eremite run --gdb", "gdb");
        bool daemon = false;
        for (const char* place : { "/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd", "/usr/lib/virtiofsd" }) {
            if (!daemon && find_program(place)) {
                fmt::print("  {:24} {}\n", "virtiofsd", place);
                daemon = true;
            }
        }
        if (!daemon) {
            ++m_missing;
            fmt::print("  {:24} MISSING (run --share): apt-get install qemu-system-common\n", "virtiofsd");
        }
    }

    static void machines()
    {
        fmt::print("QEMU\n");
        for (const auto arch : { Arch::x86_64, Arch::aarch64 }) {
            const auto qemu = qemu_program(arch);
            if (!find_program(qemu))
                continue;
            Strings wanted;
            for (const auto& line : split(output_of({ qemu, "-machine", "help" }), '\n')) {
                const auto name = split_words(line).front();
                if (name == "pc" || name == "q35" || name == "microvm" || name == "virt")
                    wanted.push_back(name);
            }
            Strings accelerators;
            for (const auto& line : split(output_of({ qemu, "-accel", "help" }), '\n')) {
                if (!line.contains(' '))
                    accelerators.push_back(line);
            }
            fmt::print(
                "  {:24} machines {}; accelerators {}\n", name_of(arch), join(wanted, " "), join(accelerators, " "));
        }
    }

    static void processor()
    {
        fmt::print("processor\n");
        std::ifstream file("/proc/cpuinfo");
        std::string model = "unknown";
        std::string flags;
        for (std::string line; std::getline(file, line);) {
            const auto colon = line.find(": ");
            if (colon == std::string::npos)
                continue;
            if (line.starts_with("model name"))
                model = line.substr(colon + 2);
            if (line.starts_with("flags") || line.starts_with("Features"))
                flags = line.substr(colon + 1) + " ";
        }
        fmt::print("  {:24} {}\n", "model", model);
        for (const auto& [flag, meaning] : std::vector<std::pair<std::string, std::string>> {
                 { "pku", "protection keys (isolation mpk)" }, { "fsgsbase", "user-mode FS and GS" },
                 { "rdrand", "random numbers" }, { "smep", "supervisor execution prevention" }, { "umip", "UMIP" },
                 { "user_shstk", "shadow stacks" }, { "ibt", "indirect branch tracking" } })
            fmt::print("  {:24} {}: {}\n", flag, flags.contains(" " + flag + " ") ? "yes" : "no", meaning);
        const bool present = fs::exists("/dev/kvm");
        fmt::print("  {:24} {}\n", "/dev/kvm",
            kvm_works()   ? "works"
                : present ? "is there and does not work: no permission, or virtualisation is off"
                          : "is not there: machines are emulated");
    }

    static void toolchain()
    {
        fmt::print("toolchain\n");
        const auto cache = cache_folder();
        fmt::print("  {:24} {}", "cache", cache.string());
        struct statvfs space {};
        auto existing = cache;
        while (!fs::exists(existing) && existing.has_relative_path())
            existing = existing.parent_path();
        if (::statvfs(existing.c_str(), &space) == 0)
            fmt::print(", {} MB free", std::uint64_t(space.f_bavail) * space.f_frsize / 1'000'000);
        fmt::print("\n");
        std::error_code error;
        for (const auto& entry : fs::directory_iterator(cache, error)) {
            if (entry.path().filename().string().starts_with("sysroot-"))
                fmt::print("  {:24} {}\n", "", entry.path().filename().string());
        }
        for (const auto arch : { Arch::x86_64, Arch::aarch64 }) {
            Strings there;
            for (const char* part : { "kernel-none/liberemite.a", "kernel-stack/liberemite.a",
                     "kernel-mpk/liberemite.a", "sdk/eremite.cmake", "loader/eremite-loader" }) {
                if (fs::exists(build_folder(arch) / part))
                    there.push_back(part);
            }
            fmt::print("  {:24} {}\n", name_of(arch), there.empty() ? "nothing built yet" : join(there, " "));
        }
    }

    int m_missing = 0;
};

} // namespace

void add_doctor_command(CLI::App& app, int& status)
{
    auto* command = app.add_subcommand("doctor", "Says what is missing, and what QEMU and the processor offer");
    command->callback([&status] { status = Doctor().examine(); });
}

} // namespace tool
