// FUSE's messages (uapi/linux/fuse.h, protocol 7.31), as a virtio-fs daemon speaks them.
#pragma once

#include "base/types.h"

namespace eremite::fuse {

enum class Opcode : u32 {
    Lookup = 1,
    Forget = 2,
    GetAttributes = 3,
    SetAttributes = 4,
    ReadLink = 5,
    Symlink = 6,
    MakeNode = 8,
    MakeDirectory = 9,
    Unlink = 10,
    RemoveDirectory = 11,
    Rename = 12,
    Link = 13,
    Open = 14,
    Read = 15,
    Write = 16,
    StatFs = 17,
    Release = 18,
    Sync = 20,
    SetXattr = 21,
    GetXattr = 22,
    ListXattrs = 23,
    RemoveXattr = 24,
    Flush = 25,
    Init = 26,
    OpenDirectory = 27,
    ReadDirectory = 28,
    ReleaseDirectory = 29,
    SyncDirectory = 30,
    Create = 35,
    Destroy = 38,
    Allocate = 43,
    ReadDirectoryPlus = 44,
    Rename2 = 45,
    Seek = 46,
};

inline constexpr u64 k_root_node = 1;
inline constexpr u32 k_major = 7;
inline constexpr u32 k_minor = 31;
inline constexpr u32 k_min_minor = 23; // before it init's answer was shorter

inline constexpr u32 k_init_async_read = 1u << 0;
inline constexpr u32 k_init_big_writes = 1u << 5;
inline constexpr u32 k_init_readdirplus = 1u << 13;
inline constexpr u32 k_init_readdirplus_auto = 1u << 14; // now and then, as the client likes
inline constexpr u32 k_init_parallel_directories = 1u << 18;
inline constexpr u32 k_init_max_pages = 1u << 22;

struct InHeader {
    u32 length { 0 };
    Opcode opcode {};
    u64 unique { 0 };
    u64 node { 0 };
    u32 uid { 0 };
    u32 gid { 0 };
    u32 pid { 0 };
    u32 padding { 0 };
};
static_assert(sizeof(InHeader) == 40);

struct OutHeader {
    u32 length { 0 };
    i32 error { 0 };
    u64 unique { 0 };
};
static_assert(sizeof(OutHeader) == 16);

struct Attr {
    u64 inode { 0 };
    u64 size { 0 };
    u64 blocks { 0 };
    u64 access_seconds { 0 };
    u64 modify_seconds { 0 };
    u64 change_seconds { 0 };
    u32 access_nanoseconds { 0 };
    u32 modify_nanoseconds { 0 };
    u32 change_nanoseconds { 0 };
    u32 mode { 0 };
    u32 link_count { 0 };
    u32 uid { 0 };
    u32 gid { 0 };
    u32 special_device { 0 };
    u32 block_size { 0 };
    u32 flags { 0 };
};
static_assert(sizeof(Attr) == 88);

struct EntryOut {
    u64 node { 0 };
    u64 generation { 0 };
    u64 entry_valid { 0 };
    u64 attributes_valid { 0 };
    u32 entry_valid_nanoseconds { 0 };
    u32 attributes_valid_nanoseconds { 0 };
    Attr attributes {};
};
static_assert(sizeof(EntryOut) == 128);

struct AttrOut {
    u64 valid { 0 };
    u32 valid_nanoseconds { 0 };
    u32 padding { 0 };
    Attr attributes {};
};
static_assert(sizeof(AttrOut) == 104);

struct InitIn {
    u32 major { k_major };
    u32 minor { k_minor };
    u32 max_readahead { 0 };
    u32 flags { 0 };
};
struct InitOut {
    u32 major { 0 };
    u32 minor { 0 };
    u32 max_readahead { 0 };
    u32 flags { 0 };
    u16 max_background { 0 };
    u16 congestion_threshold { 0 };
    u32 max_write { 0 };
    u32 time_granularity { 0 };
    u16 max_pages { 0 };
    u16 map_alignment { 0 };
    u32 unused[8] {};
};
static_assert(sizeof(InitOut) == 64);

struct GetAttrIn {
    u32 flags { 0 };
    u32 padding { 0 };
    u64 handle { 0 };
};
inline constexpr u32 k_set_mode = 1;
inline constexpr u32 k_set_uid = 2;
inline constexpr u32 k_set_gid = 4;
inline constexpr u32 k_set_size = 8;
inline constexpr u32 k_set_access_time = 16;
inline constexpr u32 k_set_modify_time = 32;
struct SetAttrIn {
    u32 valid { 0 };
    u32 padding { 0 };
    u64 handle { 0 };
    u64 size { 0 };
    u64 lock_owner { 0 };
    u64 access_seconds { 0 };
    u64 modify_seconds { 0 };
    u64 change_seconds { 0 };
    u32 access_nanoseconds { 0 };
    u32 modify_nanoseconds { 0 };
    u32 change_nanoseconds { 0 };
    u32 mode { 0 };
    u32 unused { 0 };
    u32 uid { 0 };
    u32 gid { 0 };
    u32 unused2 { 0 };
};
static_assert(sizeof(SetAttrIn) == 88);

struct MakeNodeIn {
    u32 mode { 0 };
    u32 device { 0 };
    u32 umask { 0 };
    u32 padding { 0 };
};
struct MakeDirectoryIn {
    u32 mode { 0 };
    u32 umask { 0 };
};
struct RenameIn {
    u64 directory { 0 };
};
struct Rename2In {
    u64 directory { 0 };
    u32 flags { 0 };
    u32 padding { 0 };
};
struct LinkIn {
    u64 node { 0 };
};
struct OpenIn {
    u32 flags { 0 };
    u32 open_flags { 0 };
};
struct OpenOut {
    u64 handle { 0 };
    u32 flags { 0 };
    u32 padding { 0 };
};
struct CreateIn {
    u32 flags { 0 };
    u32 mode { 0 };
    u32 umask { 0 };
    u32 open_flags { 0 };
};
struct CreateOut {
    EntryOut entry {};
    OpenOut open {};
};
struct ReleaseIn {
    u64 handle { 0 };
    u32 flags { 0 };
    u32 release_flags { 0 };
    u64 lock_owner { 0 };
};
struct FlushIn {
    u64 handle { 0 };
    u64 unused { 0 };
    u64 lock_owner { 0 };
};
struct ReadIn { // and of writes
    u64 handle { 0 };
    u64 offset { 0 };
    u32 size { 0 };
    u32 flags { 0 };
    u64 lock_owner { 0 };
    u32 open_flags { 0 };
    u32 padding { 0 };
};
static_assert(sizeof(ReadIn) == 40);
struct WriteOut {
    u32 size { 0 };
    u32 padding { 0 };
};
struct SyncIn {
    u64 handle { 0 };
    u32 flags { 0 };
    u32 padding { 0 };
};
struct AllocateIn {
    u64 handle { 0 };
    u64 offset { 0 };
    u64 length { 0 };
    u32 mode { 0 };
    u32 padding { 0 };
};
struct SeekIn {
    u64 handle { 0 };
    u64 offset { 0 };
    u32 whence { 0 };
    u32 padding { 0 };
};
struct SeekOut {
    u64 offset { 0 };
};
struct StatFsOut {
    u64 blocks { 0 };
    u64 free_blocks { 0 };
    u64 available_blocks { 0 };
    u64 files { 0 };
    u64 free_files { 0 };
    u32 block_size { 0 };
    u32 name_length { 0 };
    u32 fragment_size { 0 };
    u32 padding { 0 };
    u32 spare[6] {};
};
static_assert(sizeof(StatFsOut) == 80);
struct XattrIn { // of gets and lists; sets: size and flags
    u32 size { 0 };
    u32 flags { 0 };
};
struct XattrOut {
    u32 size { 0 };
    u32 padding { 0 };
};
struct ForgetIn {
    u64 lookups { 0 };
};
struct Dirent {
    u64 inode { 0 };
    u64 next { 0 };
    u32 name_length { 0 };
    u32 type { 0 };
};
static_assert(sizeof(Dirent) == 24);
struct DirentPlus {
    EntryOut entry {}; // counts as a lookup, if its node isn't 0
    Dirent dirent {};
};
static_assert(sizeof(DirentPlus) == 152);

} // namespace eremite::fuse
