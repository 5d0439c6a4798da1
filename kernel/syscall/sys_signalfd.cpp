#include "file/signal_fd.h"
#include "syscall/sys_signal.h"

namespace eremite {

Result<long> sys_signalfd(int fd, UserPointer<u64> mask, usize set_size)
{
    return sys_signalfd4(fd, mask, set_size, 0);
}

Result<long> sys_signalfd4(int fd, UserPointer<u64> mask, usize set_size, int flags)
{
    auto unsigned_flags = static_cast<u32>(flags);
    if (set_size != sizeof(SignalSet) || (unsigned_flags & ~(abi::k_o_nonblock | abi::k_o_cloexec)) != 0)
        return Errno::EINVAL;
    SignalSet set = TRY(mask.read()) & ~(signal_bit(abi::k_sigkill) | signal_bit(abi::k_sigstop));
    enable_signals();
    if (fd != -1) {
        auto file = TRY(fd_table().get(fd));
        String description = TRY(file->description());
        if (description.view() != SignalFile::k_description)
            return Errno::EINVAL;
        static_cast<SignalFile*>(file.get())->set_mask(set);
        return fd;
    }
    auto file = TRY(SignalFile::create(set, unsigned_flags & abi::k_o_nonblock));
    return TRY(fd_table().install(std::move(file), (unsigned_flags & abi::k_o_cloexec) != 0));
}

} // namespace eremite
