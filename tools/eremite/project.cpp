#include "project.h"

#include <cstdlib>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace tool {

std::string_view name_of(Arch arch)
{
    return arch == Arch::x86_64 ? "x86_64" : "aarch64";
}

std::string_view name_of(Isolation isolation)
{
    switch (isolation) {
    case Isolation::None:
        return "none";
    case Isolation::Stack:
        return "stack";
    case Isolation::Mpk:
        return "mpk";
    }
    std::unreachable();
}

Arch arch_named(std::string_view name)
{
    for (const auto arch : { Arch::x86_64, Arch::aarch64 }) {
        if (name == name_of(arch))
            return arch;
    }
    fail("there is no architecture {}: x86_64 or aarch64", name);
}

Isolation isolation_named(std::string_view name)
{
    for (const auto isolation : { Isolation::None, Isolation::Stack, Isolation::Mpk }) {
        if (name == name_of(isolation))
            return isolation;
    }
    fail("there is no isolation level {}: none, stack or mpk", name);
}

const Path& root()
{
    static const Path path = [] {
        const char* given = std::getenv("EREMITE_ROOT");
        if (!given)
            fail("EREMITE_ROOT is not set: start the tool by ./eremite");
        return std::filesystem::canonical(given);
    }();
    return path;
}

Path build_root()
{
    return root() / "build";
}

Path build_folder(Arch arch)
{
    return build_root() / name_of(arch);
}

Path cache_folder()
{
    if (const char* given = std::getenv("EREMITE_CACHE"); given && *given)
        return given;
    if (const char* given = std::getenv("XDG_CACHE_HOME"); given && *given)
        return Path(given) / "eremite";
    const char* home = std::getenv("HOME");
    if (!home || !*home)
        fail("neither EREMITE_CACHE nor HOME is set: set one, so that the sysroot has a place");
    return Path(home) / ".cache/eremite";
}

bool kvm_works()
{
    const int device = ::open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (device < 0)
        return false;
    const int machine = ::ioctl(device, KVM_CREATE_VM, 0);
    if (machine >= 0)
        ::close(machine);
    ::close(device);
    return machine >= 0;
}

std::optional<Arch> host_arch()
{
    utsname name {};
    ::uname(&name);
    if (std::string_view(name.machine) == "x86_64")
        return Arch::x86_64;
    if (std::string_view(name.machine) == "aarch64")
        return Arch::aarch64;
    return std::nullopt;
}

} // namespace tool
