// Pipes and FIFOs: a buffer in the kernel with a reading and a writing side.
#pragma once

#include "file/file.h"

namespace eremite {

/// The buffer behind both ends. Lives while an end is open.
class Pipe : public RefCounted<Pipe> {
public:
    static constexpr usize k_atomic_size = 4096; // PIPE_BUF
    static constexpr usize k_default_capacity = 65536;
    static constexpr usize k_max_capacity = 1u << 20;

    static Result<RefPtr<Pipe>> create();
    ~Pipe();

    Result<usize> read(IoBuffer buffer, bool nonblocking);
    /// EPIPE, and SIGPIPE, if nobody reads.
    Result<usize> write(IoBuffer buffer, bool nonblocking);
    u32 poll(PollTable* table, bool reads, bool writes);
    usize available();
    Result<usize> resize(usize capacity);
    usize capacity();
    /// Copies without consuming (tee): EAGAIN if empty.
    Result<usize> peek(std::span<u8> buffer);

    void add_end(bool reads, bool writes);
    void remove_end(bool reads, bool writes);
    /// For opening a FIFO: waits until the other side is there. EINTR.
    Result<> wait_for_reader();
    Result<> wait_for_writer();
    bool has_readers();
    bool has_writers();

private:
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> make_ref(Arguments&&...);
    Pipe() = default;
    std::span<u8> buffer() REQUIRES(m_lock);
    Result<> grow(usize wanted) REQUIRES(m_lock);
    Result<usize> put(IoBuffer source) REQUIRES(m_lock);
    usize room() const REQUIRES(m_lock) { return m_capacity - m_size; }

    Mutex m_lock;
    u8* m_buffer GUARDED_BY(m_lock) { nullptr }; // grows from 4 KiB to the capacity as it fills
    usize m_allocated GUARDED_BY(m_lock) { 0 };
    usize m_capacity GUARDED_BY(m_lock) { k_default_capacity };
    usize m_start GUARDED_BY(m_lock) { 0 };
    usize m_size GUARDED_BY(m_lock) { 0 };
    u32 m_readers GUARDED_BY(m_lock) { 0 };
    u32 m_writers GUARDED_BY(m_lock) { 0 };
    u64 m_reader_generation GUARDED_BY(m_lock) { 0 }; // how many ever came: a short-lived one counts for open()
    u64 m_writer_generation GUARDED_BY(m_lock) { 0 };
    u64 m_number;
    WaitQueue m_reader_queue;
    WaitQueue m_writer_queue;

public:
    u64 number() const { return m_number; }
};

/// One end.
class PipeFile : public File {
public:
    /// The two ends of a new pipe. ENOMEM.
    static Result<> create_pair(u32 flags, RefPtr<File>& reader, RefPtr<File>& writer);
    ~PipeFile() override;

    Result<usize> read(IoBuffer buffer) override;
    Result<usize> write(IoBuffer buffer) override;
    Result<long> ioctl(u32 request, u64 argument) override;
    Result<> stat(abi::Stat& stat) override;
    u32 poll(PollTable* table) override;
    Result<long> control(int command, u64 argument) override;
    Result<String> description() override;
    Pipe* pipe() override { return m_pipe.get(); }

protected:
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> make_ref(Arguments&&...);
    PipeFile(RefPtr<Pipe> pipe, u32 flags)
        : File(flags)
        , m_pipe(std::move(pipe))
    {
    }

private:
    RefPtr<Pipe> m_pipe;
};

} // namespace eremite
