#include "file/signal_fd.h"

namespace eremite {

namespace {

abi::SignalFdInfo to_fd_info(const abi::SignalInfo& information)
{
    abi::SignalFdInfo result;
    result.number = static_cast<u32>(information.number);
    result.error = information.error;
    result.code = information.code;
    if (information.code == abi::k_si_timer) {
        result.timer_id = static_cast<u32>(information.fields.timer.id);
        result.overrun = static_cast<u32>(information.fields.timer.overrun);
        result.pointer = information.fields.timer.value;
    } else {
        result.pid = static_cast<u32>(information.fields.sender.pid);
        result.uid = static_cast<u32>(information.fields.sender.uid);
        result.pointer = information.fields.sender.value;
    }
    result.integer = static_cast<i32>(result.pointer);
    return result;
}

} // namespace

Result<usize> SignalFile::read(IoBuffer buffer)
{
    if (buffer.size() < sizeof(abi::SignalFdInfo))
        return Errno::EINVAL;
    SignalSet set = m_set.load(std::memory_order_relaxed);
    abi::SignalInfo information = take_signal(set);
    while (information.number == 0) {
        if (is_nonblocking())
            return Errno::EAGAIN;
        SpinLock lock;
        Locked locked(lock);
        TRY(signal_arrivals().wait_until(lock, [&] { return (pending_signals() & set) != 0; }));
        information = take_signal(set);
    }
    usize done = 0;
    while (information.number != 0) {
        abi::SignalFdInfo item = to_fd_info(information);
        TRY(buffer.subspan(done).write({ reinterpret_cast<const u8*>(&item), sizeof(item) }));
        done += sizeof(item);
        if (buffer.size() - done < sizeof(item))
            break;
        information = take_signal(set);
    }
    return done;
}

u32 SignalFile::poll(PollTable* table)
{
    if (table)
        table->add(signal_arrivals());
    return (pending_signals() & m_set.load(std::memory_order_relaxed)) != 0 ? abi::k_pollin | abi::k_pollrdnorm : 0;
}

Result<> SignalFile::stat(abi::Stat& stat)
{
    stat = {};
    stat.mode = 0600;
    stat.link_count = 1;
    stat.block_size = k_page_size;
    return {};
}

} // namespace eremite
