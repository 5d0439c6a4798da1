#include "fs/root.h"

#include "arch/platform.h"
#include "base/component.h"
#include "base/log.h"
#include "boot/boot_info.h"
#include "boot/options.h"
#include "fs/devfs.h"
#include "fs/mount.h"
#include "fs/operations.h"
#include "fs/procfs.h"
#include "fs/unpack.h"
#include "mm/frames.h"
#include "random/random.h"
#include "sched/process.h"

extern "C" {
// The archive packed into the image (section eremite_root), bounded by the link script.
[[gnu::weak, gnu::visibility("hidden")]] extern const eremite::u8 __eremite_root_start[];
[[gnu::weak, gnu::visibility("hidden")]] extern const eremite::u8 __eremite_root_end[];
}

namespace eremite {

namespace {

Result<> fill_from(std::span<const u8> archive, const char* where, RamFileSystem& file_system, RamDirectory& root)
{
    if (archive.empty())
        return {};
    const UnpackResult result = TRY(unpack_archive(archive, file_system, root));
    if (result.error) {
        // A program with half of its files would do who knows what.
        log_error("files: the archive {} is corrupt at byte {}: {}", where, result.offset, result.error);
        arch::power_off(arch::k_kernel_failure);
    }
    log_info("files: {} files from the archive {}", result.files, where);
    return {};
}

/// One `mount=TYPE:SOURCE:TARGET[:MODE]`; the mode is `ro`, or `discard` where a file system knows it.
Result<> mount_from_option(std::string_view option)
{
    std::array<std::string_view, 4> parts;
    usize count = 0;
    for (std::string_view rest = option; count < parts.size(); ++count) {
        const usize colon = rest.find(':');
        parts[count] = rest.substr(0, colon);
        if (colon == std::string_view::npos) {
            ++count;
            break;
        }
        rest.remove_prefix(colon + 1);
    }
    const auto [type_name, source, target, mode] = parts;
    if (count < 3 || !target.starts_with('/') || (count == 4 && mode != "ro" && mode != "rw" && mode != "discard"))
        return Errno::EINVAL;
    FileSystemType* type = find_file_system_type(type_name);
    if (!type) {
        log_error("files: this image can't mount {} (disks are for images that were built with --disk)", type_name);
        return Errno::ENODEV;
    }
    RefPtr<Dentry> point = TRY(make_directories(target));
    RefPtr<FileSystem> file_system = TRY(type->mount(source, mode));
    if (mode == "ro")
        file_system->set_read_only(true);
    return Mounts::mount(std::move(file_system), *point, source);
}

void sync_at_exit()
{
    if (auto synced = Mounts::shut_down_all(); synced.is_error())
        log_error("files: {} while writing back at exit: data may be lost", synced.error());
}

constinit ExitHook s_exit_hook { .function = sync_at_exit };

Result<> mount_from_command_line()
{
    add_exit_hook(s_exit_hook);
    for_each_boot_option("mount", [](std::string_view value) {
        if (auto mounted = mount_from_option(value); mounted.is_error())
            log_error("files: mount={} failed: {}", value, description_of(mounted.error()));
    });
    return {};
}

} // namespace

Result<> mount_root_file_system()
{
    PackedName::set_secret(random_u64());
    RefPtr<RamFileSystem> file_system = TRY(RamFileSystem::create("rootfs", default_memory_limit()));
    RefPtr<Inode> root = TRY(file_system->root());
    auto& directory = static_cast<RamDirectory&>(*root);
    const auto* packed = __eremite_root_start;
    if (packed != __eremite_root_end) {
#pragma clang unsafe_buffer_usage begin // the link script's bounds of one section
        const std::span<const u8> archive(packed, __eremite_root_end);
#pragma clang unsafe_buffer_usage end
        TRY(fill_from(archive, "in the image", *file_system, directory));
    }
    const PhysicalRange initrd = boot_info().initrd;
    if (initrd.length != 0) {
#pragma clang unsafe_buffer_usage begin // the boot protocol's word, checked against the memory map there
        const std::span<const u8> archive(static_cast<const u8*>(direct_map(initrd.start)), initrd.length);
#pragma clang unsafe_buffer_usage end
        TRY(fill_from(archive, "of the initrd", *file_system, directory));
    }
    RefPtr<Dentry> dentry = TRY(Mounts::mount_root(std::move(file_system), "rootfs"));
    fs_context().set_current(dentry);
    fs_context().set_root(std::move(dentry));
    static_cast<void>(TRY(make_directories("/tmp")));
    register_ramfs();
    TRY(mount_devices());
    TRY(mount_processes());
    return {};
}

ER_COMPONENT(files, Stage::Subsystem, mount_root_file_system);
ER_COMPONENT(mounts, Stage::Late, mount_from_command_line);

} // namespace eremite
