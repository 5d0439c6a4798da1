// A position in a list of buffers of the caller's (an iovec of the application's, or kernel memory): bytes are copied
// straight between there and packets.
#pragma once

#include "syscall/user_pointer.h"

namespace eremite::net {

class IoCursor {
public:
    IoCursor(std::span<const IoBuffer> buffers)
        : m_buffers(buffers)
    {
        for (const IoBuffer& buffer : buffers)
            m_remaining += buffer.size();
    }

    usize remaining() const { return m_remaining; }
    bool is_empty() const { return m_remaining == 0; }

    /// From the caller: fills `destination`, which must not be longer than remaining(). EFAULT.
    Result<> get(std::span<u8> destination)
    {
        if (lies_in_one(destination.size())) [[likely]] {
            TRY(m_buffers.front().subspan(m_offset).read(destination));
            pass(destination.size());
            return {};
        }
        return each(destination.size(),
            [&](IoBuffer part, usize done) { return part.read(destination.subspan(done, part.size())); });
    }
    /// To the caller: copies `source`, which must not be longer than remaining(). EFAULT.
    Result<> put(std::span<const u8> source)
    {
        if (lies_in_one(source.size())) [[likely]] {
            TRY(m_buffers.front().subspan(m_offset).write(source));
            pass(source.size());
            return {};
        }
        return each(
            source.size(), [&](IoBuffer part, usize done) { return part.write(source.subspan(done, part.size())); });
    }
    /// Passes over `length` bytes without copying.
    void skip(usize length)
    {
        if (auto skipped = each(length, [](IoBuffer, usize) { return Result<>(); }); skipped.is_error()) { }
    }

private:
    /// The next `length` bytes lie in the first buffer, and it is the last or goes on after them.
    bool lies_in_one(usize length) const
    {
        return m_buffers.size() == 1 || (!m_buffers.empty() && m_offset + length < m_buffers.front().size());
    }
    void pass(usize length)
    {
        m_offset += length;
        m_remaining -= length;
    }
    template<typename Copy> Result<> each(usize length, Copy copy)
    {
        usize done = 0;
        while (done < length) {
            IoBuffer rest = m_buffers.front().subspan(m_offset);
            usize step = std::min(rest.size(), length - done);
            if (step > 0)
                TRY(copy(rest.first(step), done));
            done += step;
            m_offset += step;
            if (m_offset == m_buffers.front().size()) {
                m_buffers = m_buffers.subspan(1);
                m_offset = 0;
            }
        }
        m_remaining -= length;
        return {};
    }

    std::span<const IoBuffer> m_buffers;
    usize m_offset { 0 };
    usize m_remaining { 0 };
};

} // namespace eremite::net
