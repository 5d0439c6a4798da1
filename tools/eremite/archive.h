// What packing images takes: SHA-256 (FIPS 180-4) and ustar archives (POSIX.1-1988).
#pragma once

#include "support.h"

namespace tool {

/// As 64 hexadecimal digits.
std::string sha256(std::span<const std::uint8_t> content);

/// An archive in memory. Times and owners are zero, so that equal content gives equal archives.
class TarWriter {
public:
    void add_folder(const std::string& name);
    void add_file(const std::string& name, std::span<const std::uint8_t> content, unsigned mode = 0644);
    Bytes finish();

private:
    void header(const std::string& name, char type, std::size_t size, unsigned mode);
    Bytes m_bytes;
};

} // namespace tool
