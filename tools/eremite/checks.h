// The parts of `./eremite check`. Each looks at the whole project and says, line by line, what is wrong.
#pragma once

#include "support.h"

#include <functional>

namespace tool {

struct CheckResult {
    bool good = true;
    /// Cannot be judged here: what it looks at is not built, or not there.
    bool skipped = false;
    /// What is wrong, or a line of figures when all is well.
    std::string text {};
};

struct Check {
    std::string name;
    std::string purpose;
    /// Not part of a plain `./eremite check`: it takes minutes.
    bool slow = false;
    std::function<CheckResult()> run;
};

const std::vector<Check>& all_checks();

/// Mends what can be mended without thought: formats the sources, makes generated pages anew.
void fix_all();

/// Files under git's care whose name ends in one of these.
std::vector<Path> tracked_files(const Strings& suffixes);

CheckResult check_tidy(bool all_files);

} // namespace tool
