// /proc: what programs read there. A file's text is made when it is opened. Other components add theirs by
// register_proc_file(), so that /proc/net is there only if the network is.
#pragma once

#include "base/format.h"
#include "base/result.h"
#include <string_view>

namespace eremite {

/// One file under /proc. Lives for ever.
struct ProcFile {
    std::string_view path; // "net/dev": at most one directory of its own above "sys/x/y" style paths
    void (*write_text)(TextSink& sink);
    ProcFile* next { nullptr };
};

/// At Stage::Device or Stage::Subsystem, before /proc is read.
void register_proc_file(ProcFile& file);

/// Mounts it on /proc.
Result<> mount_processes();

} // namespace eremite
