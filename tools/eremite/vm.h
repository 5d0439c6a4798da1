// A machine about to run: QEMU's arguments, and what has to be there around it.
#pragma once

#include "qemu.h"

namespace tool {

struct SharedFolder {
    Path folder;
    Path socket;
};

struct VmPlan {
    ScratchFolder scratch {};
    Strings arguments {};
    /// Where the guest's `exit N` line goes (x86_64).
    Path exit_file {};
    std::vector<SharedFolder> shared_folders {};
};

void compose_machine(const Path& image, const Strings& arguments, const VmOptions& options, VmPlan& plan);

} // namespace tool
