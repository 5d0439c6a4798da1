// eventfd(2): a counter that can be waited for.
#pragma once

#include "file/file.h"

namespace eremite {

class EventFile final : public File {
public:
    /// `semaphore`: reading takes 1 instead of all.
    static Result<RefPtr<File>> create(u32 initial, bool semaphore, u32 flags);

    Result<usize> read(IoBuffer buffer) override;
    Result<usize> write(IoBuffer buffer) override;
    Result<> stat(abi::Stat& stat) override;
    u32 poll(PollTable* table) override;
    Result<String> description() override { return String::create("anon_inode:[eventfd]"); }

private:
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> make_ref(Arguments&&...);
    EventFile(u32 initial, bool semaphore, u32 flags)
        : File(flags)
        , m_is_semaphore(semaphore)
        , m_value(initial)
    {
    }

    static constexpr u64 k_maximum = ~u64 { 0 } - 1;
    const bool m_is_semaphore;
    SpinLock m_lock;
    u64 m_value GUARDED_BY(m_lock);
    WaitQueue m_readers;
    WaitQueue m_writers;
};

} // namespace eremite
