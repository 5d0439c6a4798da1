// Where things are: the project's root, its build folder, the cache; and the names of architectures and isolation
// levels.
#pragma once

#include "support.h"

namespace tool {

enum class Arch { x86_64, aarch64 };
enum class Isolation { None, Stack, Mpk };

std::string_view name_of(Arch arch);
std::string_view name_of(Isolation isolation);
Arch arch_named(std::string_view name);
Isolation isolation_named(std::string_view name);

/// The project's folder, from ./eremite by EREMITE_ROOT.
const Path& root();
/// Everything that is built in the tree: `root()/build`.
Path build_root();
/// What belongs to an architecture in it.
Path build_folder(Arch arch);
/// Outside the tree: the sysroots. EREMITE_CACHE, or ~/.cache/eremite.
Path cache_folder();

/// /dev/kvm can be opened, and makes a virtual machine.
bool kvm_works();
/// The architecture of the machine that the tool runs on, if it is one of ours.
std::optional<Arch> host_arch();

} // namespace tool
