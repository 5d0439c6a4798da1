#include "archive.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace tool {

namespace {

constexpr std::array<std::uint32_t, 64> k_rounds {
    0x428a2f98,
    0x71374491,
    0xb5c0fbcf,
    0xe9b5dba5,
    0x3956c25b,
    0x59f111f1,
    0x923f82a4,
    0xab1c5ed5, //
    0xd807aa98,
    0x12835b01,
    0x243185be,
    0x550c7dc3,
    0x72be5d74,
    0x80deb1fe,
    0x9bdc06a7,
    0xc19bf174, //
    0xe49b69c1,
    0xefbe4786,
    0x0fc19dc6,
    0x240ca1cc,
    0x2de92c6f,
    0x4a7484aa,
    0x5cb0a9dc,
    0x76f988da, //
    0x983e5152,
    0xa831c66d,
    0xb00327c8,
    0xbf597fc7,
    0xc6e00bf3,
    0xd5a79147,
    0x06ca6351,
    0x14292967, //
    0x27b70a85,
    0x2e1b2138,
    0x4d2c6dfc,
    0x53380d13,
    0x650a7354,
    0x766a0abb,
    0x81c2c92e,
    0x92722c85, //
    0xa2bfe8a1,
    0xa81a664b,
    0xc24b8b70,
    0xc76c51a3,
    0xd192e819,
    0xd6990624,
    0xf40e3585,
    0x106aa070, //
    0x19a4c116,
    0x1e376c08,
    0x2748774c,
    0x34b0bcb5,
    0x391c0cb3,
    0x4ed8aa4a,
    0x5b9cca4f,
    0x682e6ff3, //
    0x748f82ee,
    0x78a5636f,
    0x84c87814,
    0x8cc70208,
    0x90befffa,
    0xa4506ceb,
    0xbef9a3f7,
    0xc67178f2,
};

void digest_block(std::array<std::uint32_t, 8>& state, std::span<const std::uint8_t> block)
{
    std::array<std::uint32_t, 64> w {};
    for (std::size_t i = 0; i < 16; ++i)
        w[i] = std::uint32_t(block[4 * i]) << 24 | std::uint32_t(block[4 * i + 1]) << 16
            | std::uint32_t(block[4 * i + 2]) << 8 | block[4 * i + 3];
    for (std::size_t i = 16; i < 64; ++i) {
        const auto s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
        const auto s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (std::size_t i = 0; i < 64; ++i) {
        const auto s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
        const auto first = h + s1 + ((e & f) ^ (~e & g)) + k_rounds[i] + w[i];
        const auto s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
        const auto second = s0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + first;
        d = c;
        c = b;
        b = a;
        a = first + second;
    }
    const std::array<std::uint32_t, 8> added { a, b, c, d, e, f, g, h };
    for (std::size_t i = 0; i < 8; ++i)
        state[i] += added[i];
}

} // namespace

std::string sha256(std::span<const std::uint8_t> content)
{
    std::array<std::uint32_t, 8> state { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
        0x1f83d9ab, 0x5be0cd19 };
    const auto whole = content.size() / 64 * 64;
    for (std::size_t at = 0; at < whole; at += 64)
        digest_block(state, content.subspan(at, 64));
    Bytes tail(content.begin() + static_cast<std::ptrdiff_t>(whole), content.end());
    tail.push_back(0x80);
    while (tail.size() % 64 != 56)
        tail.push_back(0);
    const std::uint64_t bits = std::uint64_t(content.size()) * 8;
    for (int shift = 56; shift >= 0; shift -= 8)
        tail.push_back(static_cast<std::uint8_t>(bits >> shift));
    for (std::size_t at = 0; at < tail.size(); at += 64)
        digest_block(state, std::span(tail).subspan(at, 64));
    std::string text;
    for (const auto word : state)
        text += fmt::format("{:08x}", word);
    return text;
}

void TarWriter::header(const std::string& name, char type, std::size_t size, unsigned mode)
{
    if (name.size() > 100)
        fail("{} is too long a name for an archive", name);
    std::array<char, 512> block {};
    const auto put = [&](std::size_t at, std::string_view text) {
        std::ranges::copy(text, block.begin() + static_cast<long>(at));
    };
    put(0, name);
    put(100, fmt::format("{:07o}", mode));
    put(108, "0000000");
    put(116, "0000000");
    put(124, fmt::format("{:011o}", size));
    put(136, "00000000000");
    put(148, "        "); // the checksum counts itself as blanks
    block[156] = type;
    put(257, "ustar");
    put(263, "00");
    unsigned sum = 0;
    for (const char c : block)
        sum += static_cast<unsigned char>(c);
    put(148, fmt::format("{:06o}", sum));
    block[154] = 0;
    m_bytes.insert(m_bytes.end(), block.begin(), block.end());
}

void TarWriter::add_folder(const std::string& name)
{
    header(name.ends_with('/') ? name : name + "/", '5', 0, 0755);
}

void TarWriter::add_file(const std::string& name, std::span<const std::uint8_t> content, unsigned mode)
{
    header(name, '0', content.size(), mode);
    m_bytes.insert(m_bytes.end(), content.begin(), content.end());
    m_bytes.resize((m_bytes.size() + 511) / 512 * 512);
}

Bytes TarWriter::finish()
{
    m_bytes.resize(m_bytes.size() + 1024);
    return std::move(m_bytes);
}

} // namespace tool
