// Packs a folder into a cpio archive, format newc (cpio(5)): what the kernel's root is filled from.
#pragma once

#include "support.h"

namespace tool {

/// Files, folders, symbolic links, hard links and devices below `folder`, in a fixed order, owned by user 0.
/// Two calls on the same content give the same bytes.
Bytes pack_cpio(const Path& folder);

} // namespace tool
