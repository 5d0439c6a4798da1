// signalfd(2): pending signals, read instead of handled. They belong to the thread that reads, and to the process.
#pragma once

#include "file/file.h"
#include "sched/signal.h"

namespace eremite {

class SignalFile final : public File {
public:
    static constexpr std::string_view k_description = "anon_inode:[signalfd]";

    static Result<RefPtr<SignalFile>> create(SignalSet set, u32 flags) { return make_ref<SignalFile>(set, flags); }

    Result<usize> read(IoBuffer buffer) override;
    Result<> stat(abi::Stat& stat) override;
    u32 poll(PollTable* table) override;
    Result<String> description() override { return String::create(k_description); }

    void set_mask(SignalSet set) { m_set.store(set, std::memory_order_relaxed); }

private:
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> make_ref(Arguments&&...);
    SignalFile(SignalSet set, u32 flags)
        : File(abi::k_o_rdwr | flags)
        , m_set(set)
    {
    }

    std::atomic<SignalSet> m_set;
};

} // namespace eremite
