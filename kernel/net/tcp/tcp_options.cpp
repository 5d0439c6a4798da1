#include "net/tcp/tcp_options.h"

#include <algorithm>

namespace eremite::net {

namespace {

constexpr u8 k_end = 0;
constexpr u8 k_no_operation = 1;
constexpr u8 k_mss = 2;
constexpr u8 k_window_scale = 3;
constexpr u8 k_sack_permitted = 4;
constexpr u8 k_sack = 5;
constexpr u8 k_timestamps = 8;

struct SackBlock {
    Be32 start;
    Be32 end;
};

} // namespace

TcpOptions TcpOptions::parse(std::span<const u8> bytes)
{
    TcpOptions result;
    // The usual case, an established connection's: nothing but timestamps, aligned.
    if (auto* option = header_at<TcpTimestampsOption>(bytes);
        option && bytes.size() == sizeof(*option) && option->start == TcpTimestampsOption::k_start) [[likely]] {
        result.timestamps = TcpTimestamps { option->value, option->echo };
        return result;
    }
    while (!bytes.empty() && bytes[0] != k_end) {
        if (bytes[0] == k_no_operation) {
            bytes = bytes.subspan(1);
            continue;
        }
        if (bytes.size() < 2 || bytes[1] < 2 || bytes[1] > bytes.size())
            break;
        auto body = bytes.subspan(2, bytes[1] - 2u);
        switch (bytes[0]) {
        case k_mss:
            if (auto* mss = header_at<Be16>(body); mss && body.size() == 2)
                result.mss = static_cast<u16>(*mss);
            break;
        case k_window_scale:
            if (body.size() == 1)
                result.window_scale = std::min<u8>(body[0], 14); // RFC 7323, 2.3
            break;
        case k_sack_permitted:
            result.sack_permitted = body.empty();
            break;
        case k_sack:
            for (; body.size() >= sizeof(SackBlock) && result.sack_count < k_max_sack_blocks;
                body = body.subspan(sizeof(SackBlock))) {
                auto* block = header_at<SackBlock>(body);
                result.sack[result.sack_count++] = { block->start, block->end };
            }
            break;
        case k_timestamps:
            if (body.size() == 8)
                result.timestamps = TcpTimestamps { *header_at<Be32>(body), *header_at<Be32>(body, 4) };
            break;
        default:
            break;
        }
        bytes = bytes.subspan(bytes[1]);
    }
    return result;
}

usize TcpOptions::write(std::span<u8, k_max_length> bytes) const
{
    usize length = 0;
    auto put = [&](std::initializer_list<u8> values) {
        std::ranges::copy(values, bytes.begin() + static_cast<isize>(length));
        length += values.size();
    };
    if (mss)
        put({ k_mss, 4, static_cast<u8>(*mss >> 8), static_cast<u8>(*mss) });
    if (window_scale)
        put({ k_no_operation, k_window_scale, 3, *window_scale });
    if (sack_permitted)
        put({ k_no_operation, k_no_operation, k_sack_permitted, 2 });
    if (timestamps) {
        TcpTimestampsOption option;
        option.value = timestamps->value;
        option.echo = timestamps->echo;
        std::ranges::copy(bytes_of(option), bytes.begin() + static_cast<isize>(length));
        length += sizeof(option);
    }
    usize fits = std::min<usize>(sack_count,
        (k_max_length - length - (k_max_length - length >= 4 ? 4 : k_max_length - length)) / sizeof(SackBlock));
    if (fits > 0) {
        put({ k_no_operation, k_no_operation, k_sack, static_cast<u8>(2 + fits * sizeof(SackBlock)) });
        for (const SequenceRange& range : std::span(sack).first(fits)) {
            SackBlock block { range.start, range.end };
            std::ranges::copy(bytes_of(block), bytes.begin() + static_cast<isize>(length));
            length += sizeof(block);
        }
    }
    return length;
}

} // namespace eremite::net
