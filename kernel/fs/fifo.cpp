// FIFOs: a name in a file system for a pipe. The pipe lives while somebody has it open.
#include "base/component.h"
#include "file/pipe.h"
#include "fs/open_file.h"

namespace eremite {

namespace {

/// Which pipe belongs to which inode: both are looked up and dropped under this.
constinit Mutex s_lock;

class FifoFile final : public PipeFile {
public:
    FifoFile(RefPtr<Pipe> pipe, u32 flags, Inode& inode, Dentry& dentry)
        : PipeFile(std::move(pipe), flags)
        , m_inode(&inode)
        , m_dentry(&dentry)
    {
    }
    ~FifoFile() override
    {
        Locked lock(s_lock);
        if (--m_inode->fifo_users == 0)
            m_inode->fifo.store(nullptr, std::memory_order_relaxed);
    }
    Result<> stat(abi::Stat& stat) override
    {
        Attributes attributes;
        TRY(m_inode->attributes(attributes));
        fill_stat(attributes, m_inode->file_system().device(), stat);
        return {};
    }
    Inode* inode() override { return m_inode.get(); }
    Dentry* dentry() override { return m_dentry.get(); }

private:
    RefPtr<Inode> m_inode;
    RefPtr<Dentry> m_dentry;
};

Result<RefPtr<File>> open_fifo(Inode& inode, Dentry& dentry, u32 flags)
{
    const u32 access = flags & abi::k_o_accmode;
    const bool reads = access != abi::k_o_wronly;
    const bool writes = access != abi::k_o_rdonly;
    RefPtr<Pipe> pipe;
    RefPtr<FifoFile> file;
    {
        Locked lock(s_lock);
        if (auto* existing = static_cast<Pipe*>(inode.fifo.load(std::memory_order_relaxed)))
            pipe = RefPtr<Pipe>(existing);
        else
            pipe = TRY(Pipe::create());
        if (access == abi::k_o_wronly && (flags & abi::k_o_nonblock) != 0 && !pipe->has_readers())
            return Errno::ENXIO;
        file = TRY(make_ref<FifoFile>(pipe, flags, inode, dentry));
        ++inode.fifo_users;
        pipe->add_end(reads, writes);
        inode.fifo.store(pipe.get(), std::memory_order_relaxed);
    }
    if ((flags & abi::k_o_nonblock) == 0) {
        if (access == abi::k_o_rdonly)
            TRY(pipe->wait_for_writer());
        else if (access == abi::k_o_wronly)
            TRY(pipe->wait_for_reader());
    }
    return RefPtr<File>(std::move(file));
}

Result<> initialize_fifos()
{
    register_opener(abi::k_s_ififo, open_fifo);
    return {};
}

} // namespace

ER_COMPONENT(fifo, Stage::Subsystem, initialize_fifos);

} // namespace eremite
